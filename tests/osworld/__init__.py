"""How much of OSWorld a plain container does: assets of our own making, and the measurement."""
