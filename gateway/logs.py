"""Logging: modules log to the standard library's loggers, structlog renders it, for people or as JSON, on one line.

Secrets do not reach a log because nobody logs them (`connectors.api.credentials.Secret` prints as `***`); what is done
here is the second fence: a field whose name says that it holds a secret is replaced.
"""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_SECRET_NAMES = ("password", "secret", "token", "credential", "authorization", "private_key")
_NOISY = ("alembic", "sqlalchemy", "asyncio", "hpack", "httpcore")


def configure(level: str, form: str, stream: TextIO | None = None) -> None:
    """Send everything of at least `level` (debug, info, warning, error) to `stream`, standard error if None.

    `form` is "console" or "json". May be called again; the last call counts.
    """
    stream = stream or sys.stderr
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        redact,
        one_line,
    ]
    renderer: Processor
    if form == "json":
        shared.append(structlog.processors.format_exc_info)
        renderer = structlog.processors.JSONRenderer(ensure_ascii=False)
    else:
        renderer = structlog.dev.ConsoleRenderer(
            colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def redact(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Replace the value of each field named after a secret."""
    for key in event:
        if any(name in key.lower() for name in _SECRET_NAMES):
            event[key] = "***"
    return event


def one_line(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Escape control characters in texts, so that what a client or a backend sent cannot forge a line of the log."""
    for key, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[key] = "".join(char if char.isprintable() else repr(char)[1:-1] for char in value)
    return event
