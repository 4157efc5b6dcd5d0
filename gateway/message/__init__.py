"""MIME as octets: headers, envelope, body structure, sections, previews. Pure: no I/O."""
