"""The national clouds: where Graph and the logins are (Microsoft, "Microsoft Graph national cloud deployments")."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


class Cloud(enum.Enum):
    """Which of Microsoft's clouds holds the mailbox. Tokens of one are of no use in another."""

    GLOBAL = "global"
    US_GOV = "us-gov"
    US_DOD = "us-dod"
    CHINA = "china"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a cloud is reached, without a slash at the end.

    `api_root` holds the version, `authority` no tenant. `audience` is what permissions are asked for at: the Graph of
    the cloud, wherever requests really go. `imap_host` is its IMAP server, `imap_audience` where a user's permission
    for that is asked for; an application asks at the server itself.
    """

    api_root: str
    authority: str
    audience: str
    imap_host: str
    imap_audience: str


ADDRESSES: Final[Mapping[Cloud, Addresses]] = {
    Cloud.GLOBAL: Addresses(
        "https://graph.microsoft.com/v1.0",
        "https://login.microsoftonline.com",
        "https://graph.microsoft.com",
        "outlook.office365.com",
        "https://outlook.office.com",
    ),
    Cloud.US_GOV: Addresses(
        "https://graph.microsoft.us/v1.0",
        "https://login.microsoftonline.us",
        "https://graph.microsoft.us",
        "outlook.office365.us",
        "https://outlook.office365.us",
    ),
    Cloud.US_DOD: Addresses(
        "https://dod-graph.microsoft.us/v1.0",
        "https://login.microsoftonline.us",
        "https://dod-graph.microsoft.us",
        "outlook-dod.office365.us",
        "https://outlook-dod.office365.us",
    ),
    # MSAL knows login.partner.microsoftonline.cn as the present name of login.chinacloudapi.cn.
    Cloud.CHINA: Addresses(
        "https://microsoftgraph.chinacloudapi.cn/v1.0",
        "https://login.partner.microsoftonline.cn",
        "https://microsoftgraph.chinacloudapi.cn",
        "partner.outlook.cn",
        "https://partner.outlook.cn",
    ),
}
