"""Where Cyrus 3.6.1 answers otherwise over its own IMAP than we do over its JMAP, with the sentence that settles it.

The octets of messages, sizes, dates and flags do not differ.
"""

from __future__ import annotations

from tests.gateway.message.differences import Difference

_STRUCTURE = ("BODY", "BODYSTRUCTURE")
_FIELDS = "HEADER.FIELDS (SUBJECT FROM TO CONTENT-TYPE)"
_NOT_FIELDS = "HEADER.FIELDS.NOT (SUBJECT FROM TO CONTENT-TYPE)"

REFUSED = {
    "body-bare-lf": "Message contains bare newlines",
    "body-bare-lf-multipart": "Message contains bare newlines",
    "body-mixed-line-ends": "Message contains bare newlines",
    "empty": "Zero-length message literal",
    "header-cut-short": "Message contains invalid header",
    "header-empty-name": "Message contains invalid header",
    "header-escaped-from-line": "Message contains invalid header",
    "header-lines-without-colon": "Message contains invalid header",
    "header-name-with-space": "Message contains invalid header",
    "header-nul": "Message contains NUL characters",
    "header-nul-in-address": "Message contains NUL characters",
    "header-space-before-colon": "Message contains invalid header",
    "multipart-boundary-in-message-header": "Message contains invalid header",
    "no-header": "Message contains invalid header",
}
"""What its APPEND does not take, with its answer."""

