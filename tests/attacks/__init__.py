"""Attacks from inside a desktop and on the controller; `python -m tests.attacks` prints the result of each."""
