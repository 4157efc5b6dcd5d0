from __future__ import annotations

import pytest

from connectors.api import errors
from gateway.store.errors import Conflict, StoreError
from gateway.sync.failures import most_telling, unforeseen


def test_an_error_that_asks_for_a_login_tells_most_however_deep_it_is() -> None:
    lost, refused = errors.Unavailable("lost"), errors.AuthExpired("refused")
    group: BaseExceptionGroup[errors.ConnectorError] = BaseExceptionGroup(
        "inner", [errors.RateLimited("slowly"), refused]
    )
    group = BaseExceptionGroup("outer", [lost, group])  # type: ignore[list-item]
    assert most_telling(group) is refused
    assert most_telling(BaseExceptionGroup("outer", [lost])) is lost


def test_what_the_store_refuses_is_told_in_a_line(caplog: pytest.LogCaptureFixture) -> None:
    full = StoreError("cannot grow: the disk is full", source="/x/mail.db")
    error = unforeseen(ExceptionGroup("outer", [ExceptionGroup("inner", [full, full])]), "work")
    assert isinstance(error, errors.Unavailable)
    assert "/x/mail.db: cannot grow: the disk is full" in error.operator_text
    assert [record.getMessage() for record in caplog.records] == [
        "account work: sync failed: /x/mail.db: cannot grow: the disk is full"
    ]
    assert caplog.records[0].exc_info is None


@pytest.mark.parametrize("bug", [ValueError("a bug"), Conflict("a bug")], ids=repr)
def test_a_bug_is_told_with_where_it_is(caplog: pytest.LogCaptureFixture, bug: Exception) -> None:
    error = unforeseen(ExceptionGroup("outer", [bug, StoreError("full")]), "work")
    assert isinstance(error, errors.Unavailable)
    assert [record.exc_info is not None for record in caplog.records] == [True]
