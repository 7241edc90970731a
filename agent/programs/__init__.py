"""Programs as agents: Claude Code, Codex and others, which bring a loop of their own and call the desktop as a tool."""
