from __future__ import annotations

import asyncio
import io
import os
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from gateway.cli.dialog import TerminalDialog
from gateway.errors import OperatorError

ADDRESS = "https://consent.example/auth?redirect_uri="


def is_answer(url: str) -> bool:
    return url.endswith("state=right")


class Terminal:
    """Standard input as a pipe that a test writes to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        read, self._write = os.pipe()
        self.input = os.fdopen(read, encoding="utf-8")
        monkeypatch.setattr(sys, "stdin", self.input)

    def type(self, text: str) -> None:
        os.write(self._write, text.encode())

    def end(self) -> None:
        if self._write >= 0:
            os.close(self._write)
            self._write = -1


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    terminal = Terminal(monkeypatch)
    yield terminal
    terminal.end()
    terminal.input.close()


class Page:
    """The page of consent: tells when it was asked for, and with which redirect URI."""

    def __init__(self) -> None:
        self.redirect_uri: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def address(self, redirect_uri: str) -> str:
        self.redirect_uri.set_result(redirect_uri)
        return f"{ADDRESS}{redirect_uri}"


async def visit(url: str) -> None:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(f"GET {parts.path}?{parts.query} HTTP/1.1\r\n\r\n".encode())
    await reader.read()
    writer.close()


async def test_the_address_is_shown_and_the_browser_comes_back(
    terminal: Terminal, capsys: pytest.CaptureFixture[str]
) -> None:
    page = Page()
    answer = asyncio.create_task(TerminalDialog().authorise(page.address, is_answer))
    redirect_uri = await page.redirect_uri
    await visit(f"{redirect_uri}/?code=x&state=right")
    assert await answer == f"{redirect_uri}/?code=x&state=right"
    captured = capsys.readouterr()
    assert f"\n  {ADDRESS}{redirect_uri}\n" in captured.err
    assert captured.out == ""


async def test_what_the_browser_shows_elsewhere_may_be_pasted(
    terminal: Terminal, capsys: pytest.CaptureFixture[str]
) -> None:
    page = Page()
    answer = asyncio.create_task(TerminalDialog().authorise(page.address, is_answer))
    redirect_uri = await page.redirect_uri
    terminal.type("\n")
    terminal.type("yes\n")
    terminal.type(f"  {redirect_uri}/?code=x&state=right \r\n")
    assert await answer == f"{redirect_uri}/?code=x&state=right"
    assert capsys.readouterr().err.count("copy it whole") == 1


async def test_at_the_end_of_the_input_the_browser_is_waited_for(terminal: Terminal) -> None:
    page = Page()
    terminal.end()
    answer = asyncio.create_task(TerminalDialog().authorise(page.address, is_answer))
    redirect_uri = await page.redirect_uri
    await visit(f"{redirect_uri}/?code=x&state=right")
    assert (await answer).endswith("/?code=x&state=right")


async def test_input_from_a_file_is_taken_as_pasted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("http://127.0.0.1:1/?code=x&state=right\n"))
    assert await TerminalDialog().authorise(Page().address, is_answer) == "http://127.0.0.1:1/?code=x&state=right"


async def test_nobody_is_waited_for_for_ever(terminal: Terminal) -> None:
    with pytest.raises(OperatorError, match="login: nobody has agreed within 0 minutes"):
        await TerminalDialog(patience_s=0.01).authorise(Page().address, is_answer)


async def test_a_port_that_is_taken_is_named(terminal: Terminal) -> None:
    page = Page()
    waiting = asyncio.create_task(TerminalDialog().authorise(page.address, is_answer))
    port = urlsplit(await page.redirect_uri).port
    assert port is not None
    with pytest.raises(OperatorError, match=f"--login-port: port {port} of 127.0.0.1 cannot be used"):
        await TerminalDialog(port).authorise(Page().address, is_answer)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def test_answers_are_lines_of_what_is_piped_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(" one \n\n"))
    dialog = TerminalDialog()
    assert await dialog.ask("First") == "one"
    assert await dialog.ask("Second", is_secret=True) == ""
    with pytest.raises(OperatorError, match="login: there is nobody to ask for: Third"):
        await dialog.ask("Third")


async def test_what_is_told_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    await TerminalDialog().tell("Hello")
    assert capsys.readouterr().err == "Hello\n\n"
