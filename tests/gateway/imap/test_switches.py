from __future__ import annotations

import pytest

from gateway.imap.switches import Exemption, Switches

IDLE = frozenset({"IDLE"})


@pytest.mark.parametrize(
    ("exemption", "fits"),
    [
        (Exemption(IDLE, client="outlook"), False),
        (Exemption(IDLE, client="OUTLOOK*"), True),
        (Exemption(IDLE, client="Out*", login="bob"), False),
        (Exemption(IDLE, login="alice", account="work"), True),
        (Exemption(IDLE, account="home"), False),
    ],
)
def test_all_that_is_given_must_fit(exemption: Exemption, fits: bool) -> None:
    assert exemption.fits("Outlook-iOS", "alice", ("work", "club")) is fits


def test_what_is_not_known_yet_fits_nothing() -> None:
    assert not Exemption(IDLE, client="*").fits(None, "alice", ())
    assert not Exemption(IDLE, login="alice").fits("x", None, ())


def test_exemptions_add_up_with_what_is_off_for_everybody() -> None:
    switches = Switches(
        disabled=frozenset({"XLIST"}),
        exemptions=(Exemption(IDLE, login="alice"), Exemption(frozenset({"MOVE"}), login="bob")),
    )
    assert switches.disabled_for(None, "alice", ()) == {"XLIST", "IDLE"}
