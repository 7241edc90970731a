"""Whether tasks can be trusted: solutions that must pass, and everything else that must not."""
