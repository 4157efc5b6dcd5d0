"""Change notifications: the handshake with an endpoint, and what is posted to it afterwards.

Source: Graph's pages "Receive change notifications through webhooks" and "subscription resource type". The
endpoint may be plain http on the loopback address, which the real one never is.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import httpx

from tests.fakes.graph.calls import Call, Json
from tests.fakes.graph.errors import ApiError, denied, misuse, not_found
from tests.fakes.graph.mailbox import Mailbox
from tests.fakes.graph.records import Folder, Kind, Message, iso, to_ms

if TYPE_CHECKING:
    from tests.fakes.graph.fake import FakeGraph

_RESOURCE: Final = re.compile(
    r"/?(?:me|users(?:/([^/]+)|\('([^']+)'\)))(?:/mailFolders(?:/([^/]+)|\('([^']+)'\)))?/messages"
)
_LONGEST: Final = timedelta(minutes=4230)
_SHORTEST: Final = timedelta(minutes=45)
_HANDSHAKE_S: Final = 10.0
_ANSWER_S: Final = 3.0
_NAMES: Final = {Kind.ADDED: "created", Kind.CHANGED: "updated", Kind.REMOVED: "deleted"}
_QUEUE: Final = 10_000


@dataclass(slots=True)
class Subscription:
    """One subscription. `folder` None: all messages of the mailbox."""

    id: str
    given: Json
    mailbox: Mailbox
    folder: Folder | None
    expires: datetime
    application: str
    is_immutable: bool

    def resource(self) -> Json:
        """Return it as Graph answers it."""
        shown = {name: self.given.get(name) for name in ("resource", "changeType", "notificationUrl", "clientState")}
        lifecycle = self.given.get("lifecycleNotificationUrl")
        return {
            "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#subscriptions/$entity",
            "id": self.id,
            "applicationId": self.application,
            "expirationDateTime": iso(to_ms(self.expires)),
            **shown,
            **({"lifecycleNotificationUrl": lifecycle} if lifecycle else {}),
        }


class Subscriptions:
    """All subscriptions of one stand-in, and the task that posts for them. What is above the bound is dropped."""

    def __init__(self, fake: FakeGraph) -> None:
        self.delivered: list[tuple[str, Json, int]] = []
        self._fake = fake
        self._all: dict[str, Subscription] = {}
        self._queue: asyncio.Queue[tuple[str, Json]] = asyncio.Queue(_QUEUE)
        self._client: httpx.AsyncClient | None = None

    def active(self) -> list[Subscription]:
        """Return those that are not expired."""
        now = self._fake.clock.now()
        return [each for each in self._all.values() if each.expires > now]

    def find(self, number: str) -> Subscription:
        """Return one. Raises ApiError (404)."""
        found = self._all.get(number)
        if found is None or found.expires <= self._fake.clock.now():
            raise not_found()
        return found

    def end(self, number: str) -> None:
        """End one. Raises ApiError (404)."""
        del self._all[self.find(number).id]

    async def create(self, call: Call) -> Json:
        """Make a subscription after the handshake; return its resource. Raises ApiError (400, 403)."""
        given = call.body
        needed = {"changeType", "notificationUrl", "resource", "expirationDateTime"}
        if missing := needed - given.keys():
            raise misuse("InvalidRequest", f"{', '.join(sorted(missing))} is missing.")
        if not {"created", "updated", "deleted"}.issuperset(given["changeType"].split(",")):
            raise misuse("InvalidRequest", f"{given['changeType']} is no changeType.")
        if len(given.get("clientState") or "") > 128:
            raise misuse("InvalidRequest", "clientState has at most 128 characters.")
        mailbox, folder = self._resource(call, given["resource"])
        for name in ("notificationUrl", "lifecycleNotificationUrl"):
            if name in given:
                await self._shake_hands(given[name])
        expires = self._expiry(given["expirationDateTime"])
        made = Subscription(
            str(uuid.UUID(int=self._fake.next_nonce(), version=4)), dict(given), mailbox, folder, expires,
            self._fake.options.client_id, call.prefer.is_immutable,
        )  # fmt: skip
        self._all[made.id] = made
        return made.resource()

    def renew(self, number: str, given: Json) -> Json:
        """Move the end of a subscription. Raises ApiError (400, 404)."""
        found = self.find(number)
        if given.keys() != {"expirationDateTime"}:
            raise misuse("InvalidRequest", "Only expirationDateTime of a subscription can be changed here.")
        found.expires = self._expiry(given["expirationDateTime"])
        return found.resource()

    def changed(self, mailbox: Mailbox, folder: Folder, message: Message, kind: Kind) -> None:
        """Notice a change of a mailbox, and tell whoever asked for it."""
        for each in self.active():
            if each.mailbox is not mailbox or (each.folder is not None and each.folder is not folder):
                continue
            if _NAMES[kind] in each.given["changeType"].split(","):
                ids = mailbox.ids
                told = (
                    ids.message(message.number)
                    if each.is_immutable
                    else ids.classic(message.number, folder.number, message.moves)
                )
                where = f"Users/{self._fake.user_id(mailbox.address)}/Messages/{told}"
                data = {"@odata.type": "#Microsoft.Graph.Message", "@odata.id": where, "id": told}
                self._put(each, {"changeType": _NAMES[kind], "resource": where, "resourceData": data})

    def lifecycle(self, event: str) -> None:
        """Tell every subscription that asked for it of `missed`, `subscriptionRemoved` or `reauthorizationRequired`."""
        for each in self.active():
            url = each.given.get("lifecycleNotificationUrl")
            if url:
                self._put(each, {"lifecycleEvent": event, "resource": each.given["resource"]}, url)
            if event == "subscriptionRemoved":
                del self._all[each.id]

    async def settle(self) -> None:
        """Wait until all that is to be told has been."""
        await self._queue.join()

    async def run(self) -> None:
        """Post notifications, until cancelled."""
        while True:
            url, body = await self._queue.get()
            status = 0
            with contextlib.suppress(httpx.HTTPError):
                status = (await self._http().post(url, json=body, timeout=_ANSWER_S)).status_code
            self.delivered.append((url, body, status))
            self._queue.task_done()

    async def close(self) -> None:
        """Let go of connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def _put(self, subscription: Subscription, what: Json, url: str | None = None) -> None:
        notification: dict[str, Any] = {
            "subscriptionId": subscription.id,
            "subscriptionExpirationDateTime": iso(to_ms(subscription.expires)),
            "clientState": subscription.given.get("clientState"),
            "tenantId": self._fake.options.tenant,
            **what,
        }
        checked = {name: value for name, value in notification.items() if name != "resourceData"}
        self._fake.check_own("ChangeNotificationCollection", {"value": [checked]})
        with contextlib.suppress(asyncio.QueueFull):
            self._queue.put_nowait((url or subscription.given["notificationUrl"], {"value": [notification]}))

    async def _shake_hands(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" and parts.hostname not in {"127.0.0.1", "localhost", "::1"}:
            raise misuse("InvalidRequest", "The notification URL is not https.")
        token = f"Validation: Testing client application reachability for subscription {self._fake.next_nonce()}+ö"
        try:
            answer = await self._http().post(
                httpx.URL(url).copy_merge_params({"validationToken": token}),
                headers={"Content-Type": "text/plain; charset=utf-8"},
                timeout=_HANDSHAKE_S,
            )
        except httpx.HTTPError as error:
            raise ApiError(400, "ValidationError", f"Subscription validation request failed: {error!r}.") from None
        is_plain = answer.headers.get("content-type", "").startswith("text/plain")
        if answer.status_code != 200 or not is_plain or answer.text != token:
            text = (
                "Subscription validation request failed. Response must exactly match validationToken query parameter."
            )
            raise ApiError(400, "ValidationError", text)

    def _http(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(trust_env=False, verify=False)
        return self._client

    def _resource(self, call: Call, text: str) -> tuple[Mailbox, Folder | None]:
        match = _RESOURCE.fullmatch(text)
        if match is None:
            raise misuse("InvalidRequest", f"Resource '{text}' is not supported here.")
        user = match[1] or match[2]
        mailbox = call.fake.mailbox_named(user) if user else call.mailbox
        if not call.grant.is_app and mailbox.address != call.grant.user:
            raise denied()
        folder = match[3] or match[4]
        return mailbox, mailbox.folder(folder) if folder else None

    def _expiry(self, text: str) -> datetime:
        now, asked = self._fake.clock.now(), datetime.fromisoformat(text)
        if asked > now + _LONGEST or asked <= now:
            raise misuse("InvalidRequest", "Subscription expiration can only be 4230 minutes in the future.")
        return max(asked, now + _SHORTEST)
