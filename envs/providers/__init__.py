"""Where desktops come from: one file for each provider."""
