"""Checking the store of a configuration, and mending what can be mended; nobody may serve from it meanwhile.

    file    SQLite's own checks -> indexes made anew, or the file rebuilt from what can be read
    rows    references, rules of `gateway.store.invariants`, writes left open -> `gateway.store.repair`
    files   appended messages against the rows that name them, every file of the cache

What counts is checked again after it was mended: what is told as mended is so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import func, select

from gateway.app.storage import database_path, stored_bodies
from gateway.config import Config
from gateway.errors import OperatorError
from gateway.store import body_check, repair
from gateway.store.errors import StoreError
from gateway.store.findings import Finding, Progress
from gateway.store.invariants import Breach, Rule, breaches
from gateway.store.lock import StoreLock
from gateway.store.offline import OfflineStore, is_about_indexes
from gateway.store.places import Places, open_writes, places
from gateway.store.rebuild import rebuild
from gateway.store.tables import accounts, mailboxes, messages
from gateway.store.transaction import Transaction

STUCK_S = 24 * 3600
"""Writes that have been open for longer than this are told of."""

TOLD = 3
"""So many complaints of SQLite are told one by one."""

_SAVE = "restore it from a backup; without one move it away and start anew, whereupon clients fetch everything again"
_COUNTS = tuple(select(func.count()).select_from(table) for table in (accounts, mailboxes, messages))


@dataclass(slots=True)
class StoreReport:
    """What was found. `left` is still wrong; `notes` are worth knowing, and wrong is nothing about them."""

    path: str
    accounts: int = 0
    mailboxes: int = 0
    messages: int = 0
    kept_files: int = 0
    cached_files: int = 0
    mended: list[Finding] = field(default_factory=list)
    left: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """`repairs`: mend what can be mended; `renumbers`: with new UIDVALIDITYs where there is no other way.

    Without `reads_files` the files of messages are not looked at.
    """

    repairs: bool = False
    renumbers: bool = False
    reads_files: bool = True


def check_store(config: Config, options: CheckOptions, progress: Progress) -> StoreReport:
    """Check the store, and mend it if that is asked for. Blocks.

    Raises:
        StoreError: there is no store, somebody uses it, or it is of another version.
        OperatorError: a key that files are sealed with cannot be had.
    """
    return _Check(config, options, progress).run()


class _Check:
    def __init__(self, config: Config, options: CheckOptions, progress: Progress) -> None:
        self._config = config
        self._options = options
        self._progress = progress
        self._path = database_path(config)
        self._report = StoreReport(str(self._path))

    def run(self) -> StoreReport:
        # Looked for first: the lock would make its directory.
        self._opened().close()
        with StoreLock(self._path):
            if self._check_file():
                self._check_rows()
                if self._options.reads_files:
                    self._check_files()
        return self._report

    def _opened(self) -> OfflineStore:
        return OfflineStore(self._path, is_writable=self._options.repairs)

    # -- the file -----------------------------------------------------------------------------------------------------

    def _check_file(self) -> bool:
        """Check the database as a file; return whether its rows can be read."""
        self._progress.begin("Database")
        with self._opened() as store:
            complaints = store.complaints()
        if complaints and self._options.repairs:
            self._mend_file(complaints)
        elif complaints:
            self._report.left += self._file_findings(complaints)
            return is_about_indexes(complaints) and self._is_current()
        return not self._report.left and self._is_current()

    def _file_findings(self, complaints: Sequence[str]) -> list[Finding]:
        remedy = "what counts is saved into a new file, if all of that can be read"
        if is_about_indexes(list(complaints)):
            remedy = "indexes are made anew"
        told = list(complaints[:TOLD])
        if len(complaints) > TOLD:
            # One bad page makes SQLite miss all that it led to.
            told.append(f"{len(complaints) - TOLD} more complaints of SQLite of this kind")
        return [Finding(str(self._path), text, remedy, is_mendable=True) for text in told]

    def _mend_file(self, complaints: Sequence[str]) -> None:
        findings = self._file_findings(complaints)
        if is_about_indexes(list(complaints)):
            with self._opened() as store:
                store.reindex()
                if not store.complaints():
                    self._report.mended += findings
                    return
        try:
            kept, lost = rebuild(self._path, self._progress)
        except StoreError as error:
            text = error.operator_text.removeprefix(f"{self._path}: ")
            self._report.left += [Finding(str(self._path), item.text, _SAVE, is_mendable=False) for item in findings]
            self._report.left.append(Finding(str(self._path), text, _SAVE, is_mendable=False))
            return
        self._report.mended += findings
        self._report.notes.append(f"the damaged database is kept as {kept}")
        if lost:
            self._report.notes.append(
                f"headers of {counted(lost, 'message')} were lost, to be read from the backend again"
            )

    def _is_current(self) -> bool:
        with self._opened() as store:
            if store.is_current():
                return True
            if not self._options.repairs:
                text = "has an older schema; it is upgraded when the gateway starts next, or by --repair"
                raise StoreError(text, source=str(self._path))
            store.upgrade()
        self._report.notes.append("the schema was upgraded to that of this version")
        return True

    # -- rows ---------------------------------------------------------------------------------------------------------

    def _check_rows(self) -> None:
        self._progress.begin("Rows")
        with self._opened() as store:
            before = self._row_findings(store)
            if before and self._options.repairs:
                found = store.run(breaches)
                may_renumber = self._options.renumbers

                async def body(tx: Transaction) -> None:
                    await repair.drop_dangling(tx)
                    await repair.mend(tx, found, may_renumber=may_renumber)
                    # What was dropped may have been counted.
                    await repair.count_anew(tx)

                store.run(body)
                after = self._row_findings(store)
                still = {str(finding) for finding in after}
                self._report.mended += [finding for finding in before if str(finding) not in still]
                self._report.left += after
            else:
                self._report.left += before
            report = self._report
            report.accounts, report.mailboxes, report.messages = store.run(_counts)

    def _row_findings(self, store: OfflineStore) -> list[Finding]:
        known = store.run(places)
        found = [
            Finding(
                str(self._path),
                f"{counted(count, 'row')} of {table} without a row of {owner}",
                "they are removed",
                is_mendable=True,
            )
            for (table, owner), count in store.dangling().items()
            # Told one by one, with their UIDs.
            if (table, owner) != ("placements", "messages")
        ]
        found += [self._told(breach, known) for breach in store.run(breaches)]
        found += [
            Finding(
                known.of_account(write.account_id),
                f"an {write.kind} of {_moment(write.created)} is not settled yet",
                "start the gateway while the backend can be reached; it finds out what became of it",
                is_mendable=False,
            )
            for write in store.run(lambda tx: open_writes(tx, STUCK_S))
        ]
        return found

    def _told(self, breach: Breach, known: Places) -> Finding:
        place = str(self._path) if breach.mailbox_id is None else known.of_mailbox(breach.mailbox_id)
        if breach.rule is Rule.UID_MAP and self._options.renumbers:
            remedy = "it begins anew under a new UIDVALIDITY, and clients fetch it again"
            return Finding(place, breach.text, remedy, is_mendable=True)
        if breach.rule is Rule.UNBOUND:
            return Finding(place, breach.text, repair.MENDS[breach.rule], is_mendable=self._options.reads_files)
        if repair.is_mendable(breach):
            return Finding(place, breach.text, repair.MENDS[breach.rule], is_mendable=True)
        return Finding(place, breach.text, repair.LEAVES[breach.rule], is_mendable=False)

    # -- files --------------------------------------------------------------------------------------------------------

    def _check_files(self) -> None:
        try:
            self._check_bodies()
        except OSError as exc:
            raise OperatorError(f"cannot be read: {exc.strerror or exc}", source=str(exc.filename)) from exc

    def _check_bodies(self) -> None:
        cache = stored_bodies(self._config)
        report, found = self._report, list[Finding]()
        unbound: dict[int, tuple[bytes, int]] = {}
        with self._opened() as store:
            wanted = store.run(body_check.expected)
            kept = body_check.check_kept(
                cache.kept,
                wanted,
                self._progress,
                report.left.append,
                lambda message_id, digest, size: unbound.update({message_id: (digest, size)}),
            )
            cached = body_check.check_cache(cache, wanted, self._progress, found.append)
            report.kept_files, report.cached_files = kept.files, cached.files
            if self._options.repairs:
                self._bind(store, unbound)
                gone = [body_check.remove(cache, key) for key in cached.damaged]
                (report.mended if all(gone) else report.left).extend(found)
                for key in cached.unused:
                    body_check.remove(cache, key)
            else:
                report.left += found
        if kept.unused:
            # Not by a repair: what it has just dropped of the rows might be why nothing names them.
            files = counted(len(kept.unused), "appended file")
            report.notes.append(f"{files} that no message has any more: the gateway removes them in time")
        if cached.unused:
            what = "removed" if self._options.repairs else "--repair removes them, or the gateway in time"
            report.notes.append(f"{counted(len(cached.unused), 'cached file')} that no message has any more: {what}")

    def _bind(self, store: OfflineStore, unbound: dict[int, tuple[bytes, int]]) -> None:
        """Record what the kept octets of messages are that did not say it."""

        async def body(tx: Transaction) -> None:
            for message_id, (digest, size) in unbound.items():
                await repair.bind_kept(tx, message_id, digest, size)
            await repair.count_anew(tx)

        if unbound:
            store.run(body)
            still = {str(finding) for finding in self._row_findings(store)}
            self._report.mended += [finding for finding in self._report.left if self._is_gone(finding, still)]
            self._report.left = [finding for finding in self._report.left if not self._is_gone(finding, still)]

    def _is_gone(self, finding: Finding, still: set[str]) -> bool:
        return finding.remedy == repair.MENDS[Rule.UNBOUND] and str(finding) not in still


def counted(count: int, thing: str) -> str:
    """Return a number with what is counted: `1 row`, `2 rows`."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def _moment(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


async def _counts(tx: Transaction) -> tuple[int, int, int]:
    first, second, third = [int(await tx.scalar(statement)) for statement in _COUNTS]
    return first, second, third
