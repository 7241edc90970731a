"""Text, structured files, databases and archives."""
