from __future__ import annotations

from gateway.wire.jmap_access import jmap_access


def test_the_answer() -> None:
    url = "https://example.com/.s/[jmap]"
    assert jmap_access(url) == b'* JMAPACCESS "https://example.com/.s/[jmap]"\r\n'
