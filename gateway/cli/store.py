"""`imap-gateway store ...`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Annotated, TypeVar

import typer

from gateway.app.store_check import CheckOptions, StoreReport, check_store, counted
from gateway.cli.options import DEFAULT_CONFIG, ConfigOption
from gateway.config import load
from gateway.errors import OperatorError
from gateway.store.findings import Finding

T = TypeVar("T")

WRONG = 3
"""Exit status: something is wrong with the store, and still is."""

_RepairOption = Annotated[
    bool,
    typer.Option("--repair", help="Mend what can be mended without losing mail or changing what a UID stands for."),
]
_NewUidvalidityOption = Annotated[
    bool,
    typer.Option(
        "--new-uidvalidity",
        help="With --repair: where UIDs cannot be trusted any more, begin the mailbox anew with another UIDVALIDITY. "
        "Clients fetch it again; flags that only the gateway holds are lost.",
    ),
]
_RowsOnlyOption = Annotated[
    bool, typer.Option("--rows-only", help="Check the database only, not the files of appended and cached messages.")
]


def build() -> typer.Typer:
    """Return the commands of `imap-gateway store`."""
    program = typer.Typer(help="The store: UID maps, flags, what is known of mail.", rich_markup_mode=None)
    # A callback keeps the name of a group's only command.
    program.callback()(_group)
    program.command("check")(check)
    return program


def _group() -> None:
    """The store: UID maps, flags, what is known of mail."""


def check(
    repair: _RepairOption = False,
    new_uidvalidity: _NewUidvalidityOption = False,
    rows_only: _RowsOnlyOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Say what is wrong with the store, and mend it if asked to.

    One line per finding, with what can be done about it. Not while a gateway runs on the store. Without --repair
    nothing is changed.

    Exit status: 0 if nothing is wrong, or all of it has been mended; 3 if something is wrong and was not mended; 1 if
    the store cannot be checked.
    """
    if new_uidvalidity and not repair:
        raise OperatorError("goes together with --repair", key="--new-uidvalidity")
    options = CheckOptions(repairs=repair, renumbers=new_uidvalidity, reads_files=not rows_only)
    report = check_store(load(config), options, TerminalProgress())
    _print(report, is_repaired=repair)
    if report.left:
        raise typer.Exit(WRONG)


class TerminalProgress:
    """Shows on a terminal how far the check has come; nothing where standard error goes elsewhere."""

    def begin(self, what: str) -> None:
        """Name the work that begins."""
        if sys.stderr.isatty():
            typer.echo(f"{what} ...", err=True)

    def follow(self, what: str, items: Iterable[T], length: int) -> Iterable[T]:
        """Pass the items through under a progress bar."""
        return self._with_bar(what, items, length) if length and sys.stderr.isatty() else items

    def _with_bar(self, what: str, items: Iterable[T], length: int) -> Iterator[T]:
        with typer.progressbar(items, length=length, label=what, file=sys.stderr) as bar:
            yield from bar


def _print(report: StoreReport, *, is_repaired: bool) -> None:
    for finding in report.mended:
        typer.echo(f"mended: {finding} ({finding.remedy})")
    for finding in report.left:
        typer.echo(_line(finding, is_repaired=is_repaired))
    for note in report.notes:
        typer.echo(f"note: {note}")
    typer.echo(
        f"{report.path}: {counted(report.accounts, 'account')}, {_mailboxes(report.mailboxes)}, "
        f"{counted(report.messages, 'message')}, {report.kept_files} appended and {report.cached_files} cached files: "
        f"{_verdict(report)}"
    )


def _mailboxes(count: int) -> str:
    return f"{count} mailbox" if count == 1 else f"{count} mailboxes"


def _line(finding: Finding, *, is_repaired: bool) -> str:
    if not finding.is_mendable:
        return f"wrong: {finding} (to do: {finding.remedy})"
    if is_repaired:
        return f"wrong: {finding} (could not be mended)"
    return f"wrong: {finding} (with --repair {finding.remedy})"


def _verdict(report: StoreReport) -> str:
    if report.left:
        return counted(len(report.left), "finding") + (f", {len(report.mended)} mended" if report.mended else "")
    return f"{counted(len(report.mended), 'finding')}, all mended" if report.mended else "no problem found"
