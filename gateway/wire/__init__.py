"""The IMAP wire format, both directions, without I/O: RFC 9051, RFC 3501 and extensions. Standard library only."""
