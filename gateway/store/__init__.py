"""What is kept: tables, statements, upgrades, and the cache of message bodies."""
