"""Errors of tasks that work side by side."""

from __future__ import annotations

import logging

from connectors.api import errors
from gateway.store.errors import Conflict, StoreError

log = logging.getLogger(__name__)


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


def unforeseen(group: BaseExceptionGroup[Exception], account: str) -> errors.ConnectorError:
    """Log errors that are not the backend's, and return what the account's users are to be told."""
    refused, others = group.split(lambda error: isinstance(error, StoreError) and not isinstance(error, Conflict))
    if refused is None or others is not None:
        log.error("account %s: sync failed", account, exc_info=group)
        return errors.Unavailable(repr(group))
    text = _first(refused).operator_text
    log.error("account %s: sync failed: %s", account, text)
    return errors.Unavailable(f"the store cannot be used: {text}")


def _first(group: BaseExceptionGroup[Exception]) -> StoreError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, StoreError)
    return error
