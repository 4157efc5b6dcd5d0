"""What the login refuses, in OAuth's words and with Microsoft's own numbers (AADSTS)."""

from __future__ import annotations


class Refused(Exception):
    """A refusal: the AADSTS number, OAuth's `error`, a text, and Microsoft's `suberror` if there is one."""

    def __init__(self, code: int, error: str, text: str, suberror: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.error = error
        self.text = text
        self.suberror = suberror
