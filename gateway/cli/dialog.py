"""The terminal as the dialog of a login, `connectors.api.credentials.LoginDialog`."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine

import typer

from gateway.cli.loopback import waiting_for_browser
from gateway.errors import OperatorError

PATIENCE_S = 600.0
"""How long a person may take to consent."""

_KEY = "login"
_READ_OCTETS = 64 * 1024


class TerminalDialog:
    """Tells and asks on standard error and input. `port` is where the browser is to come back to, 0 for a free one."""

    def __init__(self, port: int = 0, patience_s: float = PATIENCE_S) -> None:
        self._port = port
        self._patience_s = patience_s

    async def tell(self, text: str) -> None:
        """Show a paragraph of text."""
        typer.echo(f"{text}\n", err=True)

    async def ask(self, question: str, *, is_secret: bool = False) -> str:
        """Return what is typed, or the next line of what is piped in.

        Raises:
            OperatorError: the input is at its end.
        """
        if sys.stdin.isatty():
            answer = typer.prompt(question, default="", show_default=False, hide_input=is_secret, err=True)
            return str(answer).strip()
        line = sys.stdin.readline()
        if not line:
            raise OperatorError(f"there is nobody to ask for: {question}", key=_KEY)
        return line.strip()

    async def authorise(self, address: Callable[[str], str], is_answer: Callable[[str], bool]) -> str:
        """Show the page's address, and return the URL that the browser comes to, or that is pasted.

        Raises:
            OperatorError: the port is taken, or nobody has answered in time.
        """
        try:
            async with (
                asyncio.timeout(self._patience_s),
                waiting_for_browser(self._port, is_answer) as loopback,
            ):
                typer.echo(
                    f"Open this address in a browser and agree:\n\n  {address(loopback.redirect_uri)}\n\n"
                    "If the browser runs on another machine it ends with a page that it cannot open, at "
                    f"{loopback.redirect_uri}:\ncopy that page's address from the browser and paste it here.",
                    err=True,
                )
                return await _first(loopback.answer, _pasted(is_answer))
        except TimeoutError:
            raise OperatorError(f"nobody has agreed within {self._patience_s / 60:.0f} minutes", key=_KEY) from None
        except OSError as exc:
            raise OperatorError(f"port {self._port} of 127.0.0.1 cannot be used: {exc}", key="--login-port") from None


async def _first(browser: asyncio.Future[str], pasting: Coroutine[None, None, str]) -> str:
    """Return whichever comes first."""
    pasted = asyncio.create_task(pasting)
    try:
        await asyncio.wait({browser, pasted}, return_when=asyncio.FIRST_COMPLETED)
        return browser.result() if browser.done() else pasted.result()
    finally:
        pasted.cancel()
        await asyncio.gather(pasted, return_exceptions=True)


async def _pasted(is_answer: Callable[[str], bool]) -> str:
    """Return the first line typed that is the answer. Waits for ever once there is nothing more to read."""
    async for line in _lines():
        if is_answer(line.strip()):
            return line.strip()
        if line.strip():
            typer.echo("This is not the address of the page at the end of this login; copy it whole.", err=True)
    for_ever: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    return await for_ever


async def _lines() -> AsyncIterator[str]:
    """Yield the lines of standard input as they come, without keeping others waiting."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    try:
        descriptor = sys.stdin.fileno()
        loop.add_reader(descriptor, ready.set)
    except (OSError, ValueError, NotImplementedError):
        # A file, or none at all: reading it keeps nobody waiting.
        for line in sys.stdin:
            yield line
        return
    received = b""
    try:
        while True:
            await ready.wait()
            ready.clear()
            data = os.read(descriptor, _READ_OCTETS)
            received += data
            *ended, received = received.split(b"\n") if data else (received, b"")
            for octets in ended:
                yield octets.decode("utf-8", "replace")
            if not data:
                return
    finally:
        loop.remove_reader(descriptor)
