"""Getters: what the end state is, read from the desktop or given by the task."""
