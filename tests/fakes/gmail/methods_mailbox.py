"""users.getProfile, history, threads, watch, stop and the IMAP settings; and Pub/Sub's pull subscriptions."""

from __future__ import annotations

from typing import Final

from tests.fakes.gmail.calls import Call, Handler, Json
from tests.fakes.gmail.errors import invalid, not_found
from tests.fakes.gmail.history import Record
from tests.fakes.gmail.views import resource

_MAX_RECORDS: Final = 500
_EMPTY_MARK: Final = "e"


def handlers() -> dict[str, Handler]:
    """Return the handlers of this module by method id."""
    return {
        "gmail.users.getProfile": profile,
        "gmail.users.watch": watch,
        "gmail.users.stop": stop,
        "gmail.users.history.list": list_history,
        "gmail.users.threads.get": get_thread,
        "gmail.users.settings.getImap": get_imap,
    }


def pubsub_handlers() -> dict[str, Handler]:
    """Return the handlers of Pub/Sub by method id."""
    return {
        "pubsub.projects.subscriptions.pull": pull,
        "pubsub.projects.subscriptions.acknowledge": acknowledge,
        "pubsub.projects.subscriptions.modifyAckDeadline": modify_ack_deadline,
        "pubsub.projects.subscriptions.get": get_subscription,
    }


def profile(call: Call) -> Json:
    """Answer address, totals and the newest historyId."""
    return {
        "emailAddress": call.mailbox.address,
        "messagesTotal": call.mailbox.index.count(None),
        "threadsTotal": call.mailbox.threads_total,
        "historyId": str(call.mailbox.history.current),
    }


def list_history(call: Call) -> Json:
    """Answer a page of records after `startHistoryId`. A page may be empty and yet have a successor."""
    log = call.mailbox.history
    text = call.query.get("startHistoryId", "")
    if not text.isdecimal():
        raise invalid("Missing/invalid parameter: startHistoryId")
    label = call.query.get("labelId")
    if not log.is_valid(int(text)) or (label is not None and label not in call.mailbox.labels):
        raise not_found()
    limit = min(call.query["maxResults"] or 100, _MAX_RECORDS)
    position, is_empty = _position(call, int(text))
    # A page looks at so many records, whether or not the filters let them through.
    seen: list[Record] = []
    has_more = False
    if not is_empty:
        for record in log.after(position):
            if len(seen) == limit:
                has_more = True
                break
            seen.append(record)
    return _history_page(call, seen, position, has_more, is_empty)


def _history_page(call: Call, seen: list[Record], position: int, has_more: bool, is_empty: bool) -> Json:
    label = call.query.get("labelId")
    types = frozenset(call.query["historyTypes"]) if "historyTypes" in call.query else None
    quirks = call.mailbox.quirks
    shown = []
    for record in seen:
        if label is None or record.concerns(label):
            found = record.resource(types, not quirks.absent_label_ids)
            if found is not None:
                shown.append(found)
    reply: Json = {"historyId": str(call.mailbox.history.current)}
    if shown:
        reply["history"] = shown
    if is_empty:
        reply["nextPageToken"] = str(position)
    elif has_more:
        reply["nextPageToken"] = f"{_EMPTY_MARK if quirks.empty_history_pages else ''}{seen[-1].id}"
    return reply


def _position(call: Call, start: int) -> tuple[int, bool]:
    """Return the id to go on after, and whether this page is one of the empty ones."""
    token = call.query.get("pageToken")
    if token is None:
        return start, call.mailbox.quirks.empty_history_pages
    digits = token.removeprefix(_EMPTY_MARK)
    if not digits.isdecimal() or int(digits) < start:
        raise invalid("Invalid pageToken")
    return int(digits), digits != token


def get_thread(call: Call) -> Json:
    """Answer a thread with its messages, oldest first."""
    messages = call.mailbox.thread(call.path["id"])
    form, names = call.query["format"], call.query.get("metadataHeaders")
    return {
        "id": f"{messages[0].thread:x}",
        "historyId": str(max(message.history for message in messages)),
        "messages": [resource(call.mailbox, message, form, names) for message in messages],
    }


def watch(call: Call) -> Json:
    """Start or renew the watch."""
    for label in call.body.get("labelIds", ()):
        if label not in call.mailbox.labels:
            raise invalid(f"Invalid label: {label}")
    return call.fake.pubsub.watch(call.mailbox, call.body)


def stop(call: Call) -> None:
    """End the watch."""
    call.fake.pubsub.stop(call.mailbox)


def get_imap(call: Call) -> Json:
    """Answer Gmail's own IMAP settings."""
    return {"enabled": True, "autoExpunge": True, "expungeBehavior": call.fake.expunge_behavior, "maxFolderSize": 0}


async def pull(call: Call) -> Json:
    """Answer what waits in the subscription."""
    immediate = call.body.get("returnImmediately", False)
    return await call.fake.pubsub.pull(call.path["subscription"], call.body.get("maxMessages", 0), immediate)


def acknowledge(call: Call) -> Json:
    """Drop messages from the subscription."""
    call.fake.pubsub.acknowledge(call.path["subscription"], _ack_ids(call))
    return {}


def modify_ack_deadline(call: Call) -> Json:
    """Hide messages for longer, or give them back."""
    seconds = call.body.get("ackDeadlineSeconds", 0)
    call.fake.pubsub.set_deadline(call.path["subscription"], _ack_ids(call), seconds)
    return {}


def get_subscription(call: Call) -> Json:
    """Answer the subscription's description."""
    options = call.fake.options
    if call.path["subscription"] != options.subscription_name:
        raise not_found()
    return {
        "name": options.subscription_name,
        "topic": options.topic_name,
        "ackDeadlineSeconds": int(options.ack_deadline_s),
        "state": "ACTIVE",
    }


def _ack_ids(call: Call) -> list[str]:
    found: list[str] = call.body.get("ackIds", [])
    if not found:
        raise invalid("You have passed an invalid argument to the service (argument=ack_ids).")
    return found
