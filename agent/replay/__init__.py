"""Repeat recorded episodes on fresh desktops, and score their end states again."""
