"""Where desktops come from, one file each."""
