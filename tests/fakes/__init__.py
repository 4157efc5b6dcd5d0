"""Stand-ins for mail backends: they behave like the real ones, limits and faults included (see README.md here)."""
