"""Faults of every kind, injected into runs: `python -m tests.faults` prints whose each is and what becomes of it."""
