"""Statements: written in SQLAlchemy Core, compiled once per dialect, run on the driver with positional parameters."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, Dialect, Executable, Table, Text, bindparam
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import BindParameter, ClauseElement, ColumnElement
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import Boolean, UserDefinedType

Row = tuple[Any, ...]
Parameters = Mapping[str, Any]


class ListOf(UserDefinedType[Sequence[Any]]):
    """The type of a parameter that is a whole list of values."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "JSON"


class is_in(ColumnElement[bool]):  # noqa: N801  reads like the operator it is
    """`column IN (every value of the list parameter)`, of any length, as one parameter and one compiled statement."""

    inherit_cache = False
    type = Boolean()

    def __init__(self, column: ColumnElement[Any], parameter: str) -> None:
        self.column = column
        self.parameter: BindParameter[Sequence[Any]] = bindparam(parameter, type_=ListOf())

    def self_group(self, against: Any = None) -> is_in:
        """Stand as it is: without this SQLite would be given `... IN (...) = 1`, which uses no index."""
        return self


@compiles(is_in, "sqlite")
def _in_sqlite(element: is_in, compiler: SQLCompiler, **kw: Any) -> str:
    column = compiler.process(element.column, **kw)
    parameter = compiler.process(element.parameter, **kw)
    return f"{column} IN (SELECT value FROM json_each({parameter}))"  # noqa: S608  both are compiled pieces


@compiles(is_in, "postgresql")
def _in_postgresql(element: is_in, compiler: SQLCompiler, **kw: Any) -> str:
    column = compiler.process(element.column, **kw)
    return f"{column} = ANY({compiler.process(element.parameter, **kw)})"


class each_row:  # noqa: N801  reads like the phrase it is
    """The rows of a parameter that is JSON text, an array of arrays, as a table; `text` and `integer` are its columns.

    A whole page is stored by one statement with it, which a driver carries out without a call per row.
    """

    def __init__(self, parameter: str) -> None:
        self.table = _json_rows(bindparam(parameter, type_=Text())).table_valued("value", name=parameter)

    def text(self, position: int) -> ColumnElement[Any]:
        """Return the values at a position, as texts."""
        return _json_item(self.table.c.value, position, Text())

    def integer(self, position: int) -> ColumnElement[Any]:
        """Return the values at a position, as integers or NULL."""
        return _json_item(self.table.c.value, position, BigInteger())


class _json_rows(FunctionElement[Any]):  # noqa: N801
    inherit_cache = True
    name = "json_rows"


@compiles(_json_rows, "sqlite")
def _rows_sqlite(element: _json_rows, compiler: SQLCompiler, **kw: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **kw)})"


@compiles(_json_rows, "postgresql")
def _rows_postgresql(element: _json_rows, compiler: SQLCompiler, **kw: Any) -> str:
    return f"jsonb_array_elements(CAST({compiler.process(element.clauses, **kw)} AS JSONB))"


class _json_item(ColumnElement[Any]):  # noqa: N801
    inherit_cache = False

    def __init__(self, row: ColumnElement[Any], position: int, type_: Text | BigInteger) -> None:
        self.row = row
        self.position = position
        self.type = type_


@compiles(_json_item, "sqlite")
def _item_sqlite(element: _json_item, compiler: SQLCompiler, **kw: Any) -> str:
    return f"json_extract({compiler.process(element.row, **kw)}, '$[{element.position}]')"


@compiles(_json_item, "postgresql")
def _item_postgresql(element: _json_item, compiler: SQLCompiler, **kw: Any) -> str:
    kind = "TEXT" if isinstance(element.type, Text) else "BIGINT"
    return f"CAST({compiler.process(element.row, **kw)} ->> {element.position} AS {kind})"


def upsert(table: Table, key: Sequence[str], *changed: str, **expressions: Callable[[Any], Any]) -> sqlite.Insert:
    """Return `INSERT ... ON CONFLICT (key) DO UPDATE`, with a parameter for every column named anywhere.

    On a conflict the `changed` columns take the new value and each of `expressions`, called with the columns of the
    refused row, says what its column becomes. With neither the row that is there stays as it is.
    SQLite and PostgreSQL share the clause.
    """
    statement = sqlite.insert(table)
    names = (*key, *changed, *expressions)
    statement = statement.values({name: bindparam(name) for name in names})
    updates = {name: statement.excluded[name] for name in changed}
    updates |= {name: make(statement.excluded) for name, make in expressions.items()}
    if updates:
        statement = statement.on_conflict_do_update(index_elements=list(key), set_=updates)
    else:
        statement = statement.on_conflict_do_nothing(index_elements=list(key))
    return portable(statement)


def portable(statement: sqlite.Insert) -> sqlite.Insert:
    """Make an INSERT with ON CONFLICT, which SQLAlchemy writes for one database at a time, fit for PostgreSQL too."""
    # PostgreSQL's compiler also asks for the name of a constraint; there is none.
    vars(statement._post_values_clause)["constraint_target"] = None
    return statement


class Compiled:
    """A statement in the text of one dialect, with what is needed to lay out its parameters."""

    __slots__ = ("_defaults", "_lists", "_names", "sql")

    def __init__(self, statement: Executable, dialect: Dialect) -> None:
        if not isinstance(statement, ClauseElement):
            raise TypeError(f"{statement!r} cannot be compiled")
        compiled = statement.compile(dialect=dialect)
        if not isinstance(compiled, SQLCompiler):
            raise TypeError(f"{statement!r} is no statement with parameters")
        self.sql = str(compiled)
        self._names = tuple(compiled.positiontup or ())
        self._lists = tuple(name for name in self._names if isinstance(compiled.binds[name].type, ListOf))
        self._defaults = {name: compiled.binds[name].value for name in self._names if not compiled.binds[name].required}

    def layout(self, parameters: Parameters) -> list[Any]:
        """Return the values in the order of the placeholders.

        Raises:
            KeyError: a parameter is missing.
        """
        values = {**self._defaults, **parameters} if self._defaults else parameters
        if self._lists:
            values = {**values, **{name: json.dumps(values[name]) for name in self._lists}}
        return [values[name] for name in self._names]


class StatementCache:
    """Compiled statements by statement object; `for_sqlite` is that of the process.

    Every statement is a constant of its module, so the cache is as large as the code; a statement built per call does
    not belong here. Filling it from several threads at once is harmless: the same text is compiled twice.
    """

    def __init__(self, make_dialect: Callable[[], Dialect]) -> None:
        self._dialect = make_dialect()
        self._compiled: dict[Executable, Compiled] = {}

    @staticmethod
    @cache
    def for_sqlite() -> StatementCache:
        """Return that of all SQLite files: to compile takes longer than to open a file."""
        return StatementCache(lambda: sqlite.dialect(paramstyle="qmark"))

    def get(self, statement: Executable) -> Compiled:
        compiled = self._compiled.get(statement)
        if compiled is None:
            compiled = self._compiled[statement] = Compiled(statement, self._dialect)
        return compiled
