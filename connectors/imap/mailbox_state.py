"""What the server has said of the mailbox that a connection has selected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.api.types import MailboxRef
from gateway.wire.codes import Code
from gateway.wire.responses import (
    ExistsData,
    ExpungeData,
    FetchData,
    FlagsData,
    Response,
    ResponseCode,
    StatusResponse,
    TaggedResponse,
    VanishedData,
)


@dataclass(slots=True)
class SelectedMailbox:
    """Fed with every response that arrives while the mailbox is selected, whichever command is running.

    `permanent_flags` is None until the server has said; `highestmodseq` is None with NOMODSEQ or without CONDSTORE.
    """

    ref: MailboxRef
    exists: int = 0
    uidvalidity: int | None = None
    uidnext: int | None = None
    highestmodseq: int | None = None
    flags: tuple[str, ...] = ()
    permanent_flags: tuple[str, ...] | None = None
    is_read_only: bool = False

    def apply(self, response: Response) -> bool:
        """Take note of a response; return whether it tells of a change in the mailbox."""
        match response:
            case ExistsData(count):
                self.exists = count
                return True
            case ExpungeData():
                self.exists = max(self.exists - 1, 0)
                return True
            case VanishedData(uids, is_earlier):
                if not is_earlier:
                    vanished = sum(abs(last - first) + 1 for first, last in uids.ranges)
                    self.exists = max(self.exists - vanished, 0)
                return True
            case FetchData(modseq=modseq):
                if modseq is not None and self.highestmodseq is not None:
                    self.highestmodseq = max(self.highestmodseq, modseq)
                return True
            case FlagsData(flags):
                self.flags = flags
            case StatusResponse(code=ResponseCode() as code) | TaggedResponse(code=ResponseCode() as code):
                before = self.highestmodseq
                self._apply_code(code)
                # All that Dovecot 2.3 says, while it is idling, of a message that came and went between two looks.
                return None not in (before, self.highestmodseq) and self.highestmodseq != before
            case _:
                pass
        return False

    def _apply_code(self, code: ResponseCode) -> None:
        argument = code.argument
        match code.code:
            case Code.UIDVALIDITY if isinstance(argument, int):
                self.uidvalidity = argument
            case Code.UIDNEXT if isinstance(argument, int):
                self.uidnext = argument
            case Code.HIGHESTMODSEQ if isinstance(argument, int):
                self.highestmodseq = argument
            case Code.NOMODSEQ:
                self.highestmodseq = None
            case Code.PERMANENTFLAGS if isinstance(argument, tuple):
                self.permanent_flags = tuple(flag for flag in argument if isinstance(flag, str))
            case Code.READ_ONLY:
                self.is_read_only = True
            case Code.READ_WRITE:
                self.is_read_only = False
            case _:
                pass


def after_closed(selected: SelectedMailbox, responses: Sequence[Response], end: TaggedResponse) -> SelectedMailbox:
    """Return the mailbox without what belonged to the one before it (CLOSED, RFC 7162 section 3.2.11).

    `responses` are all that came in answer to its SELECT, before the `end`; without CLOSED it is returned as it is.
    """
    closed = [
        position
        for position, response in enumerate(responses)
        if isinstance(response, StatusResponse) and response.code is not None and response.code.code is Code.CLOSED
    ]
    if not closed:
        return selected
    clean = SelectedMailbox(selected.ref)
    for response in (*responses[closed[-1] + 1 :], end):
        clean.apply(response)
    return clean
