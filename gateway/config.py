"""The configuration: one TOML file, overridden by environment variables, as frozen values.

A key `section.key` is overridden by `IMAP_GATEWAY_SECTION__KEY`; lists are given there as JSON. Secrets are never keys:
a key names the file or the environment variable that holds one. Every key is described in docs/configuration.md.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource
from pydantic_settings.exceptions import SettingsError

from connectors.api.credentials import Secret
from gateway.errors import OperatorError

ENVIRONMENT_PREFIX = "IMAP_GATEWAY_"

_UNITS = {"": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40}


class ConfigError(OperatorError):
    """The configuration is wrong in one or more places; `problems` names each, in the order of the file."""

    def __init__(self, problems: Sequence[OperatorError]) -> None:
        super().__init__("\n".join(problem.operator_text for problem in problems))
        self.problems = tuple(problems)


def _octets(value: object) -> object:
    """Turn `"50 MiB"` into octets; anything else is left to the integer check."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*(\d+)\s*([a-zA-Z]*)\s*", value)
    if match is None or match[2].lower() not in _UNITS:
        raise ValueError('must be a number of octets, or a text such as "50 MiB" (units: KiB, MiB, GiB, TiB)')
    return int(match[1]) * _UNITS[match[2].lower()]


def _bind(value: str) -> str:
    split_address(value)
    return value


def split_address(bind: str) -> tuple[str, int]:
    """Split `host:port`, `[v6]:port` or `*:port` into host and port; `*` becomes the empty host, meaning every address.

    Raises:
        ValueError: it has another form.
    """
    host, colon, port = bind.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError('must be an address and a port, such as "127.0.0.1:1143", "[::1]:1143" or "*:1143"')
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        ipaddress.IPv6Address(host)
    elif ":" in host:
        raise ValueError("an IPv6 address is written in brackets: [::1]:1143")
    return ("" if host == "*" else host), int(port)


def _scalar(value: object) -> object:
    if not isinstance(value, (bool, int, float, str)):
        raise ValueError("must be a text, a number, or true or false")
    return value


def _login(value: str) -> str:
    if not value or any(ord(char) < 0x20 or ord(char) == 0x7F for char in value):
        raise ValueError("must be a text without control characters")
    return value


def check_account_name(value: str) -> str:
    """Return the name if it can be the first level of a mailbox name.

    Raises:
        ValueError: it cannot.
    """
    if not value or value != value.strip() or any(char in '/%*\\"' or ord(char) < 0x20 for char in value):
        raise ValueError('must not be empty, start or end with a space, or hold / % * \\ " or control characters')
    if value.upper() == "INBOX":
        raise ValueError("must not be INBOX, which is the name of a mailbox")
    return value


