"""What extensions the accounts of a user make possible."""

from __future__ import annotations

from gateway.mailbox.user_mail import UserMail


def has_gmail_ids(user: UserMail) -> bool:
    """Whether one of the accounts has Gmail's ids and labels, so that X-GM-EXT-1 makes sense."""
    return any(engine.context.account.capabilities.gmail_ids for engine in user.running_engines())


def jmap_url(user: UserMail) -> str | None:
    """Return where the user finds the same mail by JMAP (RFC 9698); None if it is not all there, or not known yet."""
    if len(user.account_names) != 1:
        return None
    for engine in user.running_engines():
        return engine.context.account.capabilities.jmap_url
    return None
