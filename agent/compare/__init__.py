"""Compare two policies on the same screens."""
