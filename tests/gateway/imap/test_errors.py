from __future__ import annotations

import pytest

from gateway.errors import ErrorKind, MailError
from gateway.imap.errors import CODES, completion_of
from gateway.wire.codes import Status


@pytest.mark.parametrize("kind", ErrorKind)
def test_every_kind_has_an_answer_and_shows_only_the_client_text(kind: ErrorKind) -> None:
    assert kind in CODES
    completion = completion_of(MailError(kind, "Sorry.", "token abc refused by 192.0.2.7"))
    assert completion.status is Status.NO
    assert completion.text == "Sorry."


def test_a_refused_login_at_the_backend_is_not_told_as_a_wrong_password() -> None:
    assert completion_of(MailError(ErrorKind.AUTH_EXPIRED, "x")).code == b"UNAVAILABLE"
