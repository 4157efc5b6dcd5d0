"""Upgrades of the schema, run by Alembic when a store is opened.

`REVISIONS` lists every schema this version knows, oldest first; the last is the one it works with.
"""

from typing import Final

REVISIONS: Final = ("0001", "0002", "0003", "0004", "0005", "0006", "0007")
