"""Bringing the store in line with the backends, and writes on their way there."""
