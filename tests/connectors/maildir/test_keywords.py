"""Keywords by letters, as Dovecot has them."""

from __future__ import annotations

import os
import string
from pathlib import Path

import pytest

from connectors.api.errors import Unavailable
from connectors.maildir import disk, keywords
from connectors.maildir.disk import Disk
from connectors.maildir.keywords import FILE, Keywords

DISK = Disk(is_synced=False)


def test_the_file_of_dovecot_is_read(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("0 Foo\n2 $Forwarded\n26 TooMany\nnonsense\n-1 x\n3\n1 Foo\n")
    words = keywords.read(str(tmp_path))
    assert words.names == ("Foo", None, "$Forwarded")
    assert words.flags("Sac") == {"\\Seen", "Foo", "$Forwarded"}
    assert words.has_room


def test_no_file_is_no_keywords(tmp_path: Path) -> None:
    assert keywords.read(str(tmp_path)) == Keywords()


def test_letters_are_allotted_in_free_places_and_kept(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("0 Foo\n2 Bar\n")
    words = keywords.allocate(str(tmp_path), {"\\Seen", "New", "Other"}, DISK)
    assert words.names == ("Foo", "New", "Bar", "Other")
    assert (tmp_path / FILE).read_text() == "0 Foo\n1 New\n2 Bar\n3 Other\n"
    assert keywords.allocate(str(tmp_path), {"Foo", "Other"}, DISK) == words
    assert os.listdir(tmp_path) == [FILE]


def test_there_are_twenty_six_letters(tmp_path: Path) -> None:
    words = keywords.allocate(str(tmp_path), {f"k{n:02}" for n in range(30)}, DISK)
    assert words.known == {f"k{n:02}" for n in range(26)}
    assert not words.has_room
    assert words.letters({"k00", "k25", "k26"}) == "az"
    assert keywords.allocate(str(tmp_path), {"k26"}, DISK) == words


def test_letters_come_in_the_order_of_ascii() -> None:
    words = Keywords(("z", "y"))
    assert words.letters({"y", "z", "\\Seen", "\\Draft", "\\Flagged"}) == "DFSab"


def test_letters_of_unknown_meaning_are_kept_and_others_are_not() -> None:
    words = Keywords(("Foo",))
    assert words.flags("XSaz") == {"\\Seen", "Foo"}
    assert words.letters({"\\Flagged"}, kept="XSaz") == "FXz"


def test_passed_is_forwarded_with_and_without_a_letter() -> None:
    assert Keywords().flags("P") == {"$Forwarded"}
    assert Keywords().letters({"$Forwarded"}) == "P"
    assert Keywords(("$Forwarded",)).letters({"$Forwarded"}) == "Pa"
    assert Keywords(("$Forwarded",)).flags("a") == {"$Forwarded"}


def test_every_letter_means_one_keyword() -> None:
    words = Keywords(tuple(f"k{letter}" for letter in string.ascii_lowercase))
    assert words.flags(string.ascii_lowercase) == words.known
    assert words.letters(words.known) == string.ascii_lowercase


def test_a_lock_of_another_program_is_respected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "LOCK_PATIENCE_S", 0)
    (tmp_path / f"{FILE}.lock").touch()
    with pytest.raises(Unavailable, match=FILE):
        keywords.allocate(str(tmp_path), {"Foo"}, DISK)
    assert keywords.read(str(tmp_path)) == Keywords()


def test_a_lock_left_by_a_crash_is_broken(tmp_path: Path) -> None:
    lock = tmp_path / f"{FILE}.lock"
    lock.touch()
    os.utime(lock, (1, 1))
    assert keywords.allocate(str(tmp_path), {"Foo"}, DISK).names == ("Foo",)
    assert not lock.exists()
