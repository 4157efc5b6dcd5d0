"""What the IMAP door needs of the rest of the gateway; built once and shared by all sessions."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.auth.named_users import NamedUsers
from gateway.auth.scram_users import ScramUsers
from gateway.auth.tokens import TokenChecker
from gateway.auth.users import UserDirectory
from gateway.imap.bells import Bells
from gateway.imap.capability import Offer
from gateway.imap.limits import ConnectionLimits
from gateway.imap.settings import ImapSettings
from gateway.imap.turnstile import Turnstile
from gateway.mailbox.quota import Quotas
from gateway.mailbox.service import MailService
from gateway.tls import ServerTls


@dataclass(frozen=True, slots=True)
class ImapServices:
    """`tls` is None where there is no certificate, so neither STARTTLS nor imaps. `version` is told by ID.
    `scram` is None where SCRAM is not offered, `named` where nobody is let in by a certificate or token,
    `tokens` where no tokens are taken.
    """

    settings: ImapSettings
    offer: Offer
    mail: MailService
    quotas: Quotas
    directory: UserDirectory
    limits: ConnectionLimits
    tls: ServerTls | None
    version: str
    scram: ScramUsers | None = None
    named: NamedUsers | None = None
    tokens: TokenChecker | None = None
    bells: Bells = field(default_factory=Bells)
    turnstile: Turnstile = field(default_factory=Turnstile)
