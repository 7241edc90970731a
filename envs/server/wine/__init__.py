"""Windows desktops by Wine: their session, and the way in."""
