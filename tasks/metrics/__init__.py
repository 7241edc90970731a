"""Metrics: pure functions from values and files to a score from 0 to 1.

A metric is called only if there is a result: a missing file scores 0 without it. An exception in a metric is the
evaluator's fault (CheckError), never a 0.
"""
