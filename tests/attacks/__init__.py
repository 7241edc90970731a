"""Attacks from inside a desktop, and on the controller: `python -m tests.attacks` prints what becomes of each."""
