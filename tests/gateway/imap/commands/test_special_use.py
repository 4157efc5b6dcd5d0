from __future__ import annotations

import pytest

from connectors.api.types import Role
from gateway.imap.commands.special_use import SPECIAL_USES, XLIST_USES, role_of_attribute


def test_every_role_has_its_word() -> None:
    assert set(SPECIAL_USES) == set(Role) - {Role.INBOX}
    assert set(XLIST_USES) == set(Role)


@pytest.mark.parametrize(
    ("attribute", "role"),
    [
        ("\\Sent", Role.SENT),
        ("\\trash", Role.TRASH),
        ("\\ARCHIVE", Role.ARCHIVE),
        ("\\All", None),
        ("\\Flagged", None),
        ("\\Inbox", None),
        ("\\Unheard", None),
    ],
)
def test_only_what_an_ordinary_mailbox_can_be_is_created(attribute: str, role: Role | None) -> None:
    assert role_of_attribute(attribute) is role
