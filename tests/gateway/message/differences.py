"""Where we answer otherwise than Dovecot 2.3.19 on purpose, with the reason.

`items` are FETCH items that differ for every one of the `vectors`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Difference:
    reason: str
    items: tuple[str, ...]
    vectors: tuple[str, ...]


_STRUCTURE = ("BODY", "BODYSTRUCTURE")
_BINARY = ("BINARY[1]", "BINARY.SIZE[1]")
_FIELDS = "HEADER.FIELDS (SUBJECT FROM TO CONTENT-TYPE)"
_NOT_FIELDS = "HEADER.FIELDS.NOT (SUBJECT FROM TO CONTENT-TYPE)"
_HEADERS = ("BODY[HEADER]", f"BODY[{_FIELDS}]", "BODY[1.MIME]")

DIFFERENCES = (
    Difference(
        "Octets are passed on untouched, bare line feeds too: sections and sizes are those of the stored message "
        "(RFC 9051 section 2.3.4), where Dovecot puts CRLF.",
        ("RFC822.SIZE", "BODY[]", "BODY[TEXT]"),
        ("body-bare-lf", "body-bare-lf-multipart", "body-mixed-line-ends"),
    ),
    Difference(
        "The same for headers whose lines end in a bare line feed.",
        (*_HEADERS, f"BODY[{_NOT_FIELDS}]"),
        ("body-bare-lf", "body-bare-lf-multipart"),
    ),
    Difference("The same for the header of a second part.", ("BODY[2.MIME]",), ("body-bare-lf-multipart",)),
    Difference(
        "The same for a part's content and its size in octets.",
        ("BODY[1]", *_STRUCTURE),
        ("body-bare-lf", "body-mixed-line-ends"),
    ),
    Difference(
        "What goes into a literal is decided where it is written: sections here still hold NUL, which Dovecot has "
        "replaced by 0x80 (RFC 9051 section 4.3).",
        ("BODY[]",),
        ("body-nul", "header-nul", "header-nul-in-address"),
    ),
    Difference("The same in a body.", ("BODY[TEXT]", "BODY[1]"), ("body-nul",)),
    Difference("The same in a header.", _HEADERS, ("header-nul", "header-nul-in-address")),
    Difference("The same in other fields.", (f"BODY[{_NOT_FIELDS}]",), ("header-nul",)),
    Difference(
        "A header field goes out octet for octet (RFC 9051 section 6.4.5.1); Dovecot drops a CR from a doubled one.",
        (f"BODY[{_FIELDS}]",),
        ("header-doubled-cr",),
    ),
    Difference(
        "A message with neither body nor empty line has no empty line in its header subsets (RFC 9051 section 7.5.2); "
        "Dovecot supplies one, though not where it reads the message anew.",
        (f"BODY[{_FIELDS}]",),
        ("empty", "header-only", "header-empty-line-with-doubled-cr"),
    ),
    Difference(
        "A field cut short goes out as it is (RFC 9051 section 6.4.5.1); Dovecot supplies its line end.",
        (f"BODY[{_FIELDS}]",),
        ("header-cut-short",),
    ),
    Difference(
        "Unfolding removes line ends only (RFC 5322 section 2.2.3); Dovecot also makes one space of blanks in a row.",
        ("ENVELOPE",),
        ("header-blank-fold", "header-folded", "header-inner-blanks", "address-name-inner-blanks"),
    ),
    Difference(
        "A bad octet in an address does not hide the addresses behind it, nor its own rest: Dovecot stops there. "
        "RFC 5322 section 4 asks to be able to interpret more than is legal to send.",
        ("ENVELOPE",),
        ("address-control-octets", "header-nul-in-address"),
    ),
    Difference(
        "The addresses around a syntax error are shown (RFC 9051 section 7.5.2, the members are the header's "
        "addresses); Dovecot drops the rest of the list or marks it SYNTAX_ERROR.",
        ("ENVELOPE",),
        (
            "address-angle-doubled",
            "address-angle-unclosed",
            "address-brackets-in-name",
            "address-comment-unclosed",
            "address-group-in-group",
            "address-missing-comma",
            "address-quote-unclosed",
            "address-semicolons",
            "address-trailing-words",
            "address-two-ats",
            "address-words-before",
        ),
    ),
    Difference(
        "Empty elements of a list are obsolete syntax, not addresses (RFC 5322 section 4.4).",
        ("ENVELOPE",),
        ("address-empty-list", "address-obsolete-empty-elements"),
    ),
    Difference(
        "Blanks at dots are obsolete syntax that belongs to the address (RFC 5322 section 4.4).",
        ("ENVELOPE",),
        ("address-obsolete-blanks-at-dots",),
    ),
    Difference(
        "An address written as a display name is shown as the name it was meant to be; RFC 5322 section 3.4 would want "
        "quotes, and Dovecot then drops it.",
        ("ENVELOPE",),
        ("address-as-name",),
    ),
    Difference(
        "Content fields count without MIME-Version too, as clients treat them (RFC 2045 section 4 leaves it open).",
        _STRUCTURE,
        ("mime-no-version-no-type",),
    ),
    Difference(
        "An unreadable Content-Type means text/plain (RFC 2045 section 5.2); Dovecot gives empty strings.",
        _STRUCTURE,
        (
            "mime-type-empty",
            "mime-type-garbage",
            "mime-type-image-only",
            "mime-type-quoted",
            "mime-type-text-only",
            "mime-type-text-slash",
            "mime-type-two-slashes",
        ),
    ),
    Difference(
        "Parameters with the slips that programs make are read as they were meant; Dovecot stops at the slip and "
        "takes the default of RFC 2045 section 5.2.",
        _STRUCTURE,
        (
            "mime-parameter-name-blanks",
            "mime-parameter-quote-unclosed",
            "mime-parameter-tspecials",
            "mime-parameter-without-value",
            "mime-parameters-double-semicolon",
            "mime-type-missing-semicolon",
        ),
    ),
    Difference(
        "The same for a Content-Disposition (RFC 2183 section 2).",
        ("BODYSTRUCTURE",),
        ("mime-disposition-quoted", "mime-disposition-unquoted-name"),
    ),
    Difference(
        "A Content-Disposition that names no kind is none (RFC 2183 section 2); Dovecot gives an empty string.",
        ("BODYSTRUCTURE",),
        ("mime-disposition-empty", "mime-disposition-no-kind"),
    ),
    Difference("Quoted language tags are read (laxer than RFC 3282).", ("BODYSTRUCTURE",), ("mime-language-quoted",)),
    Difference(
        "RFC 2231 pieces with a gap are no continuation and keep the order they were sent in (RFC 2231 section 3).",
        _STRUCTURE,
        ("mime-rfc2231-gap",),
    ),
    Difference(
        "Blanks at a value's end are not part of it (RFC 5322 section 3.6.5 leaves them to the reader).",
        _STRUCTURE,
        ("mime-description-folded",),
    ),
    Difference(
        "An encoding with quotes, blanks or a parameter is read as it was meant (laxer than RFC 2045 section 6.1).",
        _STRUCTURE,
        ("mime-encoding-quoted", "mime-encoding-two-words", "mime-encoding-with-parameter"),
    ),
    Difference(
        "BINARY undoes the encoding that BODYSTRUCTURE names (RFC 3516 section 4.3), also where Dovecot shows 7bit and "
        "then does not know the encoding, or shows the first of two fields and undoes the last.",
        _BINARY,
        ("mime-encoding-empty", "mime-encoding-quoted", "mime-encoding-two-words", "header-repeated-content-fields"),
    ),
    Difference(
        "Octets outside the base64 alphabet are passed over (RFC 2045 section 6.8); Dovecot answers NO.",
        _BINARY,
        ("mime-encoding-damaged-base64",),
    ),
    Difference(
        "The type is shown as it was sent; RFC 2045 section 5.1 matches it without regard to case.",
        _STRUCTURE,
        ("message-upper-case",),
    ),
    Difference(
        "message/global is an embedded message (RFC 9051 section 9, `media-message`); Dovecot 2.3 has it opaque.",
        (
            *_STRUCTURE,
            "BODY[1.HEADER]",
            "BODY[1.TEXT]",
            f"BODY[1.{_FIELDS}]",
            f"BODY[1.{_NOT_FIELDS}]",
            "BODY[1.1]",
            "BODY[1.1.MIME]",
            "BINARY[1.1]",
            "BINARY.SIZE[1.1]",
        ),
        ("message-global",),
    ),
    Difference(
        "A boundary must not end in white space (RFC 2046 section 5.1.1), so blanks at its end are not sought.",
        (*_STRUCTURE, "BODY[1]", "BODY[1.MIME]", *_BINARY),
        ("multipart-boundary-ends-in-blank",),
    ),
    Difference(
        "An unquoted boundary is read whole, specials and all; with Dovecot's beginning of it the last boundary line "
        "starts a part (laxer than RFC 2045 section 5.1).",
        _STRUCTURE,
        ("multipart-boundary-unquoted-with-specials",),
    ),
    Difference(
        "The line end before a boundary belongs to it (RFC 2046 section 5.1.1), also behind an inner last boundary.",
        ("BODY[1]",),
        ("multipart-nested-without-blank-line",),
    ),
    Difference(
        "The same where the boundary cuts an embedded message's header; Dovecot counts the line end to the message and "
        "its subset runs on into the boundary.",
        (*_STRUCTURE, "BODY[1]", f"BODY[1.{_FIELDS}]", f"BODY[1.{_NOT_FIELDS}]"),
        ("multipart-message-cut-in-header",),
    ),
)
