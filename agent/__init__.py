"""Decides and drives: the command line, the loop, batches, models, replies, record, replay, report."""
