"""Runs in the layout of OSWorld's results, both ways."""
