"""Mail at a JMAP server (RFC 8620, RFC 8621)."""
