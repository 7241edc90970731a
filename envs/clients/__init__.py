"""Clients of a desktop: our own protocol, OSWorld's routes, the network proxy and VNC."""
