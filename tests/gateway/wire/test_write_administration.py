from __future__ import annotations

from gateway.wire.quota import Resource, ResourceUse
from gateway.wire.rights import Right, format_rights
from gateway.wire.write_administration import acl, list_rights, my_rights, quota, quota_root

READING = frozenset({Right.READ, Right.LOOKUP})


def test_quota_roots() -> None:
    assert quota_root("INBOX", ["", "#user/alice"]) == b'* QUOTAROOT "INBOX" "" #user/alice\r\n'
    assert quota_root("Entwürfe", []) == b'* QUOTAROOT "Entw&APw-rfe"\r\n'


def test_uses_of_a_root() -> None:
    uses = [ResourceUse(Resource.STORAGE, 10, 512), ResourceUse(Resource.MESSAGE, 20, 100)]
    assert quota("", uses) == b'* QUOTA "" (STORAGE 10 512 MESSAGE 20 100)\r\n'
    assert quota("a b", []) == b'* QUOTA "a b" ()\r\n'


def test_rights_have_the_letters_of_the_older_rfc_with_them() -> None:
    assert format_rights(READING) == b"lr"
    assert format_rights(frozenset({Right.CREATE})) == b"kc"
    assert format_rights(frozenset({Right.EXPUNGE})) == b"ed"
    assert format_rights(frozenset(Right)) == b"lrswipkxteacd"


def test_access_control() -> None:
    assert acl("INBOX", [("Fred", READING), ("", frozenset())]) == b'* ACL "INBOX" Fred lr "" ""\r\n'
    assert my_rights("INBOX", READING) == b'* MYRIGHTS "INBOX" lr\r\n'
    assert list_rights("INBOX", "a b", frozenset()) == b'* LISTRIGHTS "INBOX" "a b" ""\r\n'
