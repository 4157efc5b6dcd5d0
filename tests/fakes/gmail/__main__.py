"""Runs a stand-in for Gmail as a process of its own: `python -m tests.fakes.gmail --help`."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import time
from pathlib import Path

from tests.fakes.gmail.fake import FakeGmail
from tests.fakes.gmail.options import MAIL_SCOPE, FakeOptions
from tests.fakes.gmail.server import Endpoints, running_fake

_DESCRIPTION = """\
A stand-in for Gmail's API on 127.0.0.1: OAuth, mail, labels, drafts, history, batch, uploads, quota and Pub/Sub pull,
each request and reply checked against Google's published description. All state is in memory.

When it is ready it prints one JSON object on one line, with api_root, token_uri, auth_uri, client_id, client_secret,
refresh_token, topic and subscription. SIGTERM or SIGINT ends it.

GET /_fake/stats tells what was called and what was wrong with it; POST /_fake/control changes mail and makes trouble:
  curl -d '{"action": "deliver", "raw": "Subject: x\\r\\n\\r\\nhello"}' http://127.0.0.1:PORT/_fake/control
An unknown action is answered with the names of all there are.
"""


def main() -> int:
    """Run until a signal comes; return the exit status: 0 after a clean stop, 1 if the port is taken."""
    arguments = _arguments()
    try:
        asyncio.run(_serve(arguments))
    except OSError as error:
        sys.stderr.write(f"cannot listen on port {arguments.port}: {error}\n")
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fakes.gmail",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--port", type=int, default=0, metavar="N", help="port to listen on; 0 (the default) takes a free one")
    add("--address", default="user@example.com", help="the user's address (default %(default)s)")
    add("--messages", type=int, default=1000, metavar="N", help="messages in the mailbox (default %(default)s)")
    add("--labels", type=int, default=10, metavar="N", help="user labels (default %(default)s)")
    add(
        "--units-per-minute",
        type=int,
        default=6000,
        metavar="N",
        help="quota units a minute; 6000 (the default) is a new project's share, 15000 an old one's, 0 no limit",
    )
    add(
        "--costs",
        choices=("2026", "2025"),
        default="2026",
        help="units per method of new or old projects (%(default)s)",
    )
    add("--max-concurrent", type=int, default=50, metavar="N", help="calls of a user at once (default %(default)s)")
    add("--token-lifetime", type=int, default=3600, metavar="S", help="seconds an access token lives (%(default)s)")
    add(
        "--scope", action="append", metavar="URL", help=f"scope of the refresh token, repeatable (default {MAIL_SCOPE})"
    )
    add("--latency", type=float, default=0.0, metavar="S", help="seconds each call takes at least (default 0)")
    add("--gzip", action="store_true", help="compress replies for clients that take it, as Google does")
    add("--key-file", type=Path, metavar="PATH", help="write the key file of a service account with delegation there")
    return parser.parse_args()


async def _serve(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    started = time.monotonic()
    options = FakeOptions(
        address=arguments.address,
        messages=arguments.messages,
        labels=arguments.labels,
        units_per_minute=arguments.units_per_minute or None,
        costs=arguments.costs,
        max_concurrent=arguments.max_concurrent,
        token_lifetime_s=arguments.token_lifetime,
        compresses=arguments.gzip,
    )
    fake = FakeGmail(options)
    fake.latency_s = arguments.latency
    async with running_fake(fake, arguments.port) as endpoints:
        if arguments.key_file is not None:
            arguments.key_file.write_text(json.dumps(fake.oauth.account.key_file(endpoints.token_uri), indent=2))
        refresh_token = fake.refresh_token(arguments.scope or [MAIL_SCOPE])
        ready = _ready(fake, endpoints, refresh_token, time.monotonic() - started)
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        await stop.wait()


def _ready(fake: FakeGmail, endpoints: Endpoints, refresh_token: str, seconds: float) -> dict[str, object]:
    return {
        "api_root": endpoints.api_root,
        "token_uri": endpoints.token_uri,
        "auth_uri": endpoints.auth_uri,
        "client_id": fake.options.client_id,
        "client_secret": fake.options.client_secret,
        "refresh_token": refresh_token,
        "address": fake.options.address,
        "topic": fake.options.topic_name,
        "subscription": fake.options.subscription_name,
        "messages": fake.options.messages,
        "started_in_s": round(seconds, 2),
    }


if __name__ == "__main__":
    sys.exit(main())
