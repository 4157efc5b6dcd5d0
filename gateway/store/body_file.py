"""The files of the body cache: one message each, plain or sealed.

    header (64 octets): magic, kind, account, message, generation, size, CRC-32, salt
    plain:  the octets of the message
    sealed: blocks of 64 KiB, each AES-256-GCM with its tag of 16 octets

A sealed file has a key of its own, derived from the cache's key and the salt (HKDF, RFC 5869), so that the nonces can
count the blocks and never meet twice. The last block has a mark in its nonce: a file cut at a block's end does not
open (the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizar). The ids are associated data: a file moved to
another message's place does not open either.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
import zlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

Buffer = bytes | memoryview
HEADER_OCTETS: Final = 64
BLOCK_OCTETS: Final = 64 * 1024
_TAG_OCTETS = 16
_SALT_OCTETS = 16
_HEADER = struct.Struct(">4sB3xQQQQI16s4x")
_IDS = struct.Struct(">QQQ")
_MAGIC = b"IGB1"
_PLAIN, _SEALED = 0, 1
_SCAN_OCTETS = 1 << 20


class BodyDamaged(OSError):
    """A cached file is not what was written, or no longer; it counts as a miss."""


@dataclass(frozen=True, slots=True, order=True)
class BodyKey:
    """Which octets: of which message, and of which version of it."""

    account_id: int
    message_id: int
    generation: int = 0

    def octets(self) -> bytes:
        return _IDS.pack(self.account_id, self.message_id, self.generation)


def _nonce(index: int, *, is_last: bool) -> bytes:
    return index.to_bytes(11, "big") + bytes([is_last])


def _cipher(key: bytes, salt: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), 32, salt, b"body cache").derive(key))


class BodyEncoder:
    """Writes one file in the format; the caller gives the descriptor and keeps it."""

    def __init__(self, descriptor: int, key: BodyKey, secret: bytes | None) -> None:
        self._descriptor = descriptor
        self._key = key
        self._salt = os.urandom(_SALT_OCTETS) if secret is not None else bytes(_SALT_OCTETS)
        self._cipher = None if secret is None else _cipher(secret, self._salt)
        self._pending = bytearray()
        self._blocks = 0
        self._crc = 0
        self.size = 0
        self._write(bytes(HEADER_OCTETS))

    def _write(self, data: bytes | bytearray | memoryview) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def add(self, data: bytes) -> None:
        """Take the next octets.

        Raises:
            OSError: the disk is full or fails.
        """
        self.size += len(data)
        if self._cipher is None:
            self._crc = zlib.crc32(data, self._crc)
            self._write(data)
            return
        self._pending += data
        start = 0
        # One octet more than a block has to be there, since the last block is sealed with its mark.
        while len(self._pending) - start > BLOCK_OCTETS:
            self._seal(self._cipher, bytes(self._pending[start : start + BLOCK_OCTETS]), is_last=False)
            start += BLOCK_OCTETS
        del self._pending[:start]

    def _seal(self, cipher: AESGCM, block: bytes, *, is_last: bool) -> None:
        self._write(cipher.encrypt(_nonce(self._blocks, is_last=is_last), block, self._key.octets()))
        self._blocks += 1

    def finish(self) -> None:
        """Write what is left, and the header.

        Raises:
            OSError: the disk is full or fails.
        """
        kind = _PLAIN
        if self._cipher is not None:
            kind = _SEALED
            self._seal(self._cipher, bytes(self._pending), is_last=True)
        key = self._key
        header = _HEADER.pack(
            _MAGIC, kind, key.account_id, key.message_id, key.generation, self.size, self._crc, self._salt
        )
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        self._write(header)


class BodyFile(ABC):
    """An open file of the cache. All methods may block; `read` may run in several threads at once."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self.size = size

    @abstractmethod
    def read(self, offset: int, length: int) -> bytes:
        """Return up to `length` octets from `offset` on; fewer only at the end.

        Raises:
            BodyDamaged: the file was altered, or does not decrypt.
        """

    @abstractmethod
    def buffer(self) -> Buffer:
        """Return all octets: mapped where the file is plain, else in memory. Valid until `close`.

        Raises:
            BodyDamaged: see `read`.
        """

    def close(self) -> None:
        """Let go of the file. May be called twice."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()


class PlainFile(BodyFile):
    """A plain file."""

    def __init__(self, descriptor: int, size: int) -> None:
        super().__init__(descriptor, size)
        self._mapping: mmap.mmap | None = None
        self._view: memoryview | None = None

    def read(self, offset: int, length: int) -> bytes:
        length = max(0, min(length, self.size - offset))
        data = _pread(self._descriptor, length, HEADER_OCTETS + offset)
        if len(data) != length:
            raise BodyDamaged("the file was cut")
        return data

    def checksum(self) -> int:
        """Return the CRC-32 of the octets."""
        crc = 0
        for offset in range(0, self.size, _SCAN_OCTETS):
            crc = zlib.crc32(self.read(offset, _SCAN_OCTETS), crc)
        return crc

    def buffer(self) -> Buffer:
        if self._view is None:
            # Touching a mapped page beyond the end of the file would kill the process.
            if os.fstat(self._descriptor).st_size < HEADER_OCTETS + self.size:
                raise BodyDamaged("the file was cut")
            self._mapping = mmap.mmap(self._descriptor, HEADER_OCTETS + self.size, access=mmap.ACCESS_READ)
            self._view = memoryview(self._mapping)[HEADER_OCTETS:]
        return self._view

    def close(self) -> None:
        view, self._view = self._view, None
        mapping, self._mapping = self._mapping, None
        # Somebody who still holds a slice keeps the mapping alive until it is let go of.
        with contextlib.suppress(BufferError):
            if view is not None:
                view.release()
            if mapping is not None:
                mapping.close()
        super().close()


class SealedFile(BodyFile):
    """A sealed file. The block last read is kept, since readers go forward in small steps."""

    def __init__(self, descriptor: int, size: int, cipher: AESGCM, associated: bytes) -> None:
        super().__init__(descriptor, size)
        self._cipher = cipher
        self._associated = associated
        self._last = max(0, (size - 1) // BLOCK_OCTETS)
        self._recent: tuple[int, bytes] = (-1, b"")

    def check_end(self) -> None:
        """Open the last block, whose mark says that nothing is missing.

        Raises:
            BodyDamaged: it does not open.
        """
        self._block(self._last)

    def _block(self, index: int) -> bytes:
        recent = self._recent
        if recent[0] == index:
            return recent[1]
        length = min(BLOCK_OCTETS, self.size - index * BLOCK_OCTETS) + _TAG_OCTETS
        sealed = _pread(self._descriptor, length, HEADER_OCTETS + index * (BLOCK_OCTETS + _TAG_OCTETS))
        try:
            data = self._cipher.decrypt(_nonce(index, is_last=index == self._last), sealed, self._associated)
        except (InvalidTag, ValueError) as exc:
            raise BodyDamaged(f"block {index} does not decrypt") from exc
        self._recent = (index, data)
        return data

    def read(self, offset: int, length: int) -> bytes:
        end = min(offset + length, self.size)
        pieces = []
        while offset < end:
            index, start = divmod(offset, BLOCK_OCTETS)
            piece = self._block(index)[start : start + end - offset]
            pieces.append(piece)
            offset += len(piece)
        return b"".join(pieces)

    def buffer(self) -> Buffer:
        return self.read(0, self.size)


def _pread(descriptor: int, length: int, offset: int) -> bytes:
    pieces = []
    while length:
        piece = os.pread(descriptor, length, offset)
        if not piece:
            break
        pieces.append(piece)
        length -= len(piece)
        offset += len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def open_file(path: Path, key: BodyKey, secret: bytes | None, *, is_trusted: bool) -> BodyFile:
    """Open a file of the cache.

    A plain file that is not trusted (this process has neither written nor checked it) is read in full and compared
    with its CRC-32. A sealed one is verified block by block as it is read.

    Raises:
        BodyDamaged: it is not the complete file of that message, or not sealed as it should be.
        OSError: it does not exist or cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size, crc, salt = _read_header(descriptor, key, secret)
    except BaseException:
        os.close(descriptor)
        raise
    if secret is not None:
        sealed = SealedFile(descriptor, size, _cipher(secret, salt), key.octets())
        try:
            sealed.check_end()
        except BaseException:
            sealed.close()
            raise
        return sealed
    plain = PlainFile(descriptor, size)
    try:
        if not is_trusted and plain.checksum() != crc:
            raise BodyDamaged("the checksum differs")
    except BaseException:
        plain.close()
        raise
    return plain


