"""Metrics: pure functions of values and files to a score in 0..1.

A metric is called only with a result that is there: a missing file scores 0 before it comes to that. One that raises
is the evaluator's fault (CheckError), never a 0.
"""
