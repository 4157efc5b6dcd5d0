"""A JMAP server in memory (RFC 8620, 8621, 8887, 9425) that checks strictly what a client sends."""
