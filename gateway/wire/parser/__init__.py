"""Parsers from command text to the values of `gateway.wire.commands`, one module per group of commands."""
