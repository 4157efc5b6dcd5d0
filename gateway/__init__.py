"""An IMAP server in front of mail backends: Gmail API, Microsoft Graph, JMAP, IMAP, Maildir."""

__version__ = "0.1.0"
