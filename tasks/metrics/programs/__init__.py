"""Metrics for the state of programs: browsers, mail, editors, the session."""
