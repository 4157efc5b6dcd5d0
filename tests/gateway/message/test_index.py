from __future__ import annotations

import pytest

from gateway.message.index import decode_index, encode_index
from gateway.message.scan import scan
from gateway.message.structure import render_structure
from tests.corpus.generate import messages
from tests.gateway.message.samples import vectors


def test_a_tree_comes_back_whole() -> None:
    samples = [*vectors().values(), *(message.data for message in messages(60, seed=3))]
    for data in samples:
        part = scan(data)
        again = decode_index(encode_index(part))
        assert again == part
        assert render_structure(again, is_extensible=True) == render_structure(part, is_extensible=True)


def test_an_index_is_small() -> None:
    indexed = [(len(encode_index(scan(message.data))), len(message.data)) for message in messages(100, seed=4)]
    assert sum(size for size, _ in indexed) < sum(octets for _, octets in indexed) / 20


@pytest.mark.parametrize(
    "data",
    [b"", b"x", b"1", b"[]", b"{}", b"[2,[]]", b"[1,7]", b'[1,["a"]]', b"[1,[0,0,0,0,7]]", b"\xff", b"[" * 99_999],
)
def test_a_damaged_index_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode_index(data)
