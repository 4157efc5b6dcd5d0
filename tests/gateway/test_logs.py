from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from connectors.api.credentials import Secret
from gateway import logs


@pytest.fixture(autouse=True)
def restored_root() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def logged(form: str, level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    logs.configure(level, form, stream)
    return stream


def test_json_is_one_object_a_line_with_the_fields() -> None:
    stream = logged("json")
    logging.getLogger("gateway.test").warning("account %s failed", "work", extra={"attempts": 3})
    line = json.loads(stream.getvalue())
    assert line["event"] == "account work failed"
    assert line["level"] == "warning"
    assert line["logger"] == "gateway.test"
    assert line["attempts"] == 3
    assert line["timestamp"].endswith("Z")


def test_the_level_is_respected() -> None:
    stream = logged("json", "warning")
    logging.getLogger("gateway.test").info("not this")
    assert stream.getvalue() == ""


@pytest.mark.parametrize("form", ["json", "console"])
def test_fields_named_after_secrets_are_redacted(form: str) -> None:
    stream = logged(form)
    extra = {"password": "hunter2", "refresh_token": "hunter2", "login": Secret("hunter2")}
    logging.getLogger("gateway.test").info("login", extra=extra)
    assert "hunter2" not in stream.getvalue()
    assert "***" in stream.getvalue()


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_line_end_in_a_text_does_not_start_a_line(form: str) -> None:
    stream = logged(form)
    logging.getLogger("gateway.test").info("name %s", "x\r\n2026-01-01 [error] forged\x1b[31m")
    assert stream.getvalue().count("\n") == 1
    assert "\x1b[31m" not in stream.getvalue()
    assert r"x\r\n2026" in stream.getvalue().replace("\\\\", "\\")


def test_a_traceback_is_kept() -> None:
    stream = logged("json")
    try:
        raise KeyError("missing")
    except KeyError:
        logging.getLogger("gateway.test").exception("failed")
    assert "KeyError: 'missing'" in json.loads(stream.getvalue())["exception"]
    stream = logged("console")
    try:
        raise KeyError("missing")
    except KeyError:
        logging.getLogger("gateway.test").exception("failed")
    assert "Traceback (most recent call last)" in stream.getvalue()


@pytest.mark.parametrize("name", ["hpack.hpack", "httpcore.http2", "asyncio"])
def test_what_libraries_log_of_every_octet_is_left_out(name: str) -> None:
    """At the level of debug they show header fields, and with these tokens."""
    stream = logged("json", "debug")
    logging.getLogger(name).debug("Encoding (b'authorization', b'Bearer x')")
    assert stream.getvalue() == ""
    logging.getLogger(name).warning("trouble")
    assert json.loads(stream.getvalue())["event"] == "trouble"
