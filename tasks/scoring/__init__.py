"""From an end state to a score: parts, checks, and the processes that hostile bytes are worked on in."""
