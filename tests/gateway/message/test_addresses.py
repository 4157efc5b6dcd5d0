from __future__ import annotations

import pytest

from gateway.message.addresses import GROUP_END, Address, parse_addresses

MAILBOX, DOMAIN = b"MISSING_MAILBOX", b"MISSING_DOMAIN"


def at(mailbox: bytes, host: bytes = b"b", name: bytes | None = None, route: bytes | None = None) -> Address:
    return Address(name, route, mailbox, host)


def group(name: bytes, *members: Address) -> list[Address]:
    return [Address(None, None, name, None), *members, GROUP_END]


A, C = at(b"a"), at(b"c", b"d")

CASES: list[tuple[bytes, list[Address]]] = [
    (b"", []),
    (b"  ", []),
    (b"a@b", [A]),
    (b"<a@b>", [A]),
    (b"Alex <a@b>", [at(b"a", name=b"Alex")]),
    (b'"Alex, E" <a@b>,c@d', [at(b"a", name=b"Alex, E"), C]),
    (b'"Alex\\"E" <a@b>', [at(b"a", name=b'Alex"E')]),
    (b'"" <a@b>', [A]),
    (b'A "Q" <a@b>', [at(b"a", name=b"A Q")]),
    (b"A. E. Ex <a@b>", [at(b"a", name=b"A. E. Ex")]),
    (b"Al\r\n  ex <a@b>", [at(b"a", name=b"Al ex")]),
    (b"=?utf-8?q?Al_Ex?= <a@b>", [at(b"a", name=b"=?utf-8?q?Al_Ex?=")]),
    (b"a@b (Alex)", [at(b"a", name=b"Alex")]),
    (b"a@b (nes(ted) \\))", [at(b"a", name=b"nes(ted) )")]),
    (b"(before) a@b", [A]),
    (b"Alex (c) E <a@b> (d)", [at(b"a", name=b"Alex E")]),
    (b"()", []),
    (b"a@[192.0.2.1]", [at(b"a", b"[192.0.2.1]")]),
    (b'"a b"@b', [at(b"a b")]),
    (b'"a"."c"@b', [at(b"a.c")]),
    (b"a . c@b . d", [at(b"a.c", b"b.d")]),
    (b"Alex < a @ b >", [at(b"a", name=b"Alex")]),
    (b"<@r1,@r2:a@b>, c@d", [at(b"a", route=b"@r1,@r2"), C]),
    (b"g:;", group(b"g")),
    (b"my g: a@b, c@d;, a@b", [*group(b"my g", A, C), A]),
    (b"g: a@b", group(b"g", A)),
    (b"g: h: a@b;;", group(b"g", at(b"h:a"))),
    (b": a@b;", group(b"", A)),
    (b"a@b,,c@d,", [A, C]),
    (b"a@b; c@d", [A, C]),
    (b"a@b c@d", [A, C]),
    (b"Alex <a@b> Bo <c@d>", [at(b"a", name=b"Alex"), at(b"c", b"d", b"Bo")]),
    (b"Alex <a@b> trailing, c@d", [at(b"a", name=b"Alex"), C]),
    (b"Alex <a@b, c@d", [at(b"a", name=b"Alex"), C]),
    (b"Alex a@b", [at(b"a", name=b"Alex")]),
    (b'"open <a@b>, c@d', [at(b"a", name=b"open"), C]),
    (b"a@b (open, c@d", [A, C]),
    (b"<<a@b>>, c@d", [A, C]),
    (b"root", [at(b"root", DOMAIN)]),
    (b"Alex Example", [at(MAILBOX, DOMAIN, b"Alex Example")]),
    (b"<>", [at(MAILBOX, DOMAIN)]),
    (b"@b", [at(MAILBOX)]),
    (b"a@", [at(b"a", DOMAIN)]),
    (b"a@c@b", [at(b"a@c")]),
    (b"\xfc <a@b>", [at(b"a", name=b"\xfc")]),
    (b"x\0y <a@b>", [at(b"a", name=b"x\xef\xbf\xbdy")]),
]


@pytest.mark.parametrize(("value", "addresses"), CASES)
def test_addresses(value: bytes, addresses: list[Address]) -> None:
    assert parse_addresses(value, 100) == addresses


@pytest.mark.parametrize("value", [b"a@b, " * 50, b"(c) a@b, " * 50, b"g: " + b"a@b, " * 50 + b";", b"a:;" * 50])
def test_addresses_are_bounded_and_groups_ended(value: bytes) -> None:
    found = parse_addresses(value, 10)
    assert 10 <= len(found) <= 11
    starts = sum(address.host is None and address.mailbox is not None for address in found)
    assert starts == found.count(GROUP_END)


def test_no_address_is_read_where_there_is_no_room() -> None:
    assert parse_addresses(b"a@b, c@d", 0) == []
    assert parse_addresses(b"g: a@b;", 0) == []
