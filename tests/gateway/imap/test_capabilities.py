from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.imap.capabilities import OFFER
from gateway.imap.capability import Capability, Offer, Situation
from tests.gateway.wire.reading import parse

STRANGER = Situation(is_authenticated=False, can_start_tls=True, can_log_in=True, append_limit=1000)
USER = replace(STRANGER, is_authenticated=True)


def test_the_revision_comes_first_and_no_name_comes_twice() -> None:
    told = OFFER.names(STRANGER)
    assert told[0] == "IMAP4rev1"
    assert len(told) == len(set(told))
    assert all(capability.source for capability in OFFER)


def test_these_are_offered_to_a_user() -> None:
    # By hand, so that nothing is lost from the line by mistake.
    assert set(OFFER.names(USER)) == {
        "ACL",
        "APPENDLIMIT=1000",
        "BINARY",
        "CATENATE",
        "CHILDREN",
        "COMPRESS=DEFLATE",
        "CONDSTORE",
        "CONTEXT=SEARCH",
        "CONTEXT=SORT",
        "CREATE-SPECIAL-USE",
        "ENABLE",
        "ESEARCH",
        "ESORT",
        "FILTERS",
        "I18NLEVEL=1",
        "ID",
        "IDLE",
        "IMAP4rev1",
        "IMAP4rev2",
        "INPROGRESS",
        "LIST-EXTENDED",
        "LIST-METADATA",
        "LIST-MYRIGHTS",
        "LIST-STATUS",
        "LITERAL+",
        "METADATA",
        "MOVE",
        "MULTIAPPEND",
        "MULTISEARCH",
        "NAMESPACE",
        "NOTIFY",
        "OBJECTID",
        "PARTIAL",
        "PREVIEW",
        "QRESYNC",
        "QUOTA",
        "QUOTA=RES-MESSAGE",
        "QUOTA=RES-STORAGE",
        "REPLACE",
        "RIGHTS=kxte",
        "SAVEDATE",
        "SEARCH=FUZZY",
        "SEARCHRES",
        "SORT",
        "SORT=DISPLAY",
        "SPECIAL-USE",
        "STATUS=SIZE",
        "THREAD=ORDEREDSUBJECT",
        "THREAD=REFERENCES",
        "THREAD=REFS",
        "UIDBATCHES",
        "UIDPLUS",
        "UNAUTHENTICATE",
        "UNSELECT",
        "UTF8=ACCEPT",
        "WITHIN",
        "XLIST",
    }


def test_mechanisms_are_offered_only_where_a_password_would_be_accepted() -> None:
    assert {"AUTH=PLAIN", "AUTH=LOGIN", "SASL-IR", "STARTTLS"} <= set(OFFER.names(STRANGER))
    assert "LOGINDISABLED" not in OFFER.names(STRANGER)
    in_the_clear = OFFER.names(replace(STRANGER, can_log_in=False))
    assert {"LOGINDISABLED", "STARTTLS"} <= set(in_the_clear)
    assert not [name for name in in_the_clear if name.startswith("AUTH=")]


def test_scram_is_offered_where_there_are_keys_and_bound_where_there_is_a_channel() -> None:
    plain = {"AUTH=SCRAM-SHA-256", "AUTH=SCRAM-SHA-1"}
    bound = {f"{name}-PLUS" for name in plain}
    assert not (plain | bound) & set(OFFER.names(replace(STRANGER, can_bind_channel=True)))
    with_keys = replace(STRANGER, has_scram=True)
    assert (plain | bound) & set(OFFER.names(with_keys)) == plain
    assert plain | bound <= set(OFFER.names(replace(with_keys, can_bind_channel=True)))
    assert not plain & set(OFFER.names(replace(with_keys, can_log_in=False)))
    assert not plain & set(OFFER.names(replace(with_keys, is_authenticated=True)))
    assert OFFER.has("AUTH=SCRAM-SHA-1", STRANGER)
    assert not OFFER.is_advertised("AUTH=SCRAM-SHA-1", STRANGER)


def test_a_certificate_brings_external_until_login() -> None:
    assert "AUTH=EXTERNAL" not in OFFER.names(STRANGER)
    assert "AUTH=EXTERNAL" in OFFER.names(replace(STRANGER, has_client_certificate=True))
    assert "AUTH=EXTERNAL" not in OFFER.names(replace(USER, has_client_certificate=True))


def test_tokens_are_taken_where_passwords_are_and_there_is_a_provider() -> None:
    names = {"AUTH=OAUTHBEARER", "AUTH=XOAUTH2"}
    assert not names & set(OFFER.names(STRANGER))
    assert names <= set(OFFER.names(replace(STRANGER, takes_tokens=True)))
    assert not names & set(OFFER.names(replace(STRANGER, takes_tokens=True, can_log_in=False)))


