"""Pictures, sound, film and PDF."""
