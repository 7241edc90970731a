"""Runs in the formats of other programs, one module per format; `export` is the entry."""
