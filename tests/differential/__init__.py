"""The proof that our metrics match OSWorld's: both run on the same inputs, and every disagreement is explained.

OSWorld's functions come from the release `desktop-env` on PyPI, for comparison only; deskbench contains none of it.
"""
