"""`make soak`: many clients for an hour, while the backend is restarted and the gateway killed again and again.

The gateway is over a Dovecot with several accounts, and over a Maildir. In the end what Dovecot and the files have is
held against what the clients were told: what was acknowledged is there once, what was not is there at most once, and
what was moved, marked or removed is still so. The exit status is 1 if anything is not.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from bench.soak import report
from bench.soak.run import soak
from bench.soak.settings import Settings


def main() -> int:
    """Run the soak; print and write what came of it."""
    settings, output = _options()
    # Ended from outside, or with Ctrl-C where a shell has put it into the background, it ends its servers all the same.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="imap-gateway-soak-") as folder:
        outcome = soak(settings, Path(folder), _say)
    print(report.as_text(outcome), flush=True)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(report.as_json(outcome), encoding="utf-8")
    return int(outcome.has_failed)


def _say(text: str) -> None:
    print(text, flush=True)


def _options() -> tuple[Settings, Path]:
    parser = argparse.ArgumentParser(prog="bench.soak", description="See that nothing is lost in a long run.")
    parser.add_argument("--minutes", type=float, default=60.0, help="how long clients work")
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--accounts", type=int, default=8, help="accounts at Dovecot that the clients share")
    parser.add_argument("--no-maildir", action="store_true", help="without the account over a Maildir")
    parser.add_argument("--rate", type=float, default=75.0, help="commands a second, all clients together")
    parser.add_argument("--restart-every", type=float, default=5.0, help="minutes between restarts of the backend")
    parser.add_argument("--down", type=float, default=5.0, help="seconds the backend is down each time")
    parser.add_argument("--kill-every", type=float, default=10.0, help="minutes between kills of the gateway")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).parents[1] / "soak.json", help="the JSON goes here"
    )
    options = parser.parse_args()
    settings = Settings(
        minutes=options.minutes,
        clients=options.clients,
        accounts=options.accounts,
        has_maildir=not options.no_maildir,
        rate=options.rate,
        restart_every_minutes=options.restart_every,
        down_s=options.down,
        kill_every_minutes=options.kill_every,
        seed=options.seed,
    )
    return settings, options.output


if __name__ == "__main__":
    sys.exit(main())
