"""Errors of tasks that work side by side."""

from __future__ import annotations

from connectors.api import errors


def most_telling(group: BaseExceptionGroup[errors.ConnectorError]) -> errors.ConnectorError:
    """Return the most telling error of a group: one that asks for a login before any other."""
    found: list[errors.ConnectorError] = []
    pending: list[BaseException] = [group]
    while pending:
        error = pending.pop(0)
        if isinstance(error, BaseExceptionGroup):
            pending.extend(error.exceptions)
        elif isinstance(error, errors.ConnectorError):
            found.append(error)
    found.sort(key=lambda error: not isinstance(error, errors.AuthExpired))
    return found[0]
