"""The proof that our metrics are OSWorld's: both run over the same inputs, and every disagreement is explained.

OSWorld's functions come from the release `desktop-env` on PyPI, for comparison only: nothing of it is part of deskbench.
"""
