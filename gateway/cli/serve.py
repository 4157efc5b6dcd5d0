"""`imap-gateway serve`."""

from __future__ import annotations

from gateway import logs
from gateway.app.application import serve_until_stopped
from gateway.app.inspection import inspect
from gateway.cli.options import DEFAULT_CONFIG, ConfigOption
from gateway.config import ConfigError, load


def serve(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Serve mail.

    Until SIGTERM or Ctrl-C, which finish what is in flight. SIGHUP reads the certificate and the accounts again.
    """
    loaded = load(config)
    problems = inspect(loaded, str(config))
    if problems:
        raise ConfigError(problems)
    logs.configure(loaded.log.level, loaded.log.format)
    serve_until_stopped(loaded, str(config))
