"""Reading an account's checked settings: what is blank is left out, and what kinds of connectors share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from connectors.api.settings import SettingError, SettingValue


def text_of(settings: Mapping[str, SettingValue], key: str) -> str | None:
    """Return the text, or None if it is left out or blank."""
    return str(settings.get(key, "")).strip() or None


def address_of(settings: Mapping[str, SettingValue], key: str, example: str) -> str | None:
    """Return the http or https address, or None if it is left out.

    Raises:
        SettingError: it is none such as `example`, or holds credentials.
    """
    text = text_of(settings, key)
    if text is None:
        return None
    try:
        parts = urlsplit(text)
        is_good = parts.scheme in ("https", "http") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_good = False
    if not is_good:
        raise SettingError(key, f"must be an address such as {example}")
    if parts.username is not None or parts.password is not None:
        raise SettingError(key, "must not hold a user name or password: they are credentials")
    return text


def file_of(settings: Mapping[str, SettingValue], key: str) -> str | None:
    """Return the path of a file, or None if it is left out.

    Raises:
        SettingError: there is no such file.
    """
    path = text_of(settings, key)
    if path is not None and not Path(path).is_file():
        raise SettingError(key, f"there is no file {path}")
    return path
