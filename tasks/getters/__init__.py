"""Getters: they read the end state from the desktop, or values from the task."""