def decode_file(raw: bytes, key: BodyKey, secret: bytes | None, *, is_trusted: bool) -> bytes:
    """Return the octets of the message from a file that was read whole; for small messages.

    Everything is checked that `open_file` and then reading the whole would check.

    Raises:
        BodyDamaged: see `open_file`.
    """
    size, crc, salt = _parse_header(raw[:HEADER_OCTETS], len(raw), key, secret)
    if secret is None:
        data = raw[HEADER_OCTETS:]
        if not is_trusted and zlib.crc32(data) != crc:
            raise BodyDamaged("the checksum differs")
        return data
    cipher, associated, last = _cipher(secret, salt), key.octets(), max(0, (size - 1) // BLOCK_OCTETS)
    blocks = []
    for index in range(last + 1):
        start = HEADER_OCTETS + index * (BLOCK_OCTETS + _TAG_OCTETS)
        sealed = raw[start : start + BLOCK_OCTETS + _TAG_OCTETS]
        try:
            blocks.append(cipher.decrypt(_nonce(index, is_last=index == last), sealed, associated))
        except (InvalidTag, ValueError) as exc:
            raise BodyDamaged(f"block {index} does not decrypt") from exc
    return b"".join(blocks)


def _read_header(descriptor: int, key: BodyKey, secret: bytes | None) -> tuple[int, int, bytes]:
    """Return (size, CRC-32, salt)."""
    return _parse_header(_pread(descriptor, HEADER_OCTETS, 0), os.fstat(descriptor).st_size, key, secret)


def _parse_header(raw: bytes, stored: int, key: BodyKey, secret: bytes | None) -> tuple[int, int, bytes]:
    """Return (size, CRC-32, salt) from the header of a file of `stored` octets."""
    if len(raw) != HEADER_OCTETS:
        raise BodyDamaged("the file has no header")
    magic, kind, account_id, message_id, generation, size, crc, salt = _HEADER.unpack(raw)
    if magic != _MAGIC or (account_id, message_id, generation) != (key.account_id, key.message_id, key.generation):
        raise BodyDamaged("the header is not that of the message")
    if kind != (_PLAIN if secret is None else _SEALED):
        raise BodyDamaged("the file is plain where it should be sealed, or the reverse")
    overhead = 0 if secret is None else _TAG_OCTETS * max(1, -(-size // BLOCK_OCTETS))
    if stored != HEADER_OCTETS + size + overhead:
        raise BodyDamaged("the file has not the size that its header says")
    return size, crc, salt
