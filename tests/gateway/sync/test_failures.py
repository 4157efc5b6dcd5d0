from __future__ import annotations

from connectors.api import errors
from gateway.sync.failures import most_telling


def test_an_error_that_asks_for_a_login_tells_most_however_deep_it_is() -> None:
    lost, refused = errors.Unavailable("lost"), errors.AuthExpired("refused")
    group: BaseExceptionGroup[errors.ConnectorError] = BaseExceptionGroup(
        "inner", [errors.RateLimited("slowly"), refused]
    )
    group = BaseExceptionGroup("outer", [lost, group])  # type: ignore[list-item]
    assert most_telling(group) is refused
    assert most_telling(BaseExceptionGroup("outer", [lost])) is lost
