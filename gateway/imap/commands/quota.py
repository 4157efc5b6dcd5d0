"""GETQUOTA, GETQUOTAROOT and SETQUOTA (RFC 9208)."""

from __future__ import annotations

from gateway.imap.capability import Capability
from gateway.imap.completion import Completion, no, ok
from gateway.imap.session import Session
from gateway.wire import quota, write_administration
from gateway.wire.codes import Code
from gateway.wire.commands import Command

_COMMANDS = (quota.GetQuota, quota.GetQuotaRoot, quota.SetQuota)


def _is_about_quota(command: Command) -> bool:
    return isinstance(command, _COMMANDS)


CAPABILITIES = (
    Capability(
        "QUOTA",
        "RFC 9208",
        "Of accounts whose backend tells it: IMAP servers with QUOTA, JMAP servers with RFC 9425. A mailbox of another "
        "account has no root",
        is_used_by=_is_about_quota,
    ),
    Capability("QUOTA=RES-STORAGE", "RFC 9208", "Octets", needs=("QUOTA",)),
    Capability("QUOTA=RES-MESSAGE", "RFC 9208", "Messages, where the backend counts them", needs=("QUOTA",)),
)


async def get_quota_root(session: Session, command: quota.GetQuotaRoot) -> Completion:
    """Tell the roots of a mailbox and how full each is (section 4.1.2)."""
    roots = await session.services.quotas.of_mailbox(session.require_user(), command.mailbox)
    session.write(write_administration.quota_root(command.mailbox, [root.name for root in roots], utf8=session.utf8))
    for root in roots:
        session.write(write_administration.quota(root.name, root.uses, utf8=session.utf8))
    return ok("Getquotaroot completed")


async def get_quota(session: Session, command: quota.GetQuota) -> Completion:
    """Tell how full a root is (section 4.1.1)."""
    root = await session.services.quotas.root(session.require_user(), command.root)
    if root is None:
        return no("There is no such quota root", Code.NONEXISTENT.value)
    session.write(write_administration.quota(root.name, root.uses, utf8=session.utf8))
    return ok("Getquota completed")


async def set_quota(_session: Session, _: quota.SetQuota) -> Completion:
    """Refuse: the backend's operator sets the limits (section 4.1.3)."""
    return no("Limits are set at the mail backend", Code.NOPERM.value)
