"""Content codings of replies (RFC 9110 section 8.4.1), undone in small pieces."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

PIECE_OCTETS = 64 * 1024
"""Largest piece that a decoder hands out, however much a few octets expand to."""

ACCEPTED = "gzip, deflate"


class BadCoding(Exception):
    """The body is not in the coding that its header names, or that coding is unknown."""


class Decoder:
    """Undoes one coding. `feed` is read to its end before the next call."""

    def __init__(self, coding: str) -> None:
        self._coding = coding.strip().lower()
        self._inflate: zlib._Decompress | None = None
        self._has_begun = False
        if self._coding in ("gzip", "x-gzip"):
            self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
        elif self._coding == "deflate":
            self._inflate = zlib.decompressobj()
        elif self._coding not in ("", "identity"):
            raise BadCoding(f"a body in the coding {self._coding[:40]!r}, which was not asked for")

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what `data` decodes to, in pieces of at most PIECE_OCTETS.

        Raises:
            BadCoding: it does not decode.
        """
        if self._inflate is None:
            for start in range(0, len(data), PIECE_OCTETS):
                yield data[start : start + PIECE_OCTETS]
            return
        while data:
            if self._inflate.eof:
                # A gzip file may hold several members (RFC 1952 section 2.2).
                self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
            piece = self._inflated(data)
            data = self._inflate.unconsumed_tail or (self._inflate.unused_data if self._inflate.eof else b"")
            if piece:
                yield piece
            if self._inflate.eof and self._coding == "deflate":
                return
        # What a full piece left inside the decompressor comes out without new input.
        while not self._inflate.eof and (piece := self._inflated(b"")):
            yield piece

    def finish(self) -> None:
        """Check that the body is complete.

        Raises:
            BadCoding: it ends in the middle.
        """
        if self._inflate is not None and self._has_begun and not self._inflate.eof:
            raise BadCoding(f"a {self._coding} body that ends in the middle")

    def _inflated(self, data: bytes) -> bytes:
        assert self._inflate is not None
        is_first, self._has_begun = not self._has_begun, self._has_begun or bool(data)
        try:
            return self._inflate.decompress(data, PIECE_OCTETS)
        except zlib.error as exc:
            if is_first and self._coding == "deflate":
                # Some servers send the bare deflate stream without the zlib wrapper of RFC 1950.
                self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
                return self._inflated(data)
            raise BadCoding(f"a body that is not {self._coding}: {exc}") from exc
