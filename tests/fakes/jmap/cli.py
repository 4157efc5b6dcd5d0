"""The command line of the stand-in: `python -m tests.fakes.jmap`."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence

from tests.fakes.jmap.fake import FakeJmap
from tests.fakes.jmap.options import (
    DEFAULT_PASSWORD,
    DEFAULT_TOKEN,
    EventSourceMode,
    FakeOptions,
    FakeUser,
    Quirk,
    UrlStyle,
)
from tests.fakes.jmap.seeding import seed
from tests.fakes.jmap.server import running_fake

EPILOG = """
When it serves, one line of JSON goes to standard output:
  {"session": URL, "user": NAME, "password": PASSWORD, "token": TOKEN, "messages": N}
It stops on SIGTERM and SIGINT. GET /_fake/stats and POST /_fake/control need no login;
tests/fakes/README.md says what they offer.
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="python -m tests.fakes.jmap",
        description="A JMAP server in memory, on 127.0.0.1, that checks strictly what clients send.",
        epilog="quirks:\n" + "\n".join(f"  {quirk.value}" for quirk in Quirk) + "\n" + EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    defaults = FakeOptions()
    made.add_argument("--port", type=int, default=0, help="port to listen at; 0 takes a free one (default)")
    mail = made.add_argument_group("mail")
    mail.add_argument("--messages", type=int, default=0, metavar="N", help="how many messages to start with (0)")
    mail.add_argument("--mailboxes", type=int, default=8, metavar="N", help="over how many mailboxes they spread (8)")
    mail.add_argument("--seed", type=int, default=1, metavar="N", help="the same number gives the same messages (1)")
    login = made.add_argument_group("login")
    login.add_argument("--user", default="alice", metavar="NAME", help="login name (alice)")
    login.add_argument("--password", default=DEFAULT_PASSWORD, help=f"for Basic authentication ({DEFAULT_PASSWORD})")
    login.add_argument("--token", default=DEFAULT_TOKEN, help=f"for bearer authentication ({DEFAULT_TOKEN})")
    push = made.add_argument_group("push")
    modes = [mode.value for mode in EventSourceMode]
    push.add_argument("--push", choices=modes, default="proper", help="what the event source does (proper)")
    push.add_argument("--websocket", action="store_true", help="offer JMAP over WebSocket (RFC 8887)")
    limits = made.add_argument_group("limits")
    for name, what in (
        ("objects", "objects in one get and in one set"),
        ("calls", "calls in one request"),
        ("concurrent", "API requests at a time"),
        ("size-request", "octets of one API request"),
        ("size-upload", "octets of one upload"),
        ("mailboxes-per-email", "mailboxes one message may be in"),
    ):
        limits.add_argument(f"--max-{name}", type=int, metavar="N", help=what)
    limits.add_argument("--query-clamp", type=int, metavar="N", help="ids in one reply of a query, whatever is asked")
    limits.add_argument("--changes-clamp", type=int, metavar="N", help="ids in one reply of changes, whatever is asked")
    limits.add_argument("--quota-octets", type=int, metavar="N", help="storage limit; offers the quota capability")
    limits.add_argument(
        "--quota-messages", type=int, metavar="N", help="limit of messages; offers the quota capability"
    )
    limits.add_argument("--delay-ms", type=int, default=0, metavar="N", help="milliseconds each request takes more (0)")
    oddities = made.add_argument_group("deviations")
    oddities.add_argument(
        "--urls", choices=[style.value for style in UrlStyle], default="absolute", help="URLs in the session (absolute)"
    )
    oddities.add_argument(
        "--redirects",
        type=int,
        default=defaults.redirects,
        metavar="N",
        help=f"hops from /.well-known/jmap to the session ({defaults.redirects})",
    )
    oddities.add_argument(
        "--quirk",
        action="append",
        default=[],
        choices=[quirk.value for quirk in Quirk],
        metavar="NAME",
        help="a deviation of those below; may be given again",
    )
    return made


def options_of(arguments: argparse.Namespace) -> FakeOptions:
    """Return the options that a parsed command line asks for."""
    limits = {
        "max_objects_in_get": arguments.max_objects,
        "max_objects_in_set": arguments.max_objects,
        "max_calls_in_request": arguments.max_calls,
        "max_concurrent_requests": arguments.max_concurrent,
        "max_size_request": arguments.max_size_request,
        "max_size_upload": arguments.max_size_upload,
        "max_mailboxes_per_email": arguments.max_mailboxes_per_email,
        "query_clamp": arguments.query_clamp,
        "changes_clamp": arguments.changes_clamp,
        "quota_octets": arguments.quota_octets,
        "quota_messages": arguments.quota_messages,
    }
    return FakeOptions(
        users=(FakeUser(arguments.user, arguments.password, arguments.token, (arguments.user,)),),
        event_source=EventSourceMode(arguments.push),
        websocket=arguments.websocket,
        urls=UrlStyle(arguments.urls),
        redirects=arguments.redirects,
        delay_s=arguments.delay_ms / 1000,
        quirks=frozenset(Quirk(name) for name in arguments.quirk),
        **{name: value for name, value in limits.items() if value is not None},
    )


async def serve(arguments: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT comes."""
    options = options_of(arguments)
    fake = FakeJmap(options)
    seed(fake, arguments.messages, arguments.mailboxes, arguments.seed)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running_fake(fake=fake, port=arguments.port):
        (user,) = options.users
        ready = {
            "session": fake.url,
            "user": user.name,
            "password": user.password,
            "token": user.token,
            "messages": arguments.messages,
        }
        print(json.dumps(ready), flush=True)
        await stop.wait()


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    reader = parser()
    arguments = reader.parse_args(words)
    wrong = [name for name, value in vars(arguments).items() if isinstance(value, int) and value < 0]
    if wrong or arguments.mailboxes < 1:
        reader.error(f"out of range: {', '.join(wrong) or 'mailboxes'}")
    try:
        asyncio.run(serve(arguments))
    except OSError as error:
        print(f"cannot listen at port {arguments.port}: {error.strerror}", file=sys.stderr)
        return 1
    return 0
