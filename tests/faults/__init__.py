"""Faults of every kind, injected into runs; `python -m tests.faults` prints whose fault each is, and its result."""
