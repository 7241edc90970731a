"""What an agent shows a model: the screen, the accessibility tree and the history."""
