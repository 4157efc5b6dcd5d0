"""Which part of a message is its body, and which are attached to it: Graph holds one body and a flat list of files."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from connectors.graph.charsets import decode, decode_words, storable
from connectors.graph.mime import Buffer, Entity, Tree, read_fields
from connectors.graph.parts import Octets, Part

MAX_PARTS: Final = 200
"""Files of one message; Exchange Online takes 250 (Exchange Online limits, "Message limits")."""

MAX_BODY_OCTETS: Final = 8 << 20
"""Of a text that is longer the rest is left out of the body; then it is attached whole."""

_MAX_NAME: Final = 200
_MESSAGES: Final = frozenset({"message/rfc822", "message/global"})
_SHOWN: Final = frozenset({"text/plain", "text/html"})
_OPAQUE: Final = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_UNNAMABLE: Final = re.compile(r'[\x00-\x1f\x7f"*/:<>?\\|]+')
_EXTENSIONS: Final = {
    "text/plain": ".txt",
    "text/html": ".html",
    "text/calendar": ".ics",
    "text/rfc822-headers": ".txt",
    "message/delivery-status": ".txt",
    "message/disposition-notification": ".txt",
    "application/pdf": ".pdf",
    "application/zip": ".zip",
    "application/pgp-signature": ".asc",
    "image/gif": ".gif",
    "image/jpeg": ".jpg",
    "image/png": ".png",
}

CLASS_OPAQUE: Final = "IPM.Note.SMIME"
CLASS_SIGNED: Final = "IPM.Note.SMIME.MultipartSigned"
"""Message classes under which a message's one attachment is its MIME content (MS-OXOSMIME section 2.1)."""


@dataclass(slots=True)
class Layout:
    """A message laid out. `text` is the body's part; `is_cut` says that not all of it is in `body`.

    `message_class` is set for a message that is signed or encrypted. `is_one_file` says that the only file in `parts`
    holds all there is, the text too.
    """

    body: str = ""
    is_html: bool = False
    is_cut: bool = False
    text: Entity | None = None
    parts: list[Part] = field(default_factory=list)
    message_class: str = ""
    is_one_file: bool = False


def lay_out(buffer: Buffer, tree: Tree, *, keeps_signed: bool = True) -> Layout:
    """Find the body and the files of a message. Never fails.

    HTML is preferred to plain text, and the plain text beside it is dropped: Exchange makes its own. A message that is
    signed is one file holding all that was signed, as Exchange has it, unless `keeps_signed` is False; its text is the
    body too. One with too many parts is one file as well.
    """
    layout = Layout()
    root = tree.root
    maker = _Maker(buffer, layout)
    if root.type in _OPAQUE:
        layout.message_class, layout.is_one_file = CLASS_OPAQUE, True
        layout.parts.append(Part("smime.p7m", _declared(root), Octets.of_body(buffer, root)))
        return layout
    if keeps_signed and root.type == "multipart/signed" and len(root.children) == 2:
        maker.collect(root.children[0])
        layout.message_class, layout.is_one_file = CLASS_SIGNED, True
        layout.parts = [Part("smime.p7m", "multipart/signed", _entity_octets(buffer, root))]
        return layout
    maker.collect(root)
    if not tree.is_whole or len(layout.parts) > MAX_PARTS:
        layout.parts, layout.is_one_file = [whole(buffer)], True
    return layout


def whole(buffer: Buffer) -> Part:
    """Return a message as a file of its own."""
    return Part("message.eml", "message/rfc822", Octets(buffer, 0, len(buffer)))


def body_text(buffer: Buffer, entity: Entity) -> tuple[str, bool]:
    """Return the text of a part, and whether it is longer than is read."""
    octets = Octets.of_body(buffer, entity).first(MAX_BODY_OCTETS + 1)
    text = decode(octets[:MAX_BODY_OCTETS], entity.parameters.get("charset"))
    return storable(text), len(octets) > MAX_BODY_OCTETS


