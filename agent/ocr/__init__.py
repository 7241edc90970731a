"""An endpoint that needs no API key: it reads the screen with OCR and follows instructions by rules."""
