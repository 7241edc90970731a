"""How much of OSWorld a plain container can run: generated assets, and the measurement."""
