"""The three kinds of failure of RFC 8620: of a request, of a method call, of one object in a set.

`is_violation` marks those that a conforming client never provokes; they are kept in `FakeJmap.violations`.
"""

from __future__ import annotations

from collections.abc import Sequence

PROBLEM_PREFIX = "urn:ietf:params:jmap:error:"


class RequestProblem(Exception):
    """The whole request is refused with a problem document (RFC 8620 section 3.6.1, RFC 7807)."""

    def __init__(self, kind: str, detail: str, *, status: int = 400, limit: str | None = None) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail
        self.status = status
        self.limit = limit

    def document(self) -> dict[str, object]:
        problem: dict[str, object] = {"type": PROBLEM_PREFIX + self.kind, "status": self.status, "detail": self.detail}
        if self.limit is not None:
            problem["limit"] = self.limit
        return problem


class MethodFailure(Exception):
    """A method call gives an error instead of its reply (RFC 8620 section 3.6.2)."""

    def __init__(self, kind: str, description: str = "", *, is_violation: bool = False) -> None:
        super().__init__(f"{kind}: {description}")
        self.kind = kind
        self.description = description
        self.is_violation = is_violation

    def arguments(self) -> dict[str, object]:
        return {"type": self.kind, "description": self.description} if self.description else {"type": self.kind}


class SetFailure(Exception):
    """One object could not be created, updated or destroyed (RFC 8620 section 5.3)."""

    def __init__(
        self,
        kind: str,
        description: str = "",
        *,
        properties: Sequence[str] = (),
        existing_id: str | None = None,
        is_violation: bool = False,
    ) -> None:
        super().__init__(f"{kind}: {description}")
        self.kind = kind
        self.description = description
        self.properties = tuple(properties)
        self.existing_id = existing_id
        self.is_violation = is_violation

    def document(self) -> dict[str, object]:
        error: dict[str, object] = {"type": self.kind}
        if self.description:
            error["description"] = self.description
        if self.properties:
            error["properties"] = list(self.properties)
        if self.existing_id is not None:
            error["existingId"] = self.existing_id
        return error


def invalid_arguments(description: str) -> MethodFailure:
    return MethodFailure("invalidArguments", description, is_violation=True)


def invalid_property(name: str, description: str, *, is_violation: bool = True) -> SetFailure:
    return SetFailure("invalidProperties", description, properties=(name,), is_violation=is_violation)


class Unauthorised(Exception):
    """No user is known by the credentials; `is_missing` where none came."""

    def __init__(self, is_missing: bool) -> None:
        super().__init__("unauthorised")
        self.is_missing = is_missing
