"""The replies to the method calls of one request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from connectors.api.errors import ConnectorError, OutcomeUnknown, Unavailable
from connectors.jmap.calls import Call
from connectors.jmap.errors import map_method_error
from connectors.jmap.structs import MethodError, Response
from connectors.transport.messages import Effect

T = TypeVar("T")

_ERROR = "error"


class Results:
    """Each reply is decoded when it is asked for, so that one bad reply spoils no other."""

    def __init__(self, response: Response, calls: Sequence[Call], host: str, effect: Effect) -> None:
        self._responses = response.method_responses
        self._names = {call.id: call.name for call in calls}
        self._host = host
        self._effect = effect

    def get(self, call_id: str, type: type[T], *, name: str | None = None) -> T:
        """Return the reply to a call, decoded as `type`.

        One call may have several replies (RFC 8620 section 3.4): `name` picks the one of that method, else it is the
        first.

        Raises:
            MethodFailure: the call was refused.
            Unavailable: the server has not answered it, or with something else; `OutcomeUnknown` for a write.
        """
        for method, arguments, answered in self._responses:
            if answered != call_id or (name is not None and method not in (name, _ERROR)):
                continue
            if method == _ERROR:
                raise map_method_error(_as_error(arguments), self._what(call_id))
            try:
                return msgspec.json.decode(arguments, type=type)
            except (msgspec.MsgspecError, ValueError) as exc:
                raise self._broken(call_id, f"a reply that cannot be read: {exc}") from exc
        raise self._broken(call_id, "no reply")

    def error(self, call_id: str) -> MethodError | None:
        """Return why a call was refused; None if it was not."""
        for method, arguments, answered in self._responses:
            if answered == call_id and method == _ERROR:
                return _as_error(arguments)
        return None

    def error_types(self) -> frozenset[str]:
        """Return the types of all refusals."""
        return frozenset(
            _as_error(arguments).type for method, arguments, _call_id in self._responses if method == _ERROR
        )

    def _what(self, call_id: str) -> str:
        return f"{self._names.get(call_id, call_id)} at {self._host}"

    def _broken(self, call_id: str, how: str) -> ConnectorError:
        text = f"{self._what(call_id)}: {how}"
        return OutcomeUnknown(text) if self._effect is Effect.WRITE else Unavailable(text)


def _as_error(arguments: msgspec.Raw) -> MethodError:
    try:
        return msgspec.json.decode(arguments, type=MethodError)
    except (msgspec.MsgspecError, ValueError):
        return MethodError()
