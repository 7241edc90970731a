"""Clients of a desktop: our protocol, OSWorld's routes, the network's proxy, VNC."""
