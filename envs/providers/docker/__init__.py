"""Desktops in containers: their images, OSWorld's own, engines behind ssh."""
