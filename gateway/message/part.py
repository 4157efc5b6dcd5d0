"""What is known of one part of a message."""

from __future__ import annotations

from dataclasses import dataclass, field

Parameters = tuple[tuple[bytes, bytes], ...]


@dataclass(slots=True)
class Part:
    """One node of a message's MIME tree. Built by `scan` or `decode_index`; not to be changed afterwards.

    Offsets count octets of the whole message: the header is `header_start`..`body_start`, its closing empty line
    included, the body `body_start`..`end`. The line end before a boundary belongs to neither (RFC 2046 section 5.1.1).

    `type`, `subtype`, `encoding` and the names in `parameters` are spelled as in the message; defaults are filled in,
    in lower case. `lines` counts the line ends of the body; it is set for text/* and for embedded messages, else 0.
    A multipart has at least one child. `message` is the embedded message of a message/rfc822 or message/global part,
    and `envelope` then its finished ENVELOPE. Free text fields are unfolded; None means that the field is missing.
    """

    header_start: int = 0
    body_start: int = 0
    end: int = 0
    lines: int = 0
    type: bytes = b"text"
    subtype: bytes = b"plain"
    parameters: Parameters = ()
    encoding: bytes = b"7bit"
    content_id: bytes | None = None
    description: bytes | None = None
    md5: bytes | None = None
    disposition: tuple[bytes, Parameters] | None = None
    languages: tuple[bytes, ...] = ()
    location: bytes | None = None
    children: list[Part] = field(default_factory=list)
    message: Part | None = None
    envelope: bytes = b""

    @property
    def is_text(self) -> bool:
        return self.type.lower() == b"text"

    @property
    def is_multipart(self) -> bool:
        return bool(self.children)

    @property
    def size_octets(self) -> int:
        """The body's size as it lies in the message, transfer encoding and all."""
        return self.end - self.body_start

    def parameter(self, name: bytes) -> bytes | None:
        """Return the first Content-Type parameter of that name, given in lower case."""
        for key, value in self.parameters:
            if key.lower() == name:
                return value
        return None

    def child(self, numbers: tuple[int, ...]) -> Part | None:
        """Return the part that section numbers name, counted from 1 (RFC 9051 section 6.4.5.1), or None.

        A message that is not multipart has itself as its part 1.
        """
        part, is_message = self, True
        for number in numbers:
            if not is_message and part.message is not None:
                part, is_message = part.message, True
            if part.children:
                if not 1 <= number <= len(part.children):
                    return None
                part = part.children[number - 1]
            elif number != 1 or not is_message:
                return None
            is_message = False
        return part
