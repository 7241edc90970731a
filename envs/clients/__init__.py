"""Who speaks to a desktop from outside: our protocol, OSWorld's routes, the network's proxy, VNC."""
