"""Desktops in virtual machines, booted once and restored from memory."""
