"""A client that keeps what it knows of a mailbox and catches up by QRESYNC (RFC 7162 section 3.2.5)."""

from __future__ import annotations

from tests.e2e.endpoint import Endpoint
from tests.e2e.raw_client import RawClient, flag_set
from tests.e2e.raw_values import Reply


class QresyncClient:
    """Knows UIDs and flags of one mailbox as of the mod-sequence it was told last."""

    def __init__(self, endpoint: Endpoint, mailbox: str) -> None:
        self._endpoint = endpoint
        self._mailbox = mailbox
        self.uidvalidity = 0
        self._modseq = 0
        self.flags: dict[int, frozenset[str]] = {}

    def learn(self) -> None:
        """Read everything."""
        with RawClient.logged_in(self._endpoint) as client:
            client.ok("ENABLE QRESYNC")
            self._note(client.select(self._mailbox))
            self.flags = client.flags()

    def resync(self) -> None:
        """Catch up.

        Raises:
            AssertionError: the mailbox has another UIDVALIDITY, or a removal is told of what came back.
        """
        with RawClient.logged_in(self._endpoint) as client:
            client.ok("ENABLE QRESYNC")
            reply = client.ok(f'SELECT "{self._mailbox}" (QRESYNC ({self.uidvalidity} {self._modseq}))')
        assert int(reply.codes()["UIDVALIDITY"]) == self.uidvalidity
        for earlier, uids in reply.data("VANISHED"):
            assert earlier == "EARLIER"
            gone = _ranges(str(uids))
            self.flags = {
                uid: flags for uid, flags in self.flags.items() if not any(low <= uid <= high for low, high in gone)
            }
        for row in reply.fetched():
            uid = row.items["UID"]
            assert isinstance(uid, int)
            self.flags[uid] = flag_set(row.items["FLAGS"])
        self._note(reply)

    def _note(self, reply: Reply) -> None:
        codes = reply.codes()
        modseq = int(codes["HIGHESTMODSEQ"])
        assert modseq >= self._modseq, "HIGHESTMODSEQ fell"
        self.uidvalidity, self._modseq = int(codes["UIDVALIDITY"]), modseq


def _ranges(uids: str) -> list[tuple[int, int]]:
    pairs = [part.partition(":") for part in uids.split(",")]
    return [(int(low), int(high or low)) for low, _, high in pairs]
