"""What a broken or malicious client may send: commands that are nearly right, token soup, and plain octets; seeded."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

BEFORE_LOGIN = (
    b"CAPABILITY",
    b"NOOP",
    b'ID ("name" "x" "version" NIL)',
    b"AUTHENTICATE PLAIN AGEAYg==",
    b"AUTHENTICATE PLAIN",
    b"AUTHENTICATE SCRAM-SHA-256 biws",
    b"LOGIN alex wrong",
    b'LOGIN "al\\"ex" {5+}\r\nwrong',
    b"SELECT INBOX",
    b"FETCH 1 ALL",
    b"APPEND INBOX {5+}\r\nhello",
    b"ENABLE CONDSTORE",
)
AFTER_LOGIN = (
    b"NOOP",
    b"CHECK",
    b"CLOSE",
    b"UNSELECT",
    b"EXPUNGE",
    b"UID EXPUNGE 1:*",
    b"IDLE\r\nDONE",
    b"NAMESPACE",
    b"ENABLE CONDSTORE QRESYNC",
    b"SELECT INBOX",
    b"SELECT INBOX (QRESYNC (1 1 1:3 (1:2 1:2)))",
    b"EXAMINE INBOX (CONDSTORE)",
    b'CREATE "a/b&AOQ-"',
    b"CREATE x (USE (\\Sent))",
    b"DELETE x",
    b"RENAME x y",
    b"SUBSCRIBE INBOX",
    b"UNSUBSCRIBE INBOX",
    b'LIST "" "*"',
    b'LIST (SUBSCRIBED) "" ("%" "*") RETURN (CHILDREN SPECIAL-USE STATUS (MESSAGES UIDNEXT SIZE))',
    b'LSUB "" "*"',
    b"STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ)",
    b'APPEND INBOX (\\Seen $x) "17-Jul-1996 02:44:25 -0700" {12+}\r\nFrom: x\r\n\r\nb',
    b"SEARCH ALL",
    b'UID SEARCH RETURN (MIN MAX COUNT ALL SAVE) OR (SEEN UID 1:*) NOT SUBJECT "x"',
    b'SEARCH CHARSET UTF-8 TEXT {3+}\r\n\xc3\xbcx SINCE 1-Feb-1994 LARGER 10 HEADER "To" ""',
    b"UID SEARCH $ MODSEQ 1",
    b"FETCH 1:* (FLAGS UID ENVELOPE BODYSTRUCTURE INTERNALDATE RFC822.SIZE)",
    b"FETCH 1 BODY.PEEK[HEADER.FIELDS (To From)]<0.20>",
    b"UID FETCH 1:3 (BODY[1.2.MIME] BINARY.PEEK[1] BINARY.SIZE[1] EMAILID MODSEQ) (CHANGEDSINCE 1 VANISHED)",
    b"FETCH * (RFC822 RFC822.HEADER RFC822.TEXT BODY BODY[TEXT] BODY[])",
    b"STORE 1:2 +FLAGS.SILENT (\\Seen $y)",
    b"UID STORE 1:* (UNCHANGEDSINCE 5) -FLAGS (\\Deleted)",
    b"COPY 1 Archive",
    b"UID MOVE 1:2 Archive",
    b"GETQUOTAROOT INBOX",
    b"SORT (REVERSE DATE) UTF-8 ALL",
    b"UID THREAD REFERENCES UTF-8 ALL",
)
_TOKENS = (
    *(word for line in (*BEFORE_LOGIN, *AFTER_LOGIN) for word in line.split()),
    *(b"( ) [ ] { } < > % * \" \\ : , $ + - . ~ & = @ ! # '".split()),
    *(b"NIL 0 1 4294967295 4294967296 99999999999999999999999 1:* *:1 *:* 1,2,3:1 $".split()),
    *(b'"" "\\\\" "\\x" {0} {3} {9999} {0+} {1+} ~{0+} {99999999999999999999+} {-1} {65537+}'.split()),
    *(b"&- &AOQ- &&& &AAA- &2D3cqA- \xc3\xa4 \xff \x00 \x7f \r \n \t".split(b" ")),
    b" ",
    b"\r\n",
    b"\r\n\r\n",
    b"(" * 60,
    b"x" * 300,
    b"BODY[" + b"1." * 50,
)
_OCTETS = b' \r\n\t\x00\x7f\xff"\\(){}[]<>%*+~$&:,.=01'


def hostile_inputs(chance: random.Random, count: int, commands: tuple[bytes, ...] = AFTER_LOGIN) -> Iterator[bytes]:
    """Yield inputs. Some end in the middle of a command."""
    makers: tuple[Callable[[random.Random, tuple[bytes, ...]], bytes], ...] = (_mutant, _mutant, _soup, _octets)
    for _ in range(count):
        yield chance.choice(makers)(chance, commands)


def _mutant(chance: random.Random, commands: tuple[bytes, ...]) -> bytes:
    """Return a command of which some octets were lost, doubled or replaced."""
    data = bytearray(b"t " + chance.choice(commands) + b"\r\n")
    for _ in range(chance.randrange(4)):
        place = chance.randrange(len(data))
        match chance.randrange(5):
            case 0:
                data[place] = chance.choice(_OCTETS)
            case 1:
                del data[place : place + chance.randrange(1, 6)]
            case 2:
                data[place:place] = bytes([chance.choice(_OCTETS)])
            case 3:
                data[place:place] = b" " + chance.choice(_TOKENS)
            case _:
                data[place:place] = data[place : place + chance.randrange(1, 20)]
        if not data:
            break
    return bytes(data)


def _soup(chance: random.Random, commands: tuple[bytes, ...]) -> bytes:
    """Return a command's name with whatever behind it."""
    words = [b"t", chance.choice(commands).split()[0], *chance.choices(_TOKENS, k=chance.randrange(8))]
    return chance.choice((b" ", b" ", b" ", b"")).join(words) + chance.choice((b"\r\n", b"\r\n", b"\n", b""))


def _octets(chance: random.Random, _: tuple[bytes, ...]) -> bytes:
    return chance.randbytes(chance.randrange(1, 40)) + chance.choice((b"\r\n", b""))
