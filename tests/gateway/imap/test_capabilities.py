from __future__ import annotations

from dataclasses import replace

from gateway.imap.capabilities import CAPABILITIES, Situation, enableable, names

STRANGER = Situation(is_authenticated=False, can_start_tls=True, can_log_in=True, append_limit=1000)
USER = replace(STRANGER, is_authenticated=True)


def test_the_revision_comes_first_and_no_name_comes_twice() -> None:
    told = names(STRANGER)
    assert told[0] == "IMAP4rev1"
    assert len(told) == len(set(told))
    assert all(capability.source for capability in CAPABILITIES)


def test_mechanisms_are_offered_only_where_a_password_would_be_accepted() -> None:
    assert {"AUTH=PLAIN", "AUTH=LOGIN", "SASL-IR", "STARTTLS"} <= set(names(STRANGER))
    assert "LOGINDISABLED" not in names(STRANGER)
    in_the_clear = names(replace(STRANGER, can_log_in=False))
    assert {"LOGINDISABLED", "STARTTLS"} <= set(in_the_clear)
    assert not [name for name in in_the_clear if name.startswith("AUTH=")]


def test_what_is_for_strangers_is_not_offered_after_login() -> None:
    gone = set(names(STRANGER)) - set(names(USER))
    assert gone == {"AUTH=PLAIN", "AUTH=LOGIN", "SASL-IR", "STARTTLS"}


def test_gmails_extensions_are_for_users_who_have_such_an_account() -> None:
    assert "X-GM-EXT-1" not in names(USER)
    assert "X-GM-EXT-1" not in names(replace(STRANGER, has_gmail_ids=True))
    assert "X-GM-EXT-1" in names(replace(USER, has_gmail_ids=True))


def test_the_append_limit_is_told_with_its_number() -> None:
    assert "APPENDLIMIT=1000" in names(USER)


def test_a_capability_can_be_switched_off_and_then_not_be_enabled() -> None:
    situation = replace(USER, disabled=frozenset({"QRESYNC", "APPENDLIMIT", "IDLE"}))
    told = names(situation)
    assert not {"QRESYNC", "APPENDLIMIT=1000", "IDLE"} & set(told)
    assert enableable(situation) == {"CONDSTORE"}
    assert enableable(USER) == {"CONDSTORE", "QRESYNC"}


def test_nothing_is_advertised_that_cannot_be_kept_together() -> None:
    told = set(names(USER))
    # RFC 7888 section 5; RFC 7162 section 3.2.3; what only IMAP4rev2 has.
    assert not {"LITERAL+", "LITERAL-"} <= told
    assert "ENABLE" in told
    assert "IMAP4rev2" not in told
