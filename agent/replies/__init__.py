"""A model's text to actions: pure functions, one file per dialect."""
