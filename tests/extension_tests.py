r"""Which tests show that a capability is kept: none is offered without.

Each is named with the files, below this folder, that test it, and what of it is said or read there: a regular
expression that must be found in each of the files. Transcripts are tests too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

_IMAP: Final = "gateway/imap/test_"
_COMMANDS: Final = "gateway/imap/commands/test_"
_PARSER: Final = "gateway/wire/parser/test_"
_TALK: Final = "scenarios/transcripts/"
_CLIENT: Final = "e2e/test_imapflow_extensions.py"


@dataclass(frozen=True, slots=True)
class Tested:
    """`says` is what is found in each of the `files`."""

    says: str
    files: tuple[str, ...]


def _by(says: str, *files: str) -> Tested:
    return Tested(says, files)


EXTENSION_TESTS: Final[Mapping[str, Tested]] = MappingProxyType(
    {
        "IMAP4rev1": _by(r"IMAP4rev1", f"{_TALK}before_login.txt", "scenarios/test_faults_of_others.py"),
        "IMAP4rev2": _by(r"IMAP4rev2", f"{_TALK}imap4rev2.txt", "scenarios/test_faults_of_others.py"),
        "LITERAL+": _by(r"\{(\d+|%d|announce)\+", f"{_TALK}append.txt", "e2e/test_pipelining.py"),
        "LITERAL-": _by(r"LITERAL-", f"{_COMMANDS}literal_minus.py"),
        "INPROGRESS": _by(r"INPROGRESS", f"{_IMAP}conversation.py", "gateway/wire/test_write_code.py"),
        "SASL-IR": _by(r"AUTHENTICATE PLAIN [A=]", f"{_TALK}authenticate.txt", "scenarios/test_faults_of_others.py"),
        "STARTTLS": _by(r"STARTTLS", f"{_IMAP}listener.py", f"{_COMMANDS}authenticate.py"),
        "LOGINDISABLED": _by(r"LOGINDISABLED", f"{_IMAP}conversation.py"),
        "UNAUTHENTICATE": _by(r"UNAUTHENTICATE", f"{_TALK}unauthenticate.txt", f"{_COMMANDS}uid_only.py"),
        "AUTH=EXTERNAL": _by(r"EXTERNAL", f"{_COMMANDS}authenticate.py", "e2e/test_logins.py"),
        "AUTH=SCRAM-SHA-256-PLUS": _by(r"SCRAM-SHA-256-PLUS", f"{_COMMANDS}authenticate.py"),
        "AUTH=SCRAM-SHA-256": _by(r"SCRAM-SHA-256", f"{_COMMANDS}authenticate.py", "e2e/test_logins.py"),
        "AUTH=SCRAM-SHA-1-PLUS": _by(r"SHA1|SHA-1|SHA_1|-PLUS", f"{_COMMANDS}authenticate.py"),
        "AUTH=SCRAM-SHA-1": _by(r"SCRAM-SHA-1", f"{_COMMANDS}authenticate.py"),
        "AUTH=OAUTHBEARER": _by(r"OAUTHBEARER", f"{_COMMANDS}authenticate.py"),
        "AUTH=XOAUTH2": _by(r"XOAUTH2", f"{_COMMANDS}authenticate.py"),
        "AUTH=PLAIN": _by(r"AUTHENTICATE PLAIN", f"{_TALK}authenticate.txt"),
        "AUTH=LOGIN": _by(r"AUTHENTICATE LOGIN", f"{_TALK}authenticate.txt"),
        "ID": _by(r"\bID (\(|NIL)", f"{_TALK}before_login.txt", f"{_TALK}ios_mail.txt", f"{_TALK}thunderbird.txt"),
        "ENABLE": _by(r"ENABLE", f"{_PARSER}session.py", f"{_TALK}qresync.txt", "scenarios/test_faults_of_others.py"),
        "NAMESPACE": _by(r"NAMESPACE", f"{_TALK}list.txt", "gateway/wire/test_write.py"),
        "UTF8=ACCEPT": _by(r"UTF8=ACCEPT", f"{_TALK}utf8.txt", f"{_TALK}thunderbird.txt"),
        "UIDONLY": _by(r"UIDONLY", f"{_COMMANDS}uid_only.py"),
        "COMPRESS=DEFLATE": _by(r"COMPRESS", f"{_COMMANDS}compress.py", _CLIENT),
        "IDLE": _by(r"IDLE", f"{_TALK}idle.txt", f"{_TALK}ios_mail.txt"),
        "NOTIFY": _by(r"NOTIFY", f"{_PARSER}notify.py", f"{_TALK}notify.txt", f"{_COMMANDS}notify.py"),
        "CHILDREN": _by(r"\\HasChildren", f"{_TALK}list.txt", f"{_COMMANDS}list.py"),
        "LIST-EXTENDED": _by(r"RECURSIVEMATCH", f"{_TALK}list_extended.txt", f"{_PARSER}listing.py"),
        "LIST-STATUS": _by(r"RETURN \(.*STATUS \(", f"{_TALK}list_extended.txt", f"{_TALK}ios_mail.txt"),
        "SPECIAL-USE": _by(r"SPECIAL-USE", f"{_TALK}special_use.txt", "scenarios/test_faults_of_others.py"),
        "STATUS=SIZE": _by(r"SIZE", f"{_TALK}status_size.txt"),
        "XLIST": _by(r"XLIST", f"{_TALK}list.txt", f"{_TALK}list_gmail.txt"),
        "CREATE-SPECIAL-USE": _by(r"\(USE \(", f"{_TALK}special_use.txt"),
        "QUOTA": _by(r"GETQUOTAROOT", f"{_TALK}quota.txt", f"{_COMMANDS}quota.py", f"{_PARSER}quota.py"),
        "QUOTA=RES-STORAGE": _by(r"STORAGE", f"{_COMMANDS}quota.py"),
        "QUOTA=RES-MESSAGE": _by(r"MESSAGE", f"{_COMMANDS}quota.py"),
        "ACL": _by(r"GETACL", f"{_TALK}rights.txt", f"{_PARSER}rights.py"),
        "RIGHTS=kxte": _by(r"MYRIGHTS", f"{_TALK}rights.txt"),
        "LIST-MYRIGHTS": _by(r"RETURN \(.*MYRIGHTS", f"{_TALK}rights.txt"),
        "METADATA": _by(r"SETMETADATA", f"{_TALK}metadata.txt", f"{_PARSER}metadata.py"),
        "METADATA-SERVER": _by(r"METADATA-SERVER", f"{_COMMANDS}metadata.py"),
        "LIST-METADATA": _by(r"RETURN \(.*METADATA", f"{_TALK}metadata.txt"),
        "UNSELECT": _by(r"UNSELECT", f"{_TALK}select.txt"),
        "CONDSTORE": _by(r"CHANGEDSINCE", f"{_TALK}condstore.txt", f"{_TALK}thunderbird_condstore.txt"),
        "QRESYNC": _by(r"QRESYNC", f"{_TALK}qresync.txt", f"{_PARSER}mailboxes.py", _CLIENT),
        "APPENDLIMIT": _by(r"APPENDLIMIT", f"{_TALK}append.txt", f"{_COMMANDS}append_limit.py"),
        "MULTIAPPEND": _by(r"(?i)RFC 3502|multiappend|several", f"{_COMMANDS}append.py", f"{_PARSER}append.py"),
        "CATENATE": _by(r"CATENATE", f"{_COMMANDS}append.py", f"{_PARSER}append.py"),
        "REPLACE": _by(r"REPLACE", f"{_COMMANDS}append.py", f"{_PARSER}append.py"),
        "MESSAGELIMIT": _by(r"MESSAGELIMIT", f"{_IMAP}message_limit.py"),
        "SAVELIMIT": _by(r"SAVELIMIT", f"{_IMAP}message_limit.py"),
        "UIDPLUS": _by(r"COPYUID|APPENDUID", f"{_TALK}copy.txt", f"{_TALK}append.txt", "e2e/test_mbsync.py"),
        "MOVE": _by(r"MOVE", f"{_TALK}move.txt", f"{_TALK}ios_mail.txt", "e2e/test_mbsync.py"),
        "OBJECTID": _by(r"EMAILID", f"{_TALK}objectid.txt", _CLIENT),
        "BINARY": _by(r"BINARY", f"{_TALK}binary.txt", f"{_COMMANDS}fetch.py", f"{_PARSER}fetch.py", _CLIENT),
        "SAVEDATE": _by(r"SAVEDATE", f"{_TALK}savedate.txt", f"{_COMMANDS}fetch.py"),
        "PREVIEW": _by(r"PREVIEW", f"{_TALK}preview.txt", f"{_PARSER}fetch.py"),
        "X-GM-EXT-1": _by(r"X-GM-LABELS", f"{_TALK}x-gm-ext-1.txt", f"{_TALK}x-gm-ext-1_gmail.txt"),
        "ESEARCH": _by(r"ESEARCH", f"{_TALK}esearch.txt"),
        "SEARCHRES": _by(r"SAVE", f"{_TALK}esearch.txt", f"{_TALK}partial.txt"),
        "PARTIAL": _by(r"PARTIAL", f"{_TALK}partial.txt", f"{_PARSER}search.py", _CLIENT),
        "WITHIN": _by(r"YOUNGER", f"{_TALK}search.txt", f"{_PARSER}search.py"),
        "MULTISEARCH": _by(r"ESEARCH IN", f"{_TALK}multisearch.txt", f"{_PARSER}multisearch.py"),
        "SORT": _by(r"SORT", f"{_COMMANDS}sort.py", f"{_PARSER}sort.py"),
        "SORT=DISPLAY": _by(r"DISPLAYFROM", f"{_COMMANDS}sort.py", f"{_PARSER}sort.py"),
        "ESORT": _by(r"SORT RETURN", f"{_COMMANDS}sort.py", f"{_PARSER}sort.py"),
        "THREAD=ORDEREDSUBJECT": _by(r"(?i)ordered_?subject", f"{_COMMANDS}sort.py", "gateway/message/test_threads.py"),
        "THREAD=REFERENCES": _by(r"(?i)references", f"{_COMMANDS}sort.py", "gateway/message/test_threads.py"),
        "THREAD=REFS": _by(r"(?i)refs", "gateway/message/test_threads.py", f"{_PARSER}sort.py"),
        "I18NLEVEL=1": _by(r"(?i)casemap|i18nlevel", f"{_COMMANDS}sort.py"),
        "CONTEXT=SEARCH": _by(r"UPDATE", f"{_TALK}context.txt", f"{_COMMANDS}context.py"),
        "CONTEXT=SORT": _by(r"SORT RETURN", f"{_TALK}context.txt", f"{_COMMANDS}context.py"),
        "FILTERS": _by(r"FILTER", f"{_TALK}filters.txt", f"{_COMMANDS}filters.py"),
        "SEARCH=FUZZY": _by(r"FUZZY", f"{_COMMANDS}filters.py", f"{_PARSER}search.py"),
        "UIDBATCHES": _by(r"UIDBATCHES", f"{_COMMANDS}uid_batches.py", f"{_PARSER}uid_batches.py"),
        "JMAPACCESS": _by(r"(?i)JMAPACCESS", f"{_COMMANDS}jmap_access.py", f"{_PARSER}session.py"),
    }
)
