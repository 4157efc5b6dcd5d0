from __future__ import annotations

import statistics
from email import message_from_bytes

from bench.corpus import corpus, large_message


def test_messages_are_of_a_usual_size_and_always_the_same() -> None:
    first = list(corpus(600))
    assert len(first) == 600
    assert first == list(corpus(600))
    sizes = [len(message.data) for message in first]
    assert 4_000 < statistics.mean(sizes) < 12_000
    assert sum(size > 20 * 1024 for size in sizes) <= 3


def test_the_large_message_is_as_large_as_asked_for() -> None:
    message = large_message(1_000_000)
    assert 0 <= 1_000_000 - len(message) < 100
    parts = message_from_bytes(message).get_payload()
    assert isinstance(parts, list)
    assert len(parts) == 2
