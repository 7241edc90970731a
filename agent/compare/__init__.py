"""Two policies on the same screens: how far they agree."""
