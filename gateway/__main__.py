"""`python -m gateway` and the console script `imap-gateway`."""

from __future__ import annotations

import sys

from gateway.cli.main import run


def main() -> None:
    """Run the command line and leave with its status."""
    sys.exit(run())


if __name__ == "__main__":
    main()
