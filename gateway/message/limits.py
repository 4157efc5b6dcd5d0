"""Bounds on what one message may cost us. Beyond a bound the answer is coarser, never wrong in its grammar.

The first two are those of Dovecot 2.3 (`MESSAGE_PARSER_DEFAULT_MAX_*`), so that section numbers agree on both sides.
"""

from __future__ import annotations

MAX_PARTS = 10_000
"""Parts of one message; what follows the last of them stays undivided in it."""

MAX_DEPTH = 100
"""Levels of multipart and message/rfc822 in each other; a deeper one is shown as application/octet-stream."""

MAX_HEADER_OCTETS = 1 << 20
"""Octets of one header block that are looked into for its fields; offsets and sections stay exact beyond it."""

MAX_PARAMETERS = 100
"""Parameters of one Content-Type or Content-Disposition; later ones are not shown."""

MAX_LANGUAGES = 100
"""Tags of one Content-Language; later ones are not shown."""

MAX_ADDRESSES = 10_000
"""Addresses of one envelope member (all fields of that name together); later ones are not shown."""

MAX_ENCODED_WORDS = 10_000
"""RFC 2047 words decoded in one field for SEARCH; later ones are searched as they stand."""

MAX_TEXT_OCTETS = 64 << 20
"""Decoded octets of one text part that SEARCH and previews look at."""

PREVIEW_CHARACTERS = 200
"""Length of a preview (RFC 8970 section 3.2)."""
