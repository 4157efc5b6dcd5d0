"""The search language, one message against one query."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.gmail.client import Client, mail
from tests.fakes.gmail.fake import FakeGmail
from tests.fakes.gmail.mailbox import Mailbox
from tests.fakes.gmail.options import FakeOptions, SystemClock
from tests.fakes.gmail.search import parse

MULTIPART = (
    'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\nCc: carol@example.net\r\n'
    "List-ID: <news.example.org>\r\n"
)
BODY = (
    "--b\r\nContent-Type: text/html\r\n\r\n<p>The quick brown fox</p>\r\n--b\r\nContent-Type: application/pdf\r\n"
    'Content-Disposition: attachment; filename="Report.pdf"\r\n\r\nxx\r\n--b--'
)
DATE = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", True),
        ("rfc822msgid:<m.1@example.org>", True),
        ("rfc822msgid:m.1@example.org", True),
        ("-rfc822msgid:m.1@example.org", False),
        ("rfc822msgid:m.2@example.org", False),
        ("in:inbox", True),
        ("in:sent", False),
        ("in:anywhere", True),
        ("label:project-one", True),
        ('label:"Project One"', True),
        ("label:nothing", False),
        ("is:unread", True),
        ("is:read", False),
        ("is:starred", False),
        ("category:updates", True),
        ("has:userlabels", True),
        ("subject:meeting", True),
        ("subject:meet", False),
        ("subject:(monday meeting)", True),
        ('subject:"meeting monday"', False),
        ("from:ada", True),
        ("from:ada@example.org", True),
        ("from:bob", False),
        ("to:user@example.com cc:carol", True),
        ("list:news.example.org", True),
        ("fox", True),
        ('"quick brown"', True),
        ('"brown quick"', False),
        ("fo", False),
        ("fox -cat", True),
        ("cat OR fox", True),
        ("{cat fox} is:unread", True),
        ("fox -(quick OR slow)", False),
        ("has:attachment", True),
        ("filename:pdf", True),
        ("filename:docx", False),
        ("larger:100", True),
        ("larger:1K", False),
        ("smaller:1M", True),
        ("after:2026/3/10", True),
        ("after:2026/3/11", False),
        ("before:2026/03/10", False),
        ("before:2026-03-11", True),
        (f"after:{int(DATE.timestamp())}", True),
        (f"before:{int(DATE.timestamp())}", False),
        ("after:3/10/2026", True),
        ("before:999999999999", False),
        ("older_than:99999999y", False),
        ("after:2026/13/40", False),
        ("after:soon", False),
        ("newer_than:1d", False),
        ("older_than:5y", True),
    ],
)
async def test_query(fake: FakeGmail, gmail: Client, query: str, expected: bool) -> None:
    # The clock of the stand-in stands in January 2026; `older_than:5y` is five years before that.
    raw = mail("Monday meeting", message_id="m.1@example.org", extra=MULTIPART, body=BODY)
    date = datetime(2019, 3, 10, tzinfo=UTC) if "_than" in query else DATE
    target = fake.deliver(raw, {"INBOX", "UNREAD", "CATEGORY_UPDATES", fake.new_label("Project One")}, date=date)
    assert await gmail.ids(q=query) == ([target] if expected else [])


query_texts = st.lists(
    st.one_of(
        st.sampled_from(
            ["(", ")", "{", "}", '"', "-", "OR", "|", "in:", "larger:", "after:", "older_than:", "is:", " ", ":"]
        ),
        st.sampled_from(
            ["rfc822msgid:", "9" * 12, "2026/99/99", "0/0/0", "5M", "label:", "subject:(", "has:", "filename:{"]
        ),
        st.text(max_size=3),
    ),
    max_size=12,
).map("".join)


@settings(deadline=None, max_examples=200)
@given(query_texts)
def test_no_query_is_refused(text: str) -> None:
    mailbox = Mailbox("user@example.com", FakeOptions(), SystemClock())
    message = mailbox.add(mail(message_id="a@b"), frozenset({"INBOX"}))
    query = parse(text, mailbox, SystemClock().now())
    assert query.matches(message) in {True, False}


async def test_dates_are_days_in_pacific_time(fake: FakeGmail, gmail: Client) -> None:
    late = fake.deliver(mail(), date=datetime(2026, 1, 2, 7, 59, tzinfo=UTC))
    early = fake.deliver(mail(), date=datetime(2026, 1, 2, 8, 0, tzinfo=UTC))
    assert await gmail.ids(q="after:2026/1/2") == [early]
    assert await gmail.ids(q="before:2026/1/2") == [late]


async def test_a_message_id_is_found_in_trash_only_if_asked_for(fake: FakeGmail, gmail: Client) -> None:
    target = fake.deliver(mail(message_id="t@x"), {"TRASH"})
    assert await gmail.ids(q="rfc822msgid:t@x") == []
    assert await gmail.ids(q="rfc822msgid:t@x", includeSpamTrash="true") == [target]
    assert await gmail.ids(q="rfc822msgid:t@x in:anywhere") == [target]