@dataclass(slots=True)
class _Maker:
    buffer: Buffer
    layout: Layout

    def collect(self, entity: Entity, *, is_related: bool = False) -> None:
        """Take the body out of a part, unless there is one already, and make files of the others."""
        match entity.type if entity.children else "":
            case "multipart/alternative":
                self._alternative(entity, is_related=is_related)
            case "multipart/related":
                root = _root_of(entity)
                for child in (root, *(child for child in entity.children if child is not root)):
                    self.collect(child, is_related=child is not root)
            case "":
                self._leaf(entity, is_related=is_related)
            case _:
                for child in entity.children:
                    self.collect(child, is_related=is_related)

    def _alternative(self, entity: Entity, *, is_related: bool) -> None:
        """Take the last form that is HTML, or else text; of the others what is no text is attached."""
        chosen = next((child for child in reversed(entity.children) if _holds(child, "text/html")), None)
        chosen = chosen or next((child for child in reversed(entity.children) if _holds(child, "text/plain")), None)
        if chosen is not None:
            self.collect(chosen, is_related=is_related)
        for child in entity.children:
            if child is not chosen and not (chosen is not None and child.type in _SHOWN and not child.children):
                self.collect(child, is_related=is_related)

    def _leaf(self, entity: Entity, *, is_related: bool) -> None:
        layout = self.layout
        if layout.text is None and not is_related and _may_be_body(entity):
            layout.text = entity
            layout.is_html = entity.type == "text/html"
            layout.body, layout.is_cut = body_text(self.buffer, entity)
            return
        layout.parts.append(self.part(entity, is_related=is_related))

    def part(self, entity: Entity, *, is_related: bool = False) -> Part:
        """Return a part as a file."""
        content_id = storable(entity.content_id)[:_MAX_NAME]
        is_inline = bool(content_id) and (is_related or entity.disposition == "inline")
        kind = "message/rfc822" if entity.type in _MESSAGES else _declared(entity)
        name = _file_name(self.buffer, entity, len(self.layout.parts) + 1)
        return Part(name, kind, Octets.of_body(self.buffer, entity), content_id, is_inline)


def _may_be_body(entity: Entity) -> bool:
    return entity.type in _SHOWN and entity.disposition != "attachment" and not entity.filename


def _holds(entity: Entity, kind: str) -> bool:
    """Tell whether the part, or one in it, is of that type."""
    return entity.type == kind or any(_holds(child, kind) for child in entity.children)


def _root_of(entity: Entity) -> Entity:
    """Return the part that the others are for: the one that `start` names, or the first (RFC 2387 section 3.2)."""
    start = entity.parameters.get("start", "").strip().removeprefix("<").removesuffix(">")
    return next((child for child in entity.children if start and child.content_id == start), entity.children[0])


def _declared(entity: Entity) -> str:
    """Return the type with the parameters that say how to read the file."""
    kept = ("charset", "method", "smime-type", "protocol", "micalg")
    told = [(name, entity.parameters[name]) for name in kept if name in entity.parameters]
    good = [(name, value) for name, value in told if value.isascii() and value.isprintable() and '"' not in value]
    if entity.main_type == "text" or entity.type in _OPAQUE:
        return entity.type + "".join(f'; {name}="{value[:80]}"' for name, value in good)
    return entity.type


def _entity_octets(buffer: Buffer, root: Entity) -> Octets:
    """Return what was signed with its signature, as it would be a part: the Content-* fields and the body."""
    header = buffer[root.start : root.body_start]
    fields = re.findall(rb"(?im)^content-[^\n]*+(?:\n[ \t][^\n]*+)*+\n?", header)
    prefix = b"".join(fields)
    prefix += b"" if prefix.endswith(b"\n") else b"\r\n"
    return Octets(buffer, root.body_start, root.end, prefix=prefix + b"\r\n")


def _file_name(buffer: Buffer, entity: Entity, number: int) -> str:
    """Return a name that can be one on any computer."""
    name = _cleaned(entity.filename)
    if name:
        return name
    if entity.type in _MESSAGES:
        return (_cleaned(_subject_within(buffer, entity))[: _MAX_NAME - 4] or f"message-{number}") + ".eml"
    return f"part-{number}{_EXTENSIONS.get(entity.type, '.bin')}"


def _subject_within(buffer: Buffer, entity: Entity) -> str:
    """Return the subject of an attached message."""
    block = Octets.of_body(buffer, entity).first(16 * 1024)
    value = next((value for name, value in read_fields(block) if name == "subject"), b"")
    return decode_words(value)


def _cleaned(name: str) -> str:
    text = _UNNAMABLE.sub("_", storable(name)).strip(" .")
    if len(text) <= _MAX_NAME:
        return text
    stem, dot, extension = text.rpartition(".")
    if not dot or len(extension) > 20:
        return text[:_MAX_NAME]
    return f"{stem[: _MAX_NAME - len(extension) - 1]}.{extension}"
