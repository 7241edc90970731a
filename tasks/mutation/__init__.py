"""Changed copies of the evidence that checks read: some must lose the score, and some must keep it."""
