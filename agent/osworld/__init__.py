"""Export and import runs in the layout of OSWorld's results."""
