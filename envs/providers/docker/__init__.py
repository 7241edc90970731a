"""Desktops in containers: our images, OSWorld's own image, engines behind ssh."""
