"""The IMAP door: `listener.ImapDoor` serves `services.ImapServices` to clients as `settings.ImapSettings` says."""
