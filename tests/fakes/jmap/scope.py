"""What a method call may see and use: the accounts of its user, the options, the ids made earlier in the request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.fakes.jmap.account import Account
from tests.fakes.jmap.checks import Arguments, identifier
from tests.fakes.jmap.errors import MethodFailure, SetFailure
from tests.fakes.jmap.options import FakeOptions, FakeUser, Quirk


@dataclass(slots=True)
class Scope:
    """The surroundings of the calls in one request.

    `report` takes down a violation of the protocol. `planned_failure` gives the failure that a test has planned for
    the next object of a set, if any.
    """

    user: FakeUser
    accounts: dict[str, Account]
    options: FakeOptions
    using: frozenset[str]
    report: Callable[[str], None]
    planned_failure: Callable[[], SetFailure | None]
    created_ids: dict[str, str] = field(default_factory=dict)
    counted: Counter[str] = field(default_factory=Counter)

    def exceeds(self, limit: int, what: str, objects: int) -> bool:
        """Tell whether a call reads or writes too many objects, alone or with the calls before it in the request."""
        if self.options.has(Quirk.LIMITS_COUNT_TOGETHER):
            objects += self.counted[what]
        if objects > limit:
            return True
        self.counted[what] = objects
        return False

    def account(self, arguments: Arguments, *, to_write: bool = False) -> Account:
        """Take `accountId` and return the account.

        Raises:
            MethodFailure: it is missing, unknown to this user, or read-only and `to_write`.
        """
        account_id = arguments.required("accountId", identifier)
        account = self.accounts.get(account_id)
        if account is None:
            raise MethodFailure("accountNotFound", account_id, is_violation=True)
        if to_write and account.is_read_only:
            raise MethodFailure("accountReadOnly")
        return account

    def resolved(self, reference: str) -> str:
        """Return the id meant: itself, or that of the object made under a creation id (`#` in front).

        Raises:
            KeyError: nothing was made under it.
        """
        return self.created_ids[reference[1:]] if reference.startswith("#") else reference

    def failure_of(self, failure: SetFailure, what: str) -> dict[str, object]:
        """Return the SetError to answer; take it down if a conforming client would not have provoked it."""
        if failure.is_violation:
            self.report(f"{what}: {failure}")
        return failure.document()
