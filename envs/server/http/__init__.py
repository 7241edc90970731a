"""The server's HTTP: connections, callers, limits. Without a framework, which would start ten times more slowly."""
