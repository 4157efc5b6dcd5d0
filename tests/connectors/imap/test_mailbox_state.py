"""What is known of the selected mailbox."""

from connectors.imap.mailbox_state import SelectedMailbox, after_closed
from connectors.imap.names import INBOX
from gateway.wire.codes import Code, Status
from gateway.wire.response_reader import ResponseReader
from gateway.wire.responses import ExistsData, Response, ResponseCode, StatusResponse, TaggedResponse


def fed(data: bytes) -> tuple[SelectedMailbox, list[bool]]:
    selected = SelectedMailbox(INBOX)
    reader = ResponseReader()
    reader.feed(data)
    news = []
    while (event := reader.next_event()) is not None:
        news.append(selected.apply(event))  # type: ignore[arg-type]
    return selected, news


def test_select_fills_it() -> None:
    selected, _ = fed(
        b"* FLAGS (\\Seen x)\r\n* OK [PERMANENTFLAGS (\\Seen \\*)] a\r\n* 5 EXISTS\r\n* OK [UIDVALIDITY 7] a\r\n"
        b"* OK [UIDNEXT 9] a\r\n* OK [HIGHESTMODSEQ 33] a\r\nG1 OK [READ-ONLY] a\r\n"
    )
    assert selected == SelectedMailbox(INBOX, 5, 7, 9, 33, ("\\Seen", "x"), ("\\Seen", "\\*"), is_read_only=True)


def test_nomodseq_means_none() -> None:
    assert fed(b"* OK [HIGHESTMODSEQ 3] a\r\n* OK [NOMODSEQ] a\r\n")[0].highestmodseq is None


def test_the_count_follows_what_comes_and_goes() -> None:
    selected, news = fed(b"* 5 EXISTS\r\n* 2 EXPUNGE\r\n* VANISHED 7:8\r\n* VANISHED (EARLIER) 1:3\r\n")
    assert selected.exists == 2
    assert news == [True] * 4


def test_words_are_no_news() -> None:
    assert fed(b"* OK still here\r\n* 0 RECENT\r\n* FLAGS ()\r\n* CAPABILITY X\r\n")[1] == [False] * 4


def test_flag_news_raises_the_modseq() -> None:
    assert fed(b"* OK [HIGHESTMODSEQ 3] a\r\n* 1 FETCH (MODSEQ (9))\r\n")[0].highestmodseq == 9


END = TaggedResponse(b"", Status.OK, ResponseCode(Code.READ_ONLY, b"READ-ONLY"), "selected")


def test_what_came_before_closed_was_of_another_mailbox() -> None:
    selected = SelectedMailbox(INBOX, exists=2, uidvalidity=7, highestmodseq=5)
    closed = StatusResponse(Status.OK, ResponseCode(Code.CLOSED, b"CLOSED"), "")
    responses: list[Response] = [ExistsData(77), closed, ExistsData(2)]
    assert after_closed(selected, responses, END) == SelectedMailbox(INBOX, exists=2, is_read_only=True)


def test_without_closed_all_that_came_is_of_the_mailbox() -> None:
    selected = SelectedMailbox(INBOX, exists=2, uidvalidity=7)
    assert after_closed(selected, [ExistsData(2)], END) is selected
