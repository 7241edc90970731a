"""Desktops for trainers: `Env` drives the one loop from outside; `AsyncEnv` and `VectorEnv` are built on it."""
