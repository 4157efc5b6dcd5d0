"""PatchObjects of /set updates (RFC 8620 section 5.3)."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.fakes.jmap.errors import SetFailure
from tests.fakes.jmap.references import unescape


@dataclass(slots=True)
class Patch:
    """`whole` are properties to replace; `parts` are entries of object properties to set, or to remove (None)."""

    whole: dict[str, object] = field(default_factory=dict)
    parts: dict[str, dict[str, object]] = field(default_factory=dict)


def read_patch(document: dict[str, object]) -> Patch:
    """Sort the paths of a patch.

    Raises:
        SetFailure: `invalidPatch`: a path is within the value of another, or deeper than any object here.
    """
    patch = Patch()
    for path, value in document.items():
        tokens = [unescape(token) for token in path.split("/")]
        if "~" in path.replace("~0", "").replace("~1", ""):
            raise SetFailure("invalidPatch", f"{path!r} is no JSON Pointer", is_violation=True)
        match tokens:
            case [name]:
                patch.whole[name] = value
            case [name, key]:
                patch.parts.setdefault(name, {})[key] = value
            case _:
                raise SetFailure("invalidPatch", f"there is nothing at {path!r}", is_violation=True)
    both = patch.whole.keys() & patch.parts.keys()
    if both:
        raise SetFailure("invalidPatch", f"{', '.join(both)} is patched within itself", is_violation=True)
    return patch
