"""Metrics: pure functions of values and files to a score in 0..1."""
