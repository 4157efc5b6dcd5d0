"""What a connector names by `package.module:callable`, so that it is imported only when it is needed."""

from __future__ import annotations

import importlib
from typing import Any


def imported(name: str) -> Any:
    """Import what `name` stands for.

    Raises:
        ImportError, AttributeError: there is no such thing.
    """
    module_name, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module_name), attribute)
