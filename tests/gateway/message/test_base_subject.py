from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.message.base_subject import BaseSubject, base_subject


@pytest.mark.parametrize(
    ("subject", "text", "is_reply"),
    [
        ("report", "report", False),
        ("  Quarterly \t report ", "Quarterly report", False),
        ("Re: report", "report", True),
        ("RE : report", "report", True),
        ("Fw: report", "report", True),
        ("FWD: Re: report", "report", True),
        ("Re[2]: report", "report", True),
        ("Re [list]: report", "report", True),
        ("[list] Re: report", "report", True),
        ("[list] [other] report", "report", False),
        ("[list]", "[list]", False),
        ("Re: [list]", "[list]", True),
        ("report (fwd)", "report", True),
        ("report (fwd) (FWD)  ", "report", True),
        ("[fwd: report]", "report", True),
        ("[Fwd: Re: [list] report (fwd)]", "report", True),
        ("[fwd: report", "[fwd: report", False),
        ("Re:", "", True),
        ("", "", False),
        ("Reader: report", "Reader: report", False),
        ("Forward: report", "Forward: report", False),
        ("Re report", "Re report", False),
        ("[a [b] report", "[a [b] report", False),
        ("Re: Re: Re: Re: x", "x", True),
    ],
)
def test_bases(subject: str, text: str, is_reply: bool) -> None:
    assert base_subject(subject) == BaseSubject(text, is_reply)


@given(
    st.lists(st.sampled_from(["re:", "fwd:", "[x]", "[fwd:", "]", "(fwd)", " ", "a", "["]), max_size=30).map("".join)
)
def test_a_base_is_its_own_base(subject: str) -> None:
    assert base_subject(base_subject(subject).text).text == base_subject(subject).text


def test_hostile_subjects_cost_little() -> None:
    for subject in (
        "[" * 100_000,
        "re:" * 100_000,
        "[a]" * 100_000,
        "[fwd:" * 50_000 + "]" * 50_000,
        "(fwd)" * 100_000,
    ):
        assert len(base_subject(subject).text) <= 4096
