"""Runs a stand-in for Microsoft Graph as a process of its own: `python -m tests.fakes.graph --help`."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import signal
import sys
import time
from pathlib import Path

from tests.fakes.graph.fake import FakeGraph
from tests.fakes.graph.options import GraphOptions, Quirks
from tests.fakes.graph.server import running_graph
from tests.fakes.graph.typings import TypesMissing

_DESCRIPTION = """\
A stand-in for the mail part of Microsoft Graph v1.0 on 127.0.0.1: folders, messages, delta, $batch, attachments, upload
sessions, subscriptions, and the login; each request and reply checked against Microsoft's types. All is in memory.

When it is ready it prints one JSON object on one line, with api_root, authority, client_id, client_secret, tenant,
access_token, app_token and refresh_token. SIGTERM or SIGINT ends it.

GET /_fake/stats tells what was called and what was wrong with it; POST /_fake/control changes mail and makes trouble:
  curl -d '{"action": "deliver", "raw": "Subject: x\\r\\n\\r\\nhello"}' http://127.0.0.1:PORT/_fake/control
  curl -d '{"action": "fail_next", "operation": "messages.patch", "status": 412}' http://127.0.0.1:PORT/_fake/control
An unknown action is answered with the names of all there are.

Quirks, each the way Graph was seen to behave:
"""


def main() -> int:
    """Run until a signal comes; return the exit status: 0 after a clean stop, 1 if it cannot start."""
    arguments = _arguments()
    try:
        asyncio.run(_serve(arguments))
    except OSError as error:
        sys.stderr.write(f"cannot listen on port {arguments.port}: {error}\n")
        return 1
    except TypesMissing as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fakes.graph",
        description=_DESCRIPTION + "  " + ", ".join(Quirks.names()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--port", type=int, default=0, metavar="N", help="port to listen on; 0 (the default) takes a free one")
    add("--address", default="user@example.com", help="the user's address (default %(default)s)")
    add("--messages", type=int, default=1000, metavar="N", help="messages in the mailbox (default %(default)s)")
    add("--folders", type=int, default=8, metavar="N", help="folders that hold them (default %(default)s)")
    add("--seed", type=int, default=1, metavar="N", help="the same number gives the same mail (default %(default)s)")
    add(
        "--requests-per-10-min",
        type=int,
        default=10_000,
        metavar="N",
        help="limit of an application and mailbox (default %(default)s); 0: no limit",
    )
    add(
        "--max-concurrent", type=int, default=4, metavar="N", help="requests of a mailbox at once (default %(default)s)"
    )
    add("--token-lifetime", type=int, default=3600, metavar="S", help="seconds an access token lives (%(default)s)")
    add("--latency", type=float, default=0.0, metavar="S", help="seconds each call takes at least (default 0)")
    add("--tls", action="store_true", help="serve API and login on a second port over https; adds ca_file to the line")
    add("--tls-port", type=int, default=0, metavar="N", help="port for that; 0 (the default) takes a free one")
    add("--quirk", action="append", default=[], metavar="NAME[=N]", help="switch a quirk, repeatable; =0 turns it off")
    add("--token-file", type=Path, metavar="PATH", help="write the access token there, for access_token_file")
    arguments = parser.parse_args()
    for each in arguments.quirk:
        if each.partition("=")[0] not in Quirks.names():
            parser.error(f"there is no quirk {each}")
    return arguments


async def _serve(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    started = time.monotonic()
    options = dataclasses.replace(
        GraphOptions(),
        address=arguments.address,
        messages=arguments.messages,
        folders=arguments.folders,
        seed=arguments.seed,
        requests_per_10_min=arguments.requests_per_10_min or None,
        max_concurrent=arguments.max_concurrent,
        token_lifetime_s=arguments.token_lifetime,
        latency_s=arguments.latency,
        tls=arguments.tls,
    )
    for each in arguments.quirk:
        name, _, value = each.partition("=")
        options.quirks.set(name, int(value) if value else True)
    fake = FakeGraph(options)
    async with running_graph(fake=fake, port=arguments.port, tls_port=arguments.tls_port):
        ready = _ready(fake, time.monotonic() - started)
        if arguments.token_file is not None:
            arguments.token_file.write_text(str(ready["access_token"]))
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        await stop.wait()


def _ready(fake: FakeGraph, seconds: float) -> dict[str, object]:
    return {
        "api_root": fake.api_root,
        "authority": fake.authority(fake.options.tenant),
        "tenant": fake.options.tenant,
        "client_id": fake.options.client_id,
        "client_secret": fake.options.client_secret,
        "access_token": fake.access_token(),
        "app_token": fake.app_token(),
        "refresh_token": fake.refresh_token(),
        "ca_file": fake.ca_file,
        "address": fake.options.address,
        "messages": fake.options.messages,
        "started_in_s": round(seconds, 2),
    }


if __name__ == "__main__":
    sys.exit(main())
