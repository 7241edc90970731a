"""Kills at random moments: every planned episode ends with exactly one result (`python -m tests.kills`)."""
