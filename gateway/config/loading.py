"""Reading the configuration, and saying what is wrong with it: one line per problem, naming file and key."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource
from pydantic_settings.exceptions import SettingsError

from connectors.api.credentials import Secret
from gateway.config.model import Config, section_models
from gateway.errors import OperatorError

ENVIRONMENT_PREFIX = "IMAP_GATEWAY_"


class ConfigError(OperatorError):
    """The configuration is wrong in one or more places; `problems` names each, in the order of the file."""

    def __init__(self, problems: Sequence[OperatorError]) -> None:
        super().__init__("\n".join(problem.operator_text for problem in problems))
        self.problems = tuple(problems)


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
        case "path_type":
            text = "must be a path"
        case "too_short" | "string_too_short" if error.get("ctx", {}).get("min_length") == 1:
            text = "must not be empty"
        case _:
            text = error["msg"].replace("Input should be", "must be")
    variable = _variable(location)
    source = f"environment variable {variable}" if variable in os.environ else str(path)
    return OperatorError(text, key=key or None, source=source)


_PATTERN_TEXTS = {
    "issuer": "must be an https:// address without query",
    "jwks_url": "must be an https:// address",
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


def _bad_variable(error: SettingsError) -> OperatorError:
    match = re.search(r'field "(\w+)"', str(error))
    name = _variable([match[1]]) if match else f"a variable {ENVIRONMENT_PREFIX}*"
    return OperatorError("must be JSON", source=f"environment variable {name}")


def _unknown_variables(config: Config) -> Iterator[OperatorError]:
    """Find variables that look like keys and are none; a variable that some `*_env` key names is left alone."""
    named = {config.secrets.key_env}
    named.update(user.password_env for user in config.users)
    for account in config.accounts:
        named.update(value for key, value in (account.credentials or {}).items() if key.endswith("_env"))
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
