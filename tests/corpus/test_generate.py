from __future__ import annotations

import re
from itertools import pairwise

from tests.corpus.generate import messages


def test_a_seed_always_gives_the_same_messages() -> None:
    assert list(messages(40, seed=1)) == list(messages(40, seed=1))
    assert list(messages(40, seed=1)) != list(messages(40, seed=2))
    assert list(messages(80, seed=1))[:40] == list(messages(40, seed=1))


def test_lines_end_in_crlf() -> None:
    for message in messages(200, seed=1):
        assert message.data.count(b"\n") == message.data.count(b"\r\n") == message.data.count(b"\r")


def test_messages_are_of_ordinary_size() -> None:
    sizes = sorted(len(message.data) for message in messages(400, seed=1))
    assert sizes[0] > 500
    assert 2_000 < sizes[200] < 20_000
    assert sizes[-1] > 100_000


def test_messages_arrive_in_order() -> None:
    dates = [message.internal_date for message in messages(50, seed=1)]
    assert all(earlier < later for earlier, later in pairwise(dates))
    assert dates[0].tzinfo is not None


def test_all_hosts_belong_to_nobody() -> None:
    for message in messages(200, seed=1):
        header = message.data.partition(b"\r\n\r\n")[0]
        hosts = re.findall(rb"@([a-z.]+)", header)
        assert hosts
        assert all(re.search(rb"example\.(com|org|net)$", host) for host in hosts)


def test_the_kinds_of_mail_all_come() -> None:
    everything = b"".join(message.data for message in messages(400, seed=1)).lower()
    for kind in (
        b"multipart/alternative", b"multipart/related", b"multipart/mixed", b"multipart/signed", b"multipart/report",
        b"multipart/digest", b"message/rfc822", b"message/delivery-status", b"text/calendar", b"format=flowed",
        b"quoted-printable", b"8bit", b"filename*=utf-8''", b"filename*0*=", b"=?utf-8?", b"references:", b"received:",
    ):  # fmt: skip
        assert kind in everything, kind
