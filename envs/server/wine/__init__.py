"""Windows desktops by Wine: their session, and the server in front."""
