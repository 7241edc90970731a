"""Runs agents: the command line, the episode loop, batches, models, replies, records, replay and reports."""
