"""Messages made anew out of JSON."""

from __future__ import annotations

import base64
import email
import email.policy
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage, Message
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.graph.layout import CLASS_OPAQUE, CLASS_SIGNED
from connectors.graph.rebuilding import (
    DELIVERY_TIME,
    HEADER,
    IN_REPLY_TO,
    MESSAGE_CLASS,
    MESSAGE_FLAGS,
    REFERENCES,
    REQUEST_OCTETS,
    SUBMIT_TIME,
    Fidelity,
    Rebuilt,
    rebuild,
)
from tests.corpus.generate import messages

VECTORS = Path(__file__).parents[2] / "vectors" / "mail"
RECEIVED = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)


def made(data: bytes, fidelity: Fidelity = Fidelity.FULL, *, is_draft: bool = False) -> Rebuilt:
    return rebuild(data, marks={"isRead": True}, properties={}, received=RECEIVED, is_draft=is_draft, fidelity=fidelity)


def properties(rebuilt: Rebuilt) -> dict[str, str]:
    listed: Any = rebuilt.fields["singleValueExtendedProperties"]
    return {each["id"]: each["value"] for each in listed}


def content(part: dict[str, Any]) -> bytes:
    return base64.b64decode(part["contentBytes"], validate=True)


def files(rebuilt: Rebuilt) -> list[dict[str, Any]]:
    return [part.as_json() for part in (*rebuilt.together, *rebuilt.later)]


def body(rebuilt: Rebuilt) -> dict[str, str]:
    found: Any = rebuilt.fields["body"]
    return dict(found)


PLAIN = (
    b"Received: from a by b; Mon, 6 May 2024 07:00:00 +0000\r\n"
    b"Date: Mon, 06 May 2024 08:59:59 +0200\r\nFrom: Alex <alex@example.org>\r\nSender: s@example.org\r\n"
    b"To: a@example.org, Team: b@example.org;\r\nCc: c@example.org\r\nBcc: d@example.org\r\n"
    b"Reply-To: e@example.org\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <1@example.org>\r\n"
    b"In-Reply-To: <0@example.org>\r\nReferences: <00@example.org>\r\n <0@example.org>\r\nX-Priority: 1 (Highest)\r\n"
    b"Content-Type: text/plain; charset=iso-8859-1\r\n\r\ncaf\xe9\r\n"
)


def test_what_graph_has_fields_for_goes_into_them() -> None:
    fields: Any = made(PLAIN).fields
    assert fields["subject"] == "Grüße"
    assert fields["from"] == {"emailAddress": {"name": "Alex", "address": "alex@example.org"}}
    assert fields["sender"]["emailAddress"]["address"] == "s@example.org"
    assert [each["emailAddress"]["address"] for each in fields["toRecipients"]] == ["a@example.org", "b@example.org"]
    assert [fields[key][0]["emailAddress"]["address"] for key in ("ccRecipients", "bccRecipients", "replyTo")] == [
        "c@example.org", "d@example.org", "e@example.org",
    ]  # fmt: skip
    assert fields["internetMessageId"] == "<1@example.org>"
    assert fields["importance"] == "high"
    assert fields["isRead"] is True
    assert fields["body"] == {"contentType": "text", "content": "café\r\n"}
    assert "attachments" not in made(PLAIN).payload()


def test_what_it_has_no_fields_for_goes_into_mapi_properties() -> None:
    found = properties(made(PLAIN))
    assert found[MESSAGE_FLAGS] == "1"
    assert found[DELIVERY_TIME] == "2024-05-06T07:08:09Z"
    assert found[SUBMIT_TIME] == "2024-05-06T06:59:59Z"
    assert found[REFERENCES] == "<00@example.org> <0@example.org>"
    assert found[IN_REPLY_TO] == "<0@example.org>"
    assert found[HEADER] == PLAIN.partition(b"\r\n\r\n")[0].decode() + "\r\n\r\n"


def test_a_draft_is_left_unsent() -> None:
    assert not {MESSAGE_FLAGS, HEADER} & properties(made(PLAIN, is_draft=True)).keys()


