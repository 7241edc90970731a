"""Test whether tasks can be trusted: solutions must pass, and everything else must not."""
