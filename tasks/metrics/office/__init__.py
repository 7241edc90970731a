"""Documents, sheets and presentations."""