Octets = Annotated[int, BeforeValidator(_octets), Field(ge=0)]
Bind = Annotated[str, AfterValidator(_bind)]
Login = Annotated[str, AfterValidator(_login)]
AccountName = Annotated[str, AfterValidator(check_account_name)]
SettingValue = Annotated[bool | int | float | str, BeforeValidator(_scalar)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class StoreConfig(_Section):
    """Where UID maps, flags, users and accounts are kept. Losing it means that clients fetch their mail again."""

    url: str = Field(
        pattern=r"^sqlite:///.+",
        description="The database: `sqlite:///` and a path; four slashes make it absolute.",
    )


class CacheConfig(_Section):
    """Message bodies fetched from backends. May be deleted at any time."""

    directory: Path = Field(description="The folder of the cached messages.")
    max_size: Octets = Field(
        default=10 << 30, description="How much it may hold; the messages read longest ago go first."
    )
    seal: bool = Field(default=False, description="Encrypt the cached messages with the key of `[secrets]`.")


class SecretsConfig(_Section):
    """The key under which the credentials of accounts are sealed in the store."""

    key_file: Path | None = Field(default=None, description="A file holding the key.")
    key_env: str | None = Field(default=None, description="The environment variable holding the key.")

    @model_validator(mode="after")
    def _one_source(self) -> SecretsConfig:
        if self.key_file is not None and self.key_env is not None:
            raise ValueError("give key_file or key_env, not both")
        return self


class ListenerConfig(_Section):
    """One address that clients connect to."""

    protocol: Literal["imap", "imaps"] = Field(
        description="`imap` is plain, with STARTTLS if there is a certificate; `imaps` is TLS from the first octet."
    )
    bind: Bind = Field(description="Address and port: `127.0.0.1:1143`, `[::1]:1143`, or `*:1143` for every address.")

    @property
    def address(self) -> tuple[str, int]:
        """Host, empty for every address, and port."""
        return split_address(self.bind)


class TlsConfig(_Section):
    """The certificate of the listeners. It is read again on SIGHUP."""

    certificate: Path = Field(description="The certificate and its chain, PEM.")
    key: Path = Field(description="The private key, PEM, without a passphrase.")


class SyncConfig(_Section):
    """How the gateway follows what happens at the backends."""

    prefetch: Literal["none", "headers", "bodies"] = Field(
        default="headers",
        description=(
            "What is fetched before a client asks for it: nothing, what message lists show, or whole messages as well."
        ),
    )
    poll_interval_s: float | None = Field(
        default=None,
        ge=1,
        description="Seconds between two looks at a backend that does not push. Unset: as the connector advises.",
    )


class LogConfig(_Section):
    """What is logged, to standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="The least level logged.")
    format: Literal["console", "json"] = Field(
        default="console", description="`console` for people, `json` (one object a line) for machines."
    )


class UserConfig(_Section):
    """A user declared here instead of by `imap-gateway user add`. Exactly one `password_` key."""

    login: Login = Field(description="The name that mail clients log in with.")
    password_file: Path | None = Field(default=None, description="A file holding the password.")
    password_env: str | None = Field(default=None, description="The environment variable holding the password.")
    password_hash: str | None = Field(
        default=None,
        pattern=r"^\$argon2id\$",
        description="Its argon2id hash, in PHC form (`$argon2id$...`).",
    )

    @model_validator(mode="after")
    def _one_password(self) -> UserConfig:
        if [self.password_file, self.password_env, self.password_hash].count(None) != 2:
            raise ValueError("give exactly one of password_file, password_env and password_hash")
        return self


class CredentialsConfig(_Section):
    """What an account logs in with at its backend. Exactly one `password_` key."""

    username: str = Field(min_length=1, description="The user name at the backend.")
    password_file: Path | None = Field(default=None, description="A file holding the password.")
    password_env: str | None = Field(default=None, description="The environment variable holding the password.")

    @model_validator(mode="after")
    def _one_password(self) -> CredentialsConfig:
        if [self.password_file, self.password_env].count(None) != 1:
            raise ValueError("give exactly one of password_file and password_env")
        return self


class AccountConfig(_Section):
    """An account declared here instead of by `imap-gateway account add`."""

    name: AccountName = Field(description="Its name; with several accounts, the first level of its mailboxes' names.")
    user: Login = Field(description="The login of the user it belongs to, declared in `[[users]]`.")
    connector: str = Field(description="The kind of backend: `imap`, `maildir` or `memory`.")
    settings: dict[str, SettingValue] = Field(
        default_factory=dict, description="The connector's own settings; they are listed below."
    )
    credentials: CredentialsConfig | None = Field(
        default=None, description="What it logs in with, for connectors that need it."
    )
    primary: bool = Field(
        default=False, description="Of several accounts, show this one at the root instead of under its name."
    )


class Config(_Section):
    """The whole configuration."""

    store: StoreConfig
    cache: CacheConfig
    secrets: SecretsConfig = SecretsConfig()
    listeners: tuple[ListenerConfig, ...] = ()
    tls: TlsConfig | None = None
    sync: SyncConfig = SyncConfig()
    log: LogConfig = LogConfig()
    users: tuple[UserConfig, ...] = ()
    accounts: tuple[AccountConfig, ...] = ()


# -- loading -----------------------------------------------------------------------------------------------------------


def load(path: Path) -> Config:
    """Read the file at `path` and the environment.

    Raises:
        ConfigError: the file cannot be read or is no TOML, or keys are unknown, missing or wrong.
    """
    document = _read(path)

    class FileConfig(Config, BaseSettings):
        model_config = SettingsConfigDict(env_prefix=ENVIRONMENT_PREFIX, env_nested_delimiter="__", toml_file=path)

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return env_settings, TomlConfigSettingsSource(settings_cls)

    try:
        config = FileConfig()  # type: ignore[call-arg]  # the sources give the fields
    except ValidationError as exc:
        raise ConfigError([_problem(error, path, document) for error in exc.errors(include_url=False)]) from None
    except SettingsError as exc:
        raise ConfigError([_bad_variable(exc)]) from None
    problems = [*_unknown_variables(config), *_contradictions(config, path)]
    if problems:
        raise ConfigError(problems)
    return config


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        text = "there is no such file; name the configuration with --config, or copy config/gateway.example.toml there"
    except OSError as exc:
        text = f"cannot be read: {exc.strerror}"
    except UnicodeDecodeError:
        text = "is not UTF-8 text"
    except tomllib.TOMLDecodeError as exc:
        text = f"is not valid TOML: {exc}"
    raise ConfigError([OperatorError(text, source=str(path))]) from None


def read_secret(file: Path | None, variable: str | None, *, key: str) -> Secret[str]:
    """Return what the file or the environment variable holds, without the line end a file closes with.

    `key` is the dotted place of the reference, without its `_file` or `_env`.

    Raises:
        OperatorError: it cannot be read or is empty.
    """
    if file is not None:
        key = f"{key}_file"
        try:
            text = file.read_text(encoding="utf-8")
        except OSError as exc:
            raise OperatorError(f"{file} cannot be read: {exc.strerror}", key=key) from None
        except UnicodeDecodeError:
            raise OperatorError(f"{file} is not UTF-8 text", key=key) from None
        text = text.removesuffix("\n").removesuffix("\r")
        if not text:
            raise OperatorError(f"{file} is empty; write the secret into it", key=key)
        return Secret(text)
    key = f"{key}_env"
    text = os.environ.get(variable or "", "")
    if not text:
        raise OperatorError(f"the environment variable {variable} is not set", key=key)
    return Secret(text)


# -- saying what is wrong ----------------------------------------------------------------------------------------------


def _problem(error: ErrorDetails, path: Path, document: Mapping[str, Any]) -> OperatorError:
    """Word one finding of pydantic for an operator: which file or variable, which key, what to do."""
    location = error["loc"]
    key = _dotted(location, document)
    match error["type"]:
        case "extra_forbidden":
            text = "is not a key of the configuration" + _suggestion(location)
        case "missing":
            text = "is required"
        case "value_error":
            text = str(error.get("ctx", {}).get("error", error["msg"]))
        case "string_pattern_mismatch":
            text = _PATTERN_TEXTS.get(str(location[-1]), "has a wrong form")
        case _:
            text = error["msg"].replace("Input should be", "must be")
    variable = _variable(location)
    source = f"environment variable {variable}" if variable in os.environ else str(path)
    return OperatorError(text, key=key or None, source=source)


_PATTERN_TEXTS = {
    "url": "must be sqlite:/// and a path, such as sqlite:////var/lib/imap-gateway/gateway.db",
    "password_hash": "must be an argon2id hash in PHC form, starting with $argon2id$",
}


def _dotted(location: Sequence[int | str], document: Mapping[str, Any]) -> str:
    """Write a location as `accounts[work].settings.port`: entries of lists by their own name, else counted from 1."""
    text = ""
    value: Any = document
    for part in location:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            value = None
        if isinstance(part, int):
            names = [value.get(key) for key in ("name", "login", "bind")] if isinstance(value, dict) else []
            text += f"[{next((name for name in names if isinstance(name, str)), part + 1)}]"
        else:
            text += f".{part}" if text else part
    return text


def _variable(location: Sequence[int | str]) -> str:
    """Name the environment variable that would set what is at `location`."""
    parts = []
    for part in location:
        if isinstance(part, int):
            break
        parts.append(part.upper())
    return ENVIRONMENT_PREFIX + "__".join(parts)


def _suggestion(location: Sequence[int | str]) -> str:
    *parents, last = (part for part in location if isinstance(part, str))
    known = _keys_below(Config, parents)
    close = difflib.get_close_matches(str(last), known, n=1)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known here: {', '.join(sorted(known))}" if known else ""


def _keys_below(model: type[BaseModel], parents: Sequence[str]) -> list[str]:
    for name in parents:
        inner = next((found for found in section_models(model) if found[0] == name), None)
        if inner is None:
            return []
        model = inner[1]
    return list(model.model_fields)


def section_models(model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel], bool]]:
    """Yield (key, model, whether it is a list) of the keys of `model` that hold further keys."""
    for name, field in model.model_fields.items():
        annotation = field.annotation
        arguments: tuple[Any, ...] = getattr(annotation, "__args__", ())
        for candidate in (annotation, *arguments):
            if isinstance(candidate, type) and issubclass(candidate, BaseModel):
                yield name, candidate, Ellipsis in arguments


def _bad_variable(error: SettingsError) -> OperatorError:
    match = re.search(r'field "(\w+)"', str(error))
    name = _variable([match[1]]) if match else f"a variable {ENVIRONMENT_PREFIX}*"
    return OperatorError("must be JSON", source=f"environment variable {name}")


def _unknown_variables(config: Config) -> Iterator[OperatorError]:
    """Find variables that look like keys and are none; a variable that some `*_env` key names is left alone."""
    named = {config.secrets.key_env}
    named.update(user.password_env for user in config.users)
    named.update(account.credentials.password_env for account in config.accounts if account.credentials)
    sections = {name: model for name, model, _ in section_models(Config)}
    for variable in sorted(os.environ.keys() - named):
        section, separator, key = variable.removeprefix(ENVIRONMENT_PREFIX).lower().partition("__")
        if not variable.startswith(ENVIRONMENT_PREFIX) or not separator:
            continue
        if section not in sections or key.partition("__")[0] not in sections[section].model_fields:
            yield OperatorError("sets no key of the configuration", source=f"environment variable {variable}")


def _contradictions(config: Config, path: Path) -> Iterator[OperatorError]:
    """Find what is right key by key and wrong together."""
    source = str(path)
    for login, count in Counter(user.login for user in config.users).items():
        if count > 1:
            yield OperatorError("is declared more than once", key=f"users[{login}]", source=source)
    logins = {user.login for user in config.users}
    for (user, name), count in Counter((account.user, account.name) for account in config.accounts).items():
        if count > 1:
            yield OperatorError(f"is declared more than once for user {user}", key=f"accounts[{name}]", source=source)
    for account in config.accounts:
        if account.user not in logins:
            text = f"there is no [[users]] entry with login {account.user!r}"
            yield OperatorError(text, key=f"accounts[{account.name}].user", source=source)
    for user, count in Counter(account.user for account in config.accounts if account.primary).items():
        if count > 1:
            yield OperatorError(f"user {user} has {count} primary accounts; keep one", key="accounts", source=source)
    for bind, count in Counter(listener.bind for listener in config.listeners).items():
        if count > 1:
            yield OperatorError("is used by more than one listener", key=f"listeners[{bind}].bind", source=source)
    for listener in config.listeners:
        if listener.protocol == "imaps" and config.tls is None:
            text = "imaps needs a certificate; add the section [tls]"
            yield OperatorError(text, key=f"listeners[{listener.bind}].protocol", source=source)