def test_what_is_for_strangers_is_not_offered_after_login() -> None:
    gone = set(OFFER.names(STRANGER)) - set(OFFER.names(USER))
    assert set(OFFER.names(USER)) - set(OFFER.names(STRANGER)) == {"UNAUTHENTICATE"}
    assert gone == {"AUTH=PLAIN", "AUTH=LOGIN", "SASL-IR", "STARTTLS"}


def test_gmails_extensions_are_for_users_who_have_such_an_account() -> None:
    assert "X-GM-EXT-1" not in OFFER.names(USER)
    assert "X-GM-EXT-1" not in OFFER.names(replace(STRANGER, has_gmail_ids=True))
    assert "X-GM-EXT-1" in OFFER.names(replace(USER, has_gmail_ids=True))


def test_the_append_limit_is_told_with_its_number() -> None:
    assert "APPENDLIMIT=1000" in OFFER.names(USER)


def test_an_append_limit_that_depends_on_the_mailbox_is_told_without_one() -> None:
    assert "APPENDLIMIT" in OFFER.names(replace(USER, append_limit=None))


def test_a_capability_can_be_switched_off_and_then_not_be_enabled() -> None:
    situation = replace(USER, disabled=frozenset({"QRESYNC", "APPENDLIMIT", "IDLE"}))
    told = OFFER.names(situation)
    assert not {"QRESYNC", "APPENDLIMIT=1000", "IDLE"} & set(told)
    assert OFFER.enableable(situation) == {"CONDSTORE", "UTF8=ACCEPT"}
    assert OFFER.enableable(USER) == {"CONDSTORE", "IMAP4REV2", "QRESYNC", "UTF8=ACCEPT"}


def test_nothing_is_advertised_that_cannot_be_kept_together() -> None:
    told = set(OFFER.names(USER))
    # RFC 7888 section 5; RFC 7162 section 3.2.3.
    assert not {"LITERAL+", "LITERAL-"} <= told
    assert "ENABLE" in told


@pytest.mark.parametrize("missing", ["ENABLE", "BINARY", "MOVE", "SASL-IR", "LIST-STATUS"])
def test_the_second_revision_is_offered_only_with_all_that_it_took_in(missing: str) -> None:
    situation = replace(USER, disabled=frozenset({missing}))
    assert "IMAP4rev2" not in OFFER.names(situation)
    # RFC 5161 section 3.1: what is not advertised cannot be enabled.
    assert "IMAP4REV2" not in OFFER.enableable(situation)


def test_what_is_offered_only_if_added_takes_the_place_of_another() -> None:
    offer = Offer(
        (
            Capability("PLUS", "-", "-"),
            Capability("MINUS", "-", "-", is_unasked=False, replaces="PLUS"),
        )
    )
    assert offer.names(USER) == ["PLUS"]
    assert offer.names(replace(USER, added=frozenset({"MINUS"}))) == ["MINUS"]
    assert offer.names(replace(USER, added=frozenset({"MINUS"}), disabled=frozenset({"MINUS"}))) == []


def test_a_bound_on_messages_is_told_where_there_is_one() -> None:
    bounded = replace(USER, message_limit=1000)
    assert not [name for name in OFFER.names(USER) if name.startswith(("MESSAGELIMIT", "SAVELIMIT"))]
    assert "MESSAGELIMIT=1000" in OFFER.names(bounded)
    told = OFFER.names(replace(bounded, added=frozenset({"SAVELIMIT"})))
    assert "SAVELIMIT=1000" in told
    assert "MESSAGELIMIT=1000" not in told


def test_jmap_is_told_of_to_users_who_have_it_where_the_operator_wants_it() -> None:
    added = frozenset({"JMAPACCESS"})
    assert "JMAPACCESS" in OFFER.names(replace(USER, has_jmap=True, added=added))
    assert "JMAPACCESS" not in OFFER.names(replace(USER, has_jmap=True))
    assert "JMAPACCESS" not in OFFER.names(replace(USER, added=added))
    assert "JMAPACCESS" not in OFFER.names(replace(STRANGER, has_jmap=True, added=added))


def test_small_literals_take_the_place_of_large_ones() -> None:
    told = OFFER.names(replace(USER, added=frozenset({"LITERAL-"})))
    assert "LITERAL-" in told
    assert "LITERAL+" not in told


def test_filters_are_offered_where_they_can_be_kept() -> None:
    # RFC 5466 section 3: as annotations of the server, which either of the two has.
    off = replace(USER, disabled=frozenset({"METADATA"}))
    assert "FILTERS" not in OFFER.names(off)
    assert not OFFER.has("FILTERS", off)
    in_its_place = replace(USER, added=frozenset({"METADATA-SERVER"}))
    for situation in (in_its_place, replace(in_its_place, disabled=frozenset({"METADATA"}))):
        assert {"FILTERS", "METADATA-SERVER"} <= set(OFFER.names(situation))
        assert "METADATA" not in OFFER.names(situation)
    assert "FILTERS" not in OFFER.names(replace(in_its_place, disabled=frozenset({"METADATA", "METADATA-SERVER"})))


