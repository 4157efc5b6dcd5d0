"""The commands of QUOTA and what they speak of (RFC 9208)."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Resource(enum.Enum):
    """What a quota root limits (RFC 9208 section 5)."""

    STORAGE = b"STORAGE"
    MESSAGE = b"MESSAGE"


@dataclass(frozen=True, slots=True)
class ResourceUse:
    """How much of a resource is used, and how much there may be; STORAGE counts units of 1,024 octets."""

    resource: Resource
    used: int
    limit: int


@dataclass(frozen=True, slots=True)
class GetQuota:
    root: str


@dataclass(frozen=True, slots=True)
class GetQuotaRoot:
    mailbox: str


@dataclass(frozen=True, slots=True)
class SetQuota:
    """RFC 9208 section 4.1.3; resource names in capitals."""

    root: str
    limits: tuple[tuple[str, int], ...]
