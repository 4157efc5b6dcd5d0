"""What is particular to the memory connector."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from connectors.api.abilities import AccountListing, NativeSearch
from connectors.api.capabilities import Scope
from connectors.api.credentials import FixedCredential
from connectors.api.errors import Denied, Rejected, Unavailable, Unsupported
from connectors.api.spec import SettingError
from connectors.api.types import SEEN, BytesContent, Cursor, DatedContent, MailboxRef, MessageRef, PushEvent, Role
from connectors.memory import SPEC
from connectors.memory.backend import INBOX, Layout, MemoryBackend
from connectors.memory.connector import MemoryConnector, connect, make_backend, shared_spec
from connectors.memory.faults import Operation

MAIL = b"Subject: x\r\n\r\nbody\r\n"
NONE: frozenset[str] = frozenset()
NO_LOGIN = FixedCredential(None)


async def opened(backend: MemoryBackend) -> MemoryConnector:
    connector = MemoryConnector(backend)
    await connector.open()
    return connector


def build(**settings: object) -> MemoryConnector:
    connector = SPEC.build(settings, NO_LOGIN)
    assert isinstance(connector, MemoryConnector)
    return connector


def test_each_connector_by_settings_has_a_backend_of_its_own() -> None:
    assert build().backend is not build().backend
    assert build(layout="labels", listing="sparse").backend.layout is Layout.LABELS
    assert build(uids="yes").capabilities.has_uids


@pytest.mark.parametrize("settings", [{"layout": "boxes"}, {"layout": "labels", "uids": True}, {"nonsense": 1}])
def test_settings_are_checked(settings: dict[str, object]) -> None:
    with pytest.raises(SettingError):
        SPEC.build(settings, NO_LOGIN)


def test_backends_can_be_shared_by_name() -> None:
    backends: dict[str, MemoryBackend] = {"old": MemoryBackend(Layout.ITEMS)}
    spec = shared_spec(backends)
    first, second = spec.build({"backend": "new"}, NO_LOGIN), spec.build({"backend": "new"}, NO_LOGIN)
    assert first.backend is second.backend is backends["new"]
    assert spec.build({"backend": "old"}, NO_LOGIN).capabilities.ref_scope is Scope.ACCOUNT
    assert (spec.name, spec.settings) == (SPEC.name, SPEC.settings)


@pytest.mark.parametrize(
    ("layout", "ref_scope", "cursor_scope"),
    [
        (Layout.FOLDERS, Scope.MAILBOX, Scope.MAILBOX),
        (Layout.ITEMS, Scope.ACCOUNT, Scope.MAILBOX),
        (Layout.LABELS, Scope.ACCOUNT, Scope.ACCOUNT),
    ],
)
def test_capabilities_follow_from_the_layout(layout: Layout, ref_scope: Scope, cursor_scope: Scope) -> None:
    capabilities = MemoryConnector(MemoryBackend(layout)).capabilities
    assert (capabilities.ref_scope, capabilities.cursor_scope) == (ref_scope, cursor_scope)
    assert capabilities.many_mailboxes == (layout is Layout.LABELS)
    assert capabilities.has_deleted_flag == (layout is not Layout.LABELS)


async def test_nothing_works_before_open() -> None:
    with pytest.raises(Unavailable):
        await MemoryConnector(MemoryBackend()).list_mailboxes()


async def test_a_sparse_listing_has_flags_but_no_sizes() -> None:
    backend = MemoryBackend(is_sparse=True)
    connector = await opened(backend)
    ref = backend.deliver(INBOX, MAIL, frozenset({SEEN}))
    inbox = backend.mailbox(INBOX).ref
    (page,) = [page async for page in connector.listing(inbox)]
    assert (page[0].flags, page[0].size, page[0].internal_date) == (frozenset({SEEN}), None, None)
    (state,) = await connector.states(inbox, [ref])
    assert state.size == len(MAIL)


async def test_replaced_content_is_told_once_and_only_to_who_knew_the_old() -> None:
    backend = MemoryBackend()
    connector = await opened(backend)
    inbox = backend.mailbox(INBOX).ref
    empty = await connector.position(inbox)
    ref = backend.deliver(INBOX, MAIL)
    before = await connector.position(inbox)
    backend.replace(INBOX, ref, b"Subject: y\r\n\r\n")
    after = await connector.position(inbox)
    backend.set_flags(INBOX, ref, frozenset({SEEN}))

    async def content_changed(cursor: Cursor) -> list[bool]:
        return [state.content_changed async for page in connector.changes(inbox, cursor) for state in page.changed]

    assert await content_changed(empty) == [False]
    assert await content_changed(before) == [True]
    assert await content_changed(after) == [False]


async def test_changes_in_one_mailbox_are_not_told_of_another() -> None:
    backend = MemoryBackend()
    connector = await opened(backend)
    cursor = await connector.position(backend.mailbox(INBOX).ref)
    backend.deliver(("Sent",), MAIL)
    backend.create_mailbox(("New",))
    assert [page async for page in connector.changes(backend.mailbox(INBOX).ref, cursor)] == []


@pytest.mark.parametrize("reports_tree", [False, True])
async def test_an_account_cursor_tells_of_the_tree_if_it_is_promised(reports_tree: bool) -> None:
    backend = MemoryBackend(Layout.LABELS, reports_tree=reports_tree)
    connector = await opened(backend)
    assert connector.capabilities.reports_tree is reports_tree
    cursor = await connector.position(None)
    backend.create_mailbox(("New",), Role.FLAGGED)
    (page,) = [page async for page in connector.changes(None, cursor)]
    assert page.mailboxes_changed is reports_tree
    assert page.changed == ()


@pytest.mark.parametrize("key", ["lists_account", "reports_tree"])
def test_only_labels_are_read_for_the_whole_account(key: str) -> None:
    with pytest.raises(SettingError, match=key):
        make_backend(SPEC.check({"layout": "items", key: True}))
    assert getattr(make_backend(SPEC.check({"layout": "labels", key: True})), key)


def test_an_account_is_listed_only_by_a_connector_to_a_backend_that_can() -> None:
    assert isinstance(connect(MemoryBackend(Layout.LABELS, lists_account=True)), AccountListing)
    assert not isinstance(connect(MemoryBackend(Layout.LABELS)), AccountListing)


async def test_changes_come_in_pages_each_with_its_cursor() -> None:
    backend = MemoryBackend(page_size=2)
    connector = await opened(backend)
    inbox = backend.mailbox(INBOX).ref
    cursor = await connector.position(inbox)
    refs = [backend.deliver(INBOX, MAIL) for _ in range(5)]
    pages = [page async for page in connector.changes(inbox, cursor)]
    assert [len(page.changed) for page in pages] == [2, 2, 1]
    assert pages[1].cursor is not None
    rest = [page async for page in connector.changes(inbox, pages[1].cursor)]
    assert [state.ref for page in rest for state in page.changed] == refs[4:]


async def test_a_message_that_came_and_went_is_just_gone() -> None:
    backend = MemoryBackend()
    connector = await opened(backend)
    inbox = backend.mailbox(INBOX).ref
    cursor = await connector.position(inbox)
    ref = backend.deliver(INBOX, MAIL)
    backend.remove(INBOX, ref)
    (page,) = [page async for page in connector.changes(inbox, cursor)]
    assert (page.changed, page.removed) == ((), (ref,))


async def test_a_cursor_is_asked_for_in_its_scope() -> None:
    folders, labels = await opened(MemoryBackend()), await opened(MemoryBackend(Layout.LABELS))
    with pytest.raises(Rejected):
        await folders.position(None)
    with pytest.raises(Rejected):
        await labels.position(labels.backend.mailbox(INBOX).ref)


async def test_a_read_only_mailbox_takes_no_writes() -> None:
    backend = MemoryBackend()
    connector = await opened(backend)
    ref = backend.deliver(("Archive",), MAIL)
    box = backend.mailbox(("Archive",))
    box.is_read_only = True
    assert next(info for info in await connector.list_mailboxes() if info.ref == box.ref).is_read_only
    inbox = backend.mailbox(INBOX).ref
    for write in (
        connector.append(box.ref, BytesContent(MAIL), NONE, None),
        connector.store_flags(box.ref, [ref], frozenset({SEEN}), NONE),
        connector.expunge(box.ref, [ref]),
        connector.move(box.ref, [ref], inbox),
        connector.copy(inbox, [], box.ref),
    ):
        with pytest.raises(Denied):
            await write
    assert len((await connector.copy(box.ref, [ref], inbox)).done) == 1


async def test_batches_beyond_the_limit_are_refused() -> None:
    backend = MemoryBackend(batch_limit=2, outline_limit=1)
    connector = await opened(backend)
    inbox = backend.mailbox(INBOX).ref
    refs = [backend.deliver(INBOX, MAIL) for _ in range(3)]
    with pytest.raises(Rejected):
        await connector.expunge(inbox, refs)
    with pytest.raises(Rejected):
        await anext(connector.outlines(inbox, refs[:2]))
    with pytest.raises(Rejected):
        await anext(connector.fetch_many(inbox, refs[:2]))
    assert len((await connector.expunge(inbox, refs[:2])).done) == 2


async def test_events_are_merged_and_end_with_the_connector() -> None:
    backend = MemoryBackend()
    connector = await opened(backend)
    events = connector.watch()
    waiting = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    for _ in range(3):
        backend.deliver(INBOX, MAIL)
    assert await waiting == PushEvent(backend.mailbox(INBOX).ref)
    waiting = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    await connector.close()
    with pytest.raises(Unavailable):
        await waiting
    assert backend.faults.calls[Operation.WATCH] == 1


async def test_quota_counts_a_labelled_message_once() -> None:
    backend = MemoryBackend(Layout.LABELS, storage_limit=1000)
    connector = await opened(backend)
    ref = backend.deliver(INBOX, MAIL)
    await connector.copy(backend.mailbox(INBOX).ref, [ref], backend.mailbox(("Sent",)).ref)
    (root,) = await connector.quota()
    assert (root.used_octets, root.limit_octets, root.used_messages) == (len(MAIL), 1000, 1)


async def test_the_header_of_an_outline_ends_with_its_empty_line() -> None:
    backend = MemoryBackend()
    connector = await opened(backend)
    inbox = backend.mailbox(INBOX).ref
    cases = {MAIL: b"Subject: x\r\n\r\n", b"\r\nbody": b"\r\n", b"A: b\r\n": b"A: b\r\n"}
    refs: dict[MessageRef, bytes] = {backend.deliver(INBOX, data): header for data, header in cases.items()}
    found = {outline.ref: outline.header async for outline in connector.outlines(MailboxRef(inbox), list(refs))}
    assert found == refs


async def test_ids_like_gmails_are_hex_and_answers_are_in_the_thread_of_what_they_answer() -> None:
    backend = make_backend(SPEC.check({"layout": "labels", "gmail_ids": True}))
    connector = connect(backend)
    await connector.open()
    first = backend.deliver(INBOX, b"Message-ID: <1@x>\r\n\r\n")
    answer = backend.deliver(INBOX, b"In-Reply-To: <1@x>\r\nMessage-ID: <2@x>\r\n\r\n")
    further = backend.deliver(INBOX, b"In-Reply-To: <2@x>\r\n\r\n")
    inbox = backend.mailbox(INBOX).ref
    states = await connector.states(inbox, [first, answer, further])
    assert [(state.email_id, state.thread_id) for state in states] == [(ref, first) for ref in (first, answer, further)]
    assert all(f"{int(state.ref, 16):x}" == state.ref for state in states)
    assert connector.capabilities.gmail_ids
    assert isinstance(connector, NativeSearch)
    assert await connector.search_native(inbox, "-is:read -subject:x") == {first, answer, further}
    assert not isinstance(connect(MemoryBackend(Layout.LABELS)), NativeSearch)


def test_only_labels_are_like_gmail() -> None:
    with pytest.raises(SettingError, match="gmail_ids"):
        make_backend(SPEC.check({"layout": "items", "gmail_ids": True}))


async def test_a_backend_without_outlines_gives_dates_with_whole_messages() -> None:
    backend = MemoryBackend(Layout.LABELS, has_outlines=False)
    connector = await opened(backend)
    ref = backend.deliver(INBOX, MAIL)
    inbox = backend.mailbox(INBOX).ref
    with pytest.raises(Unsupported):
        _ = [outline async for outline in connector.outlines(inbox, [ref])]
    contents = [await connector.fetch(inbox, ref), *[found async for _, found in connector.fetch_many(inbox, [ref])]]
    date = backend.messages(INBOX)[0].internal_date
    assert [isinstance(content, DatedContent) and content.internal_date for content in contents] == [date, date]


async def test_a_backend_may_not_keep_the_date_asked_for() -> None:
    now = datetime(2024, 1, 1, tzinfo=UTC)
    backend = MemoryBackend(keeps_dates=False, clock=lambda: now)
    connector = await opened(backend)
    asked = datetime(2001, 1, 1, tzinfo=UTC)
    state = await connector.append(backend.mailbox(INBOX).ref, BytesContent(MAIL), NONE, asked)
    assert state.internal_date == now


async def test_bodies_that_vary_are_the_same_mail_in_other_octets_each_time() -> None:
    backend = MemoryBackend(Layout.ITEMS, bodies_vary=True)
    ref = backend.deliver(("INBOX",), b"Subject: a\r\n\r\nText\r\n")
    connector = connect(backend)
    await connector.open()
    assert connector.capabilities.bodies_vary
    inbox = backend.mailbox(("INBOX",)).ref
    first, second = [
        b"".join([chunk async for chunk in (await connector.fetch(inbox, ref)).chunks()]) for _ in range(2)
    ]
    assert first != second
    assert first.endswith(b"\r\nSubject: a\r\n\r\nText\r\n")
    (state,) = await connector.states(inbox, [ref])
    assert not state.size_is_exact


async def test_headers_that_are_not_exact_have_the_fields_in_other_octets() -> None:
    backend = MemoryBackend(Layout.ITEMS, has_exact_headers=False)
    ref = backend.deliver(("INBOX",), b"Subject: a\r\n b\r\nno field\r\n\r\nText\r\n")
    connector = connect(backend)
    await connector.open()
    (outline,) = [item async for item in connector.outlines(backend.mailbox(("INBOX",)).ref, [ref])]
    assert (outline.header, outline.header_is_exact) == (b"SUBJECT: a\r\n b\r\nno field\r\n\r\n", False)


def test_bodies_that_vary_do_not_go_with_uids() -> None:
    with pytest.raises(SettingError, match="bodies_vary"):
        make_backend(SPEC.check({"uids": True, "bodies_vary": True}))
    with pytest.raises(ValueError, match="UID"):
        MemoryBackend(has_uids=True, bodies_vary=True)
    made = make_backend(SPEC.check({"layout": "items", "bodies_vary": True, "exact_headers": False}))
    assert (made.bodies_vary, made.has_exact_headers) == (True, False)
