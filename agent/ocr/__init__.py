"""An endpoint for those without a key: it reads the screen with OCR and follows instructions by rules."""
