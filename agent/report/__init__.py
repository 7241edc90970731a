"""Reports on runs: numbers, pages, and the server that shows them while a run is in progress."""
