"""Logging in by the user's consent: a code that is entered on any device, or a browser that comes back.

Source: RFC 8628 (device authorisation), RFC 8252 (native apps), RFC 7636 (PKCE); Microsoft identity platform.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Final
from urllib.parse import parse_qs, urlsplit

import httpx

from connectors.api.credentials import LoginDialog, Secret
from connectors.api.errors import AuthExpired, Denied, Unavailable
from connectors.api.settings import SettingValue
from connectors.graph.identity import COMMON, Identity, TokenReply, identity
from connectors.graph.settings import GraphSettings, parse_settings
from connectors.graph.tokens import consenting_app, imap_scopes, mail_scopes
from connectors.transport.clock import Clock, LoopClock

_FAILURES: Final = 5
"""As often in a row may the login service be out of reach while a code is waited for."""

_INTRODUCTION: Final = (
    "Microsoft lets programs in through an app registration of your own: in the Entra admin center (App registrations) "
    "register an application, with the platform 'Mobile and desktop applications' and the redirect URI "
    "http://localhost; under Authentication allow public client flows; under API permissions add the delegated "
    "permission Mail.ReadWrite of Microsoft Graph, and Mail.ReadWrite.Shared for mailboxes of others."
)
_BY_IMAP: Final = "As append is imap, add the delegated permission IMAP.AccessAsUser.All of Microsoft Graph as well."
_ANOTHER_CODE: Final = (
    "The permission to store messages by IMAP has to be given by itself: log in once more, to the same account."
)


async def log_in(
    values: Mapping[str, Secret[str]],
    settings: Mapping[str, SettingValue],
    dialog: LoginDialog,
    *,
    clock: Clock | None = None,
    transport: httpx.BaseTransport | None = None,
) -> Mapping[str, Secret[str]]:
    """Lead a person through the consent; return `token_cache`, and `client_id` and `tenant` if asked for.

    `values` are the fields of the `consent` form that were given. With `client_secret` the login is by browser, as
    Microsoft takes no codes of web apps.

    Raises:
        Denied: the consent was refused, or nobody has entered the code.
        AuthExpired: Microsoft does not take the application, or the code.
        Unavailable: the login service cannot be reached.
        Whatever the dialog raises.
    """
    checked = parse_settings(settings)
    given = dict(values)
    if "client_id" not in given:
        await dialog.tell(_INTRODUCTION)
        if imap_scopes(checked):
            await dialog.tell(_BY_IMAP)
        given["client_id"] = Secret(await dialog.ask("Application (client) ID"))
        if "tenant" not in given:
            question = f"Tenant: ID or domain of the organisation, or consumers for Outlook.com (empty for {COMMON})"
            given["tenant"] = Secret(await dialog.ask(question))
    given = {key: value for key, value in given.items() if value.reveal()}
    app = consenting_app(given) if "client_id" in given else None
    if app is None:
        raise AuthExpired("client_id: is required")
    by_browser = app.credential is not None or await _wants_browser(dialog)
    with ExitStack() as stack:
        # Made in a thread, as it asks the login service where everything is.
        asked = await asyncio.to_thread(stack.enter_context, identity(checked, app, transport=transport))
        if by_browser:
            replies = await _by_browser(asked, checked, dialog)
        else:
            replies = await _by_codes(asked, checked, dialog, clock or LoopClock())
    caches = [reply.token_cache for reply in replies if reply.token_cache is not None]
    if not caches:
        raise AuthExpired("Microsoft has given no refresh token: the application must be allowed offline_access")
    given["token_cache"] = caches[-1]
    return given


async def _wants_browser(dialog: LoginDialog) -> bool:
    answer = await dialog.ask("Log in with a code that you enter on any device, or in a browser? (code/browser) [code]")
    return answer.lower().startswith("b")


async def _by_codes(asked: Identity, settings: GraphSettings, dialog: LoginDialog, clock: Clock) -> list[TokenReply]:
    """Log in by a code, and by a second one if Microsoft gives no token for IMAP without.

    A code is for one resource, but whoever has consented before, or whose organisation has, need not do so again.
    """
    replies = [await _by_code(asked, mail_scopes(settings), dialog, clock)]
    scopes = imap_scopes(settings)
    if scopes:
        try:
            replies.append(await asyncio.to_thread(asked.silent, scopes, is_forced=False, claims=None))
        except AuthExpired:
            await dialog.tell(_ANOTHER_CODE)
            replies.append(await _by_code(asked, scopes, dialog, clock))
            if len(await asyncio.to_thread(asked.usernames)) > 1:
                raise Denied("the two codes were entered for different accounts; begin anew") from None
    return replies


async def _by_code(asked: Identity, scopes: list[str], dialog: LoginDialog, clock: Clock) -> TokenReply:
    """Show a code, and wait until it was entered."""
    flow = await asyncio.to_thread(asked.begin_device, scopes)
    await dialog.tell(flow.message)
    until = clock.monotonic() + flow.lifetime_s
    failures = 0
    while clock.monotonic() < until:
        await clock.sleep(flow.interval_s)
        try:
            reply = await asyncio.to_thread(asked.poll_device, flow)
        except Unavailable:
            failures += 1
            if failures >= _FAILURES:
                raise
            continue
        failures = 0
        if reply is not None:
            return reply
    raise Denied("the code was not entered in time; begin anew")


async def _by_browser(asked: Identity, settings: GraphSettings, dialog: LoginDialog) -> list[TokenReply]:
    """Send a browser to the page of consent, and exchange the code that it comes back with."""
    mail, imap = mail_scopes(settings), imap_scopes(settings)
    flows: dict[str, dict[str, object]] = {}

    def address(redirect_uri: str) -> str:
        # Of the addresses on the own machine the Entra admin center takes only this name, with any port.
        flow = asked.begin_browser([*mail, *imap], redirect_uri.replace("//127.0.0.1", "//localhost", 1))
        flows[str(flow["state"])] = flow
        return str(flow["auth_uri"])

    answer = _parameters(await dialog.authorise(address, lambda url: _parameters(url).get("state") in flows))
    if "code" not in answer and "error" not in answer:
        raise Denied("Microsoft has not let the login through: no code came back")
    replies = [await asyncio.to_thread(asked.finish_browser, flows[answer["state"]], answer, mail)]
    if imap:
        # Consented to on the same page; if it was not, this says so while somebody is there to hear it.
        replies.append(await asyncio.to_thread(asked.silent, imap, is_forced=False, claims=None))
    return replies


def _parameters(url: str) -> dict[str, str]:
    try:
        return {name: found[-1] for name, found in parse_qs(urlsplit(url.strip()).query).items()}
    except ValueError:
        return {}
