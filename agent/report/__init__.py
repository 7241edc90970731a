"""What a run looks like: numbers, pages, and the server that shows them while it goes on."""
