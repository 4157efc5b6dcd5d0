"""What a query function gets: one transaction, whichever database is below."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Executable

from gateway.store.statements import Row

T = TypeVar("T")
Body = Callable[["Transaction"], Awaitable[T]]


class Transaction(ABC):
    """One transaction. All reads in it see the same moment.

    Its methods may be awaited only inside the body that was given to the store, and that body may await nothing else:
    on SQLite it runs to its end without ever suspending. Parameters are given by name; a list parameter
    (`statements.is_in`) takes a list. Statements must be constants, since their compiled form is kept for ever.

    Raises, from every method:
        Conflict: a uniqueness or reference rule was broken.
        StoreError: the database cannot be used.
    """

    @abstractmethod
    def now(self) -> int:
        """Return the time of this transaction, in unix seconds; the same at every call."""

    @abstractmethod
    def note_tree(self, account_id: int) -> None:
        """Count the mailbox tree of an account as another one than before; see `Store.tree_version`.

        Every function that writes what a tree shows calls this; a transaction that fails does no harm by it.
        """

    @abstractmethod
    async def rows(self, statement: Executable, /, **parameters: Any) -> list[Row]:
        """Run a statement and return all its rows."""

    @abstractmethod
    async def row(self, statement: Executable, /, **parameters: Any) -> Row | None:
        """Run a statement and return its first row."""

    @abstractmethod
    async def scalar(self, statement: Executable, /, **parameters: Any) -> Any:
        """Run a statement and return the first value of its first row; None if there is no row."""

    @abstractmethod
    async def execute(self, statement: Executable, /, **parameters: Any) -> int:
        """Run a statement and return how many rows it changed."""

    @abstractmethod
    async def execute_many(self, statement: Executable, parameters: Sequence[Mapping[str, Any]], /) -> None:
        """Run a statement once for each set of parameters."""
