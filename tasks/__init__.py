"""Tasks and their scoring: task files, set-up steps, getters and metrics."""
