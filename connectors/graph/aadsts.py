"""What the refusals of Microsoft's login mean, and what a person can do about them.

Source: Microsoft, "Microsoft Entra authentication and authorization error codes" (AADSTS), and RFC 6749 section 5.2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from connectors.api.errors import AuthExpired, ConnectorError, Denied, Unavailable
from connectors.transport.redaction import excerpt

_CODE: Final = re.compile(r"\bAADSTS(\d{4,9})\b")

AGAIN: Final = "log in again (imap-gateway account passwd)"

_CONSENT: Final = (
    "nobody has consented to the application's permissions: log in again and agree to them, or let an administrator "
    "grant consent in the Entra admin center (API permissions)"
)
_POLICY: Final = (
    "a conditional access policy of the organisation does not let this login through; its administrators can see why "
    "in the sign-in log, and exempt the application or this machine"
)
_NO_TENANT: Final = "there is no such organisation: check tenant, which is its ID or one of its domains"
_DISABLED: Final = "an administrator has disabled it"
_MULTI_FACTOR: Final = f"the organisation asks for a second factor: {AGAIN}"

_ADVICE: Final[Mapping[int, str]] = {
    16000: f"{AGAIN}, and choose the account",
    50011: "the app registration has no fitting redirect URI: add http://localhost to it, under Authentication, "
    "platform 'Mobile and desktop applications'",
    50020: "this account is not one of the organisation: check tenant (consumers for Outlook.com accounts)",
    50034: "there is no such user in the organisation",
    50053: "the account is locked, after too many failed logins or from a dubious address; try again later",
    50055: f"the password has expired: change it, and {AGAIN}",
    50057: f"the account cannot log in: {_DISABLED}",
    50059: _NO_TENANT,
    50072: _MULTI_FACTOR,
    50074: _MULTI_FACTOR,
    50076: _MULTI_FACTOR,
    50078: f"the second factor has expired: {AGAIN}",
    50079: _MULTI_FACTOR,
    50097: _POLICY,
    50105: "the user is not assigned to the application: assign it in the Entra admin center (Enterprise applications)",
    50128: _NO_TENANT,
    50131: _POLICY,
    50132: f"the login was ended, by a new password or an administrator: {AGAIN}",
    50133: f"the login was ended by a new password: {AGAIN}",
    50158: _POLICY,
    50173: f"the login was ended, by a new password or an administrator: {AGAIN}",
    50194: "the application is for one organisation only: set tenant to the ID of that organisation",
    53000: _POLICY,
    53001: _POLICY,
    53002: _POLICY,
    53003: _POLICY,
    53004: _POLICY,
    65001: _CONSENT,
    65004: "the consent was refused",
    65005: "the application asks for permissions that its registration does not have: add them under API permissions",
    70000: f"the login is of no use any more: {AGAIN}",
    70008: f"the login has expired: {AGAIN}",
    70011: "a permission is not known: is the cloud the right one?",
    70019: "the code was not entered in time; begin anew",
    70020: "the code was not entered in time; begin anew",
    70043: f"the organisation asks its users to log in again at intervals: {AGAIN}",
    70044: f"the organisation asks its users to log in again at intervals: {AGAIN}",
    90002: _NO_TENANT,
    90072: "this account is not one of the organisation: check tenant, or have it invited as a guest",
    90094: _CONSENT,
    90095: _CONSENT,
    530003: _POLICY,
    530004: _POLICY,
    530033: _POLICY,
    530034: _POLICY,
    530035: _POLICY,
    700003: _POLICY,
    700005: "the code was meant for another organisation: check tenant",
    700016: "there is no such application in the organisation: check client_id and tenant",
    700025: "the application is a public client: leave out client_secret",
    700027: "the application does not know the certificate: upload it to the app registration (Certificates & secrets)",
    700054: "the app registration does not allow this kind of login",
    700082: f"the login was not used for so long that it has expired: {AGAIN}",
    700084: f"the login has expired, as those of single-page applications do after a day: {AGAIN}",
    900023: _NO_TENANT,
    1002016: "TLS 1.2 is needed",
    7000112: f"the application cannot log in: {_DISABLED}",
    7000113: "the app registration does not allow this kind of login",
    7000215: "client_secret is wrong; it has to be the value of the secret, not its ID",
    7000216: "the application is a web app: client_secret is needed",
    7000218: "the app registration does not allow public client flows: allow them under Authentication, or give "
    "client_secret and log in by browser",
    7000222: "client_secret has expired: make a new one in the app registration, and replace it here",
    7000229: "the organisation has not added the application: an administrator has to grant consent first",
    9002325: "the app registration is of another type: use the platform 'Mobile and desktop applications'",
    9002326: "the app registration is of another type: use the platform 'Mobile and desktop applications'",
    9002327: "the app registration is of another type: use the platform 'Mobile and desktop applications'",
    9002331: "the application is for Outlook.com accounts only: set tenant to consumers",
    9002346: "the application is for Outlook.com accounts only: set tenant to consumers",
    9001023: "this kind of login needs the right tenant: an organisation's ID, or consumers",
}

_ADVICE_BY_WORD: Final[Mapping[str, str]] = {
    "invalid_grant": f"the login has ended or was revoked: {AGAIN}",
    "interaction_required": f"Microsoft wants to see the user: {AGAIN}",
    "login_required": f"Microsoft wants to see the user: {AGAIN}",
    "consent_required": _CONSENT,
    "invalid_client": "Microsoft does not take client_id with this secret or certificate; check the app registration",
    "unauthorized_client": "the app registration does not allow this: check its supported account types, and tenant",
    "invalid_scope": "a permission is not known or not allowed for this kind of account",
    "access_denied": "the consent was refused",
    "authorization_declined": "the consent was refused",
    "expired_token": "the code was not entered in time; begin anew",
    "bad_verification_code": "the code is of no use any more; begin anew",
}

_PASSING: Final = frozenset({90033, 90100, 50196, 90006, 90024, 90055})
"""Codes of failures at Microsoft, and of too many requests."""

_PASSING_WORDS: Final = frozenset({"temporarily_unavailable", "server_error", "internal_failure"})
_DENIED_WORDS: Final = frozenset({"access_denied", "authorization_declined", "expired_token"})


def codes_of(reply: Mapping[str, object]) -> tuple[int, ...]:
    """Return the AADSTS codes of a refusal, the most telling first; none for Outlook.com accounts."""
    listed = reply.get("error_codes")
    codes = [code for code in listed if isinstance(code, int)] if isinstance(listed, list) else []
    told = _CODE.findall(str(reply.get("error_description") or ""))
    return tuple(dict.fromkeys([*codes, *map(int, told)]))


def refusal_of(reply: Mapping[str, object]) -> ConnectorError:
    """Return the error for what Microsoft's login has answered in place of a token.

    AuthExpired if a person has to do something, Denied if somebody has refused, Unavailable if it may pass by itself.
    """
    word = str(reply.get("error") or "")
    codes = codes_of(reply)
    text = f"no access token from Microsoft: {excerpt(word.encode())}" if word else "no access token from Microsoft"
    if codes:
        text += f" (AADSTS{codes[0]})"
    advice = next((_ADVICE[code] for code in codes if code in _ADVICE), None) or _ADVICE_BY_WORD.get(word)
    said = _said(reply)
    text += f": {advice}" if advice else f": {said}" if said else ""
    correlation = str(reply.get("correlation_id") or "")
    if correlation:
        text += f" [correlation id {excerpt(correlation.encode())}]"
    if word in _PASSING_WORDS or not _PASSING.isdisjoint(codes):
        return Unavailable(text)
    return Denied(text) if word in _DENIED_WORDS else AuthExpired(text)


def _said(reply: Mapping[str, object]) -> str:
    """Return the first sentence or so of Microsoft's own words."""
    lines = str(reply.get("error_description") or "").strip().splitlines()
    return excerpt(lines[0].partition(" Trace ID:")[0].encode("utf-8", "replace")) if lines else ""
