"""Operators, with a module for each kind of evidence; `operators` finds them all."""
