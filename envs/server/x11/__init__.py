"""The desktop of Linux: X server and session, screen, input, windows and running programs."""
