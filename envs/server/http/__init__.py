"""The server's HTTP: connections, who calls, limits. No framework: one would cost ten times the start-up."""
