"""What is being prepared, shown on standard error."""

from __future__ import annotations

import sys


def progress(text: str, *, is_last: bool) -> None:
    """Show a line in place of the last one; where standard error is no terminal, only the last one of each kind."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{text}\x1b[K" + ("\n" if is_last else ""))
        sys.stderr.flush()
    elif is_last:
        sys.stderr.write(f"{text}\n")