def test_a_message_without_a_sender_is_sent_by_whom_it_is_from() -> None:
    fields: Any = made(b"From: a@example.org\r\n\r\n").fields
    assert fields["sender"]["emailAddress"]["address"] == "a@example.org"


def test_html_is_preferred_and_its_images_are_inline() -> None:
    message = EmailMessage()
    message.set_content("plain")
    message.add_alternative('<img src="cid:i@example.org">', subtype="html")
    html: Any = message.get_payload(1)
    html.add_related(b"\x89PNG", "image", "png", cid="<i@example.org>")
    message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="Übersicht.pdf")
    rebuilt = made(bytes(message))
    assert body(rebuilt)["contentType"] == "html"
    image, pdf = files(rebuilt)
    assert (image["isInline"], image["contentId"], image["contentType"], content(image)) == (
        True, "i@example.org", "image/png", b"\x89PNG",
    )  # fmt: skip
    assert (pdf["isInline"], pdf["name"], content(pdf)) == (False, "Übersicht.pdf", b"%PDF")


def test_an_invitation_among_alternatives_is_attached() -> None:
    message = EmailMessage()
    message.set_content("plain")
    message.add_alternative("<p>page</p>", subtype="html")
    message.add_alternative(b"BEGIN:VCALENDAR", maintype="text", subtype="calendar")
    (invitation,) = files(made(bytes(message)))
    assert invitation["contentType"].startswith("text/calendar")
    assert invitation["name"].endswith(".ics")


def test_an_attached_message_keeps_its_octets() -> None:
    inner = b"Subject: inner/\xc3\xbc\r\nDKIM-Signature: x\r\n\r\n\xff\x00body\r\n"
    data = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\n"
        b"Content-Type: message/rfc822\r\n\r\n" + inner + b"\r\n--b--\r\n"
    )
    (part,) = files(made(data))
    assert (part["name"], part["contentType"], content(part)) == ("inner_ü.eml", "message/rfc822", inner)


def test_a_signed_message_is_one_file_with_all_that_was_signed() -> None:
    signed = (
        b"--b\r\nContent-Type: text/plain\r\n\r\nsigned text\r\n--b\r\n"
        b"Content-Type: application/pkcs7-signature\r\n\r\nxyz\r\n--b--\r\n"
    )
    data = b"Subject: s\r\nContent-Type: multipart/signed; protocol=x;\r\n\tboundary=b\r\n\r\n" + signed
    rebuilt = made(data)
    (part,) = files(rebuilt)
    assert properties(rebuilt)[MESSAGE_CLASS] == CLASS_SIGNED
    assert (part["name"], part["contentType"]) == ("smime.p7m", "multipart/signed")
    assert content(part) == b"Content-Type: multipart/signed; protocol=x;\r\n\tboundary=b\r\n\r\n" + signed
    assert body(rebuilt)["content"] == "signed text"


def test_an_encrypted_message_is_its_one_file() -> None:
    data = (
        b"Subject: s\r\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(b"\x30\x80secret")
    )
    rebuilt = made(data)
    (part,) = files(rebuilt)
    assert properties(rebuilt)[MESSAGE_CLASS] == CLASS_OPAQUE
    assert content(part) == b"\x30\x80secret"
    assert "enveloped-data" in part["contentType"]


def test_the_bare_form_attaches_the_whole_message() -> None:
    rebuilt = made(PLAIN, Fidelity.BARE)
    (part,) = files(rebuilt)
    assert (part["name"], part["contentType"], content(part)) == ("message.eml", "message/rfc822", PLAIN)
    assert set(properties(rebuilt)) == {MESSAGE_FLAGS, DELIVERY_TIME, SUBMIT_TIME}
    assert "toRecipients" not in rebuilt.fields


def test_a_text_that_does_not_fit_is_attached_too() -> None:
    data = b"Subject: long\r\n\r\n" + b"a line of text\r\n" * 300_000
    rebuilt = made(data)
    assert len(msgspec.json.encode(rebuilt.fields)) < REQUEST_OCTETS
    (part,) = files(rebuilt)
    assert content(part) == data.partition(b"\r\n\r\n")[2]
    assert rebuilt.later
    assert not rebuilt.together


