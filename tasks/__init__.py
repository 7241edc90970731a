"""What to do and whether it was done: task files, set-up, getters, metrics, scoring."""