def test_what_needs_another_goes_with_it() -> None:
    told = OFFER.names(replace(USER, disabled=frozenset({"CONDSTORE"})))
    assert not {"CONDSTORE", "QRESYNC"} & set(told)


def test_names_are_found_in_whatever_case() -> None:
    assert "idle" in OFFER
    assert "IDEL" not in OFFER
    assert OFFER.has("auth=plain", USER)
    assert not OFFER.has("idle", replace(USER, disabled=frozenset({"IDLE"})))


def test_what_needs_something_replaced_is_not_offered() -> None:
    told = OFFER.names(replace(USER, added=frozenset({"METADATA-SERVER"})))
    assert "METADATA-SERVER" in told
    assert not {"METADATA", "LIST-METADATA"} & set(told)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("CONDSTORE", b"SELECT INBOX (CONDSTORE)"),
        ("CONDSTORE", b"FETCH 1 (UID MODSEQ)"),
        ("CONDSTORE", b"UID FETCH 1:* FLAGS (CHANGEDSINCE 5)"),
        ("CONDSTORE", b"STORE 1 (UNCHANGEDSINCE 5) FLAGS (x)"),
        ("CONDSTORE", b"SEARCH NOT MODSEQ 5"),
        ("CONDSTORE", b"SORT (DATE) UTF-8 OR ALL MODSEQ 5"),
        ("CONDSTORE", b"STATUS INBOX (MESSAGES HIGHESTMODSEQ)"),
        ("CONDSTORE", b'LIST "" * RETURN (STATUS (HIGHESTMODSEQ))'),
        ("SEARCHRES", b"SEARCH RETURN (SAVE) ALL"),
        ("SEARCHRES", b"UID SORT RETURN (SAVE) (DATE) UTF-8 ALL"),
        ("SEARCHRES", b"ESEARCH IN (selected) RETURN (SAVE) ALL"),
        ("SEARCHRES", b"SEARCH NOT $"),
        ("SEARCHRES", b"THREAD REFS UTF-8 UID $"),
        ("SEARCHRES", b"FETCH $ UID"),
        ("SEARCHRES", b"UID STORE $ FLAGS (x)"),
        ("SEARCHRES", b"MOVE $ x"),
        ("SEARCHRES", b"UID EXPUNGE $"),
        ("WITHIN", b"SEARCH NOT OLDER 5"),
        ("WITHIN", b"ESEARCH IN (inboxes) YOUNGER 5"),
        ("OBJECTID", b"FETCH 1 (UID EMAILID)"),
        ("OBJECTID", b"FETCH 1 THREADID"),
        ("OBJECTID", b"SEARCH OR ALL EMAILID x"),
        ("OBJECTID", b"SORT (DATE) UTF-8 THREADID x"),
        ("OBJECTID", b"STATUS INBOX (MAILBOXID)"),
        ("X-GM-EXT-1", b"FETCH 1 (UID X-GM-LABELS)"),
        ("X-GM-EXT-1", b"STORE 1 +X-GM-LABELS (x)"),
        ("X-GM-EXT-1", b"SEARCH NOT X-GM-RAW x"),
        ("X-GM-EXT-1", b"UID SORT (DATE) UTF-8 X-GM-MSGID 1"),
        ("STATUS=SIZE", b"STATUS INBOX (SIZE)"),
        ("STATUS=SIZE", b'LIST "" * RETURN (STATUS (SIZE))'),
        ("SPECIAL-USE", b'LIST (SPECIAL-USE) "" *'),
        ("SPECIAL-USE", b'LIST "" * RETURN (SPECIAL-USE)'),
    ],
)
def test_what_is_switched_off_is_missed_by_commands_that_use_it(name: str, line: bytes) -> None:
    assert OFFER.missing(parse(line), USER) is None
    assert OFFER.missing(parse(line), replace(USER, disabled=frozenset({name}))) == name


@pytest.mark.parametrize(
    "line",
    [
        b"SELECT INBOX",
        b"FETCH 1:* (UID FLAGS)",
        b"UID STORE 1 FLAGS (x)",
        b"UID SEARCH RETURN (ALL) UID 1:5 2",
        b"STATUS INBOX (MESSAGES UIDNEXT UNSEEN)",
        b'LIST "" * RETURN (STATUS (MESSAGES))',
        b"EXPUNGE",
    ],
)
def test_other_commands_go_on_without_it(line: bytes) -> None:
    off = frozenset({"CONDSTORE", "SEARCHRES", "WITHIN", "OBJECTID", "X-GM-EXT-1", "STATUS=SIZE", "SPECIAL-USE"})
    assert OFFER.missing(parse(line), replace(USER, disabled=off)) is None