def test_a_header_that_is_too_long_has_the_whole_message_attached() -> None:
    data = b"Subject: s\r\n" + b"X-Filler: " + b"x" * 80 + b"\r\n"
    data = data * 3000 + b"\r\nbody\r\n"
    rebuilt = made(data)
    assert content(files(rebuilt)[0]) == data
    assert len(properties(rebuilt)[HEADER]) <= 128 * 1024 + 4


def test_parts_that_do_not_fit_come_later() -> None:
    message = EmailMessage()
    message.set_content("text")
    for size in (1_000_000, 4_000_000, 1_500_000, 900_000):
        message.add_attachment(b"x" * size, maintype="application", subtype="octet-stream", filename=f"{size}")
    rebuilt = made(bytes(message))
    assert [part.name for part in rebuilt.together] == ["1000000", "1500000"]
    assert [part.name for part in rebuilt.later] == ["4000000", "900000"]
    assert len(msgspec.json.encode(rebuilt.payload())) <= REQUEST_OCTETS


def test_more_files_than_exchange_takes_are_one() -> None:
    message = EmailMessage()
    message.set_content("text")
    for number in range(210):
        message.add_attachment(b"x", maintype="application", subtype="pdf", filename=f"{number}.pdf")
    (part,) = files(made(bytes(message)))
    assert content(part) == bytes(message)


def test_no_control_character_goes_out() -> None:
    data = b"Subject: a\x00b\x07c\r\nX: \x01\r\n\r\nte\x00xt\x1b[1m\x0c\r\n"
    text = msgspec.json.encode(made(data).payload())
    assert b"\\u00" not in text
    assert body(made(data))["content"] == "text[1m\r\n"


@pytest.mark.parametrize("path", sorted(VECTORS.glob("*.eml")), ids=lambda path: path.stem)
def test_broken_mail_is_rebuilt(path: Path) -> None:
    for fidelity in Fidelity:
        rebuilt = made(path.read_bytes(), fidelity)
        assert len(msgspec.json.encode(rebuilt.payload())) < REQUEST_OCTETS + 1000


def test_the_corpus_keeps_every_attachment_and_date() -> None:
    for message in messages(120, 7):
        rebuilt = made(message.data)
        assert rebuilt.message_id is not None
        assert rebuilt.message_id.encode() in message.data
        assert SUBMIT_TIME in properties(rebuilt)
        assert "from" in rebuilt.fields
        assert body(rebuilt)["content"] or b"multipart/digest" in message.data


def test_files_of_the_corpus_are_those_that_the_standard_library_finds() -> None:
    checked = 0
    for message in messages(200, 23):
        parsed = email.message_from_bytes(message.data, policy=email.policy.compat32)
        if parsed.get_content_type() == "multipart/signed":
            continue
        found = [(str(part["contentType"]).partition(";")[0], content(part)) for part in files(made(message.data))]
        # Of messages in messages, and of reports, the package does not tell the octets.
        found = [(kind, data) for kind, data in found if not kind.startswith("message/")]
        assert found == list(attached(parsed))
        checked += len(found)
    assert checked > 50


def attached(message: Message) -> Iterator[tuple[str, bytes]]:
    """Yield type and octets of the parts that are neither text to be read nor messages, by the email package."""
    if message.get_content_maintype() == "multipart":
        for part in message.get_payload():
            yield from attached(part)  # type: ignore[arg-type]
        return
    is_text = message.get_content_type() in {"text/plain", "text/html"} and message.get_filename() is None
    if not is_text and message.get_content_maintype() != "message":
        payload = message.get_payload(decode=True)
        assert isinstance(payload, bytes)
        yield message.get_content_type(), payload


@given(st.binary(max_size=600))
@settings(max_examples=100, deadline=None)
def test_any_octets_are_rebuilt(data: bytes) -> None:
    for fidelity in Fidelity:
        msgspec.json.encode(made(data, fidelity).payload())
