"""The marks: speed ratios, measured in one run next to a reference arm. `make bench` prints them."""
