"""Desktops in virtual machines that boot once and are then restored from memory."""
