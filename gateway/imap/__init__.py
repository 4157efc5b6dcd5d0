"""The IMAP door: listeners, connections, the session and its commands."""
