"""The composition root: builds everything the configuration asks for, starts it, and stops it in order."""
