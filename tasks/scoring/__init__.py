"""Turns an end state into a score: parts, checks, and the processes that handle hostile bytes."""
