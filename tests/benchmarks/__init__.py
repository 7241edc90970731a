"""The marks: speeds as ratios, measured side by side in one run with a reference arm. `make bench` prints them."""
