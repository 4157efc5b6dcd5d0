"""IMAPClient."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from imapclient import IMAPClient

from tests.e2e.clients.mail_client import IdlingMailClient, without_recent
from tests.e2e.endpoint import Endpoint


class ImapclientClient(IdlingMailClient):
    """Drives IMAPClient; `imap` is its connection."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.imap = IMAPClient(endpoint.host, port=endpoint.port, ssl=False, timeout=30)
        try:
            self.imap.login(endpoint.login, endpoint.password)
        except BaseException:
            self.imap.shutdown()
            raise

    def close(self) -> None:
        try:
            self.imap.logout()
        except BaseException:
            self.imap.shutdown()
            raise

    def mailboxes(self) -> set[str]:
        return {name for _, _, name in self.imap.list_folders()}

    def create(self, name: str) -> None:
        self.imap.create_folder(name)

    def rename(self, name: str, new_name: str) -> None:
        self.imap.rename_folder(name, new_name)

    def remove(self, name: str) -> None:
        self.imap.delete_folder(name)

    def messages(self, mailbox: str) -> dict[int, bytes]:
        self.imap.select_folder(mailbox)
        return {uid: item[b"BODY[]"] for uid, item in self.imap.fetch(self.imap.search(), ["BODY.PEEK[]"]).items()}

    def flags(self, mailbox: str) -> dict[int, frozenset[str]]:
        self.imap.select_folder(mailbox)
        rows = self.imap.fetch(self.imap.search(), ["FLAGS"])
        return {uid: without_recent(flag.decode() for flag in item[b"FLAGS"]) for uid, item in rows.items()}

    def search_subject(self, mailbox: str, text: str) -> list[int]:
        self.imap.select_folder(mailbox)
        return list(self.imap.search(["SUBJECT", text]))

    def append(self, mailbox: str, content: bytes, flags: Sequence[str] = ()) -> None:
        self.imap.append(mailbox, content, flags)

    def add_flags(self, mailbox: str, uid: int, *flags: str) -> None:
        self.imap.select_folder(mailbox)
        self.imap.add_flags(uid, flags)

    def remove_flags(self, mailbox: str, uid: int, *flags: str) -> None:
        self.imap.select_folder(mailbox)
        self.imap.remove_flags(uid, flags)

    def copy(self, mailbox: str, uid: int, destination: str) -> None:
        self.imap.select_folder(mailbox)
        self.imap.copy(uid, destination)

    def move(self, mailbox: str, uid: int, destination: str) -> None:
        self.imap.select_folder(mailbox)
        self.imap.move(uid, destination)

    def delete(self, mailbox: str, uid: int) -> None:
        self.imap.select_folder(mailbox)
        self.imap.delete_messages(uid)
        self.imap.expunge()

    def count_after(self, mailbox: str, cause: Callable[[], object], *, within_s: float) -> int:
        self.imap.select_folder(mailbox)
        self.imap.idle()
        cause()
        end = time.monotonic() + within_s
        counts: list[int] = []
        while not counts:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"nothing announced within {within_s} s")
            for event in self.imap.idle_check(timeout=left):
                if event[1] == b"EXISTS":
                    counts.append(event[0])
        self.imap.idle_done()
        return counts[-1]
