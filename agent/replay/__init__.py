"""Recorded episodes again: their actions on a fresh desktop, their end states scored once more."""
