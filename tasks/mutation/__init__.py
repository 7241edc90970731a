"""Changed copies of what checks read: some must lose the score, and some must keep it."""
