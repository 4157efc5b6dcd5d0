"""A generated corpus of messages like those people have."""
