"""Runs the stand-in as a process of its own."""

from tests.fakes.jmap.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
