"""Changed copies of what checks read: those that must cost the score, and those that must not."""
