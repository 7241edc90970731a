"""Set-up steps: each is one decorated function and is found by importing this folder."""