DIFFERENCES = (
    Difference(
        "A literal must not hold NUL (RFC 9051 section 4.3), so it goes out as 0x80; Cyrus sends it in a literal.",
        ("RFC822", "RFC822.TEXT", "BODY[]", "BODY[TEXT]", "BODY[1]"),
        ("body-nul",),
    ),
    Difference(
        "The addresses around a syntax error are shown (RFC 9051 section 7.5.2, the members are the header's "
        "addresses); Cyrus drops the rest of the list, or takes the words for addresses and names.",
        ("ENVELOPE",),
        (
            "address-8bit",
            "address-angle-doubled",
            "address-angle-unclosed",
            "address-comment-unclosed",
            "address-group-in-group",
            "address-group-unclosed",
            "address-quote-unclosed",
            "address-semicolons",
            "address-trailing-words",
            "address-two-ats",
            "address-words-before",
        ),
    ),
    Difference(
        "An address written as a display name is shown as the name it was meant to be; RFC 5322 section 3.4 would want "
        "quotes, and Cyrus then gives the address twice.",
        ("ENVELOPE",),
        ("address-as-name",),
    ),
    Difference(
        "Words without an address are a name (RFC 5322 section 3.4, `display-name`); Cyrus has them for a local part.",
        ("ENVELOPE",),
        ("address-words-only",),
    ),
    Difference(
        "RFC 9051 has no form for an address without a local part: NIL there ends a group (section 7.5.2). We put a "
        "word, as Dovecot does, and Cyrus an empty string.",
        ("ENVELOPE",),
        ("address-missing-parts",),
    ),
    Difference(
        "A control octet belongs to the address it stands in, as it did before; RFC 5322 section 4 asks to be able to "
        "interpret more than is legal to send. Cyrus leaves it out.",
        ("ENVELOPE",),
        ("address-control-octets",),
    ),
    Difference(
        "Empty elements of a list are obsolete syntax, not addresses (RFC 5322 section 4.4).",
        ("ENVELOPE",),
        ("address-empty-list",),
    ),
    Difference(
        "Blanks at dots are obsolete syntax, and what is meant is the address without them (RFC 5322 section 4.4).",
        ("ENVELOPE",),
        ("address-obsolete-blanks-at-dots",),
    ),
    Difference(
        "A CR alone in a field is no octet of a string (RFC 9051 section 9, `QUOTED-CHAR`), and is shown as the white "
        "space it was folded with.",
        ("ENVELOPE",),
        ("body-bare-cr", "header-doubled-cr"),
    ),
    Difference(
        "Blanks at a value's ends are not part of it (RFC 5322 section 2.2.3: what a field says is told unfolded).",
        ("ENVELOPE",),
        ("header-blank-fold-at-end", "header-folded", "header-long-words"),
    ),
    Difference("The same for a Content-Description.", _STRUCTURE, ("mime-description-folded",)),
    Difference(
        "A field that must be there once only (RFC 5322 section 3.6) but is repeated: we show all addresses and the "
        "first of Content fields, as Dovecot does; Cyrus shows the last.",
        ("ENVELOPE",),
        ("header-repeated",),
    ),
    Difference("The same for Content fields.", _STRUCTURE, ("header-repeated-content-fields",)),
    Difference(
        "A header without an end has no empty line in its subsets (RFC 9051 section 7.5.2); Cyrus supplies one, and "
        "leaves out lines that are no fields.",
        (f"BODY[{_FIELDS}]", f"BODY[{_NOT_FIELDS}]"),
        ("header-only", "header-empty-line-with-doubled-cr"),
    ),
    Difference(
        "The same for an embedded message.",
        (f"BODY[1.{_FIELDS}]", f"BODY[1.{_NOT_FIELDS}]"),
        ("message-base64", "message-header-only", "message-without-body", "multipart-message-cut-in-header"),
    ),
    Difference(
        "The same for a part, whose MIME header is all there is of it.",
        ("BODY[1.MIME]", "BODY[2.MIME]"),
        ("multipart-parts-without-body",),
    ),
    Difference(
        "message/global is an embedded message (RFC 9051 section 9, `media-message`); Cyrus has it opaque.",
        _STRUCTURE,
        ("message-global",),
    ),
    Difference(
        "Parameters with the slips that programs make are read as they were meant; Cyrus stops at the slip and takes "
        "the default of RFC 2045 section 5.2.",
        _STRUCTURE,
        ("mime-parameter-empty-unquoted", "mime-parameter-quote-unclosed", "mime-type-missing-semicolon"),
    ),
    Difference(
        "An unreadable Content-Type means text/plain (RFC 2045 section 5.2); Cyrus gives an empty string.",
        _STRUCTURE,
        ("mime-type-text-slash",),
    ),
    Difference(
        "A type with an octet beyond ASCII is shown as it was sent; a `token` (RFC 2045 section 5.1) has none, and "
        "Cyrus takes the default.",
        _STRUCTURE,
        ("mime-type-8bit",),
    ),
    Difference(
        "An encoding with quotes, blanks or a parameter is read as it was meant (laxer than RFC 2045 section 6.1).",
        _STRUCTURE,
        ("mime-encoding-quoted", "mime-encoding-two-words", "mime-encoding-with-parameter"),
    ),
    Difference(
        "RFC 2231 pieces with a gap are no continuation (RFC 2231 section 3).", _STRUCTURE, ("mime-rfc2231-gap",)
    ),
    Difference(
        "The same as of parameters, for a Content-Disposition (RFC 2183 section 2).",
        ("BODYSTRUCTURE",),
        ("mime-disposition-quoted",),
    ),
    Difference(
        "A Content-Disposition that names no kind is none (RFC 2183 section 2); Cyrus gives an empty string.",
        ("BODYSTRUCTURE",),
        ("mime-disposition-no-kind",),
    ),
    Difference(
        "Quoted language tags are read (laxer than RFC 3282 section 2), and none are none.",
        ("BODYSTRUCTURE",),
        ("mime-language-quoted", "mime-language-empty"),
    ),
    Difference(
        "Where the text ends with a boundary line, that line begins no part: an entity has a header and an empty line "
        "or a body (RFC 2046 section 5.1.1, `body-part`).",
        (*_STRUCTURE, "BODY[2]", "BODY[2.MIME]"),
        ("multipart-boundary-at-end-of-file",),
    ),
    Difference(
        "A boundary must not end in white space (RFC 2046 section 5.1.1), so blanks at its end are not sought.",
        (*_STRUCTURE, "BODY[1]", "BODY[1.MIME]"),
        ("multipart-boundary-ends-in-blank",),
    ),
    Difference(
        "A multipart is one though no boundary of it is found (RFC 9051 section 7.5.2, its type is the header's), and "
        "its TEXT is what follows the header (section 6.4.5.1); Cyrus has an empty text/plain then.",
        (*_STRUCTURE, "BODY[TEXT]", "BODY[1.MIME]"),
        ("multipart-boundary-indented", "multipart-close-only", "multipart-without-boundary"),
    ),
    Difference(
        "A line that begins with the boundary is one, whatever follows: an implementation must compare just as much as "
        "the boundary's length (RFC 2046 section 5.1.1, its note to implementors).",
        (*_STRUCTURE, "BODY[TEXT]", "BODY[1]", "BODY[1.MIME]"),
        ("multipart-boundary-prefix-line",),
    ),
    Difference(
        "The boundary of an outer multipart ends the inner ones too (RFC 2046 section 5.1.2); Cyrus reads on in the "
        "inner one.",
        (*_STRUCTURE, "BODY[1]", "BODY[1.2]", "BODY[1.2.MIME]"),
        ("multipart-nested-inner-unclosed",),
    ),
    Difference(
        "The close-delimiter ends the inner multipart (RFC 2046 section 5.1.1), so the boundary after it is the "
        "outer one's, though both are the same.",
        (*_STRUCTURE, "BODY[1]"),
        ("multipart-nested-same-boundary",),
    ),
    Difference(
        "An inner multipart without a boundary is one too, see above.",
        (*_STRUCTURE, "BODY[1]"),
        ("multipart-nested-without-boundary",),
    ),
    Difference(
        "The line end before a boundary belongs to it (RFC 2046 section 5.1.1), also behind an inner last boundary.",
        ("BODY[1]",),
        ("multipart-nested-without-blank-line",),
    ),
)
