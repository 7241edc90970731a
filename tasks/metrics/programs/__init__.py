"""What programs keep of their state: browsers, mail, editors, the session."""
