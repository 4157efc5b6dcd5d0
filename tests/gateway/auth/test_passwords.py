"""Password hashes."""

from __future__ import annotations

import re

import pytest
from argon2 import PasswordHasher, extract_parameters

from gateway.auth.passwords import (
    decoy_hash,
    default_hasher,
    generate_app_password,
    hash_app_password,
    hash_password,
    is_password_hash,
    verify_app_password,
    verify_password,
)

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def test_a_password_fits_its_hash_and_no_other_does() -> None:
    stored = hash_password("correct horse", QUICK)
    assert stored.startswith("$argon2id$")
    assert verify_password(stored, "correct horse", QUICK)
    assert not verify_password(stored, "correct horse ", QUICK)
    assert not verify_password(stored, "", QUICK)


def test_the_same_password_composed_differently_fits() -> None:
    assert verify_password(hash_password("Zo\u00eb", QUICK), "Zoe\u0308", QUICK)


def test_a_hash_carries_its_own_parameters() -> None:
    assert verify_password(hash_password("x", QUICK), "x")
    assert "m=65536,t=3,p=4" in hash_password("x", default_hasher())


@pytest.mark.parametrize("stored", ["", "plain", "$argon2id$v=19$broken", "$2b$12$abcdefghijklmnopqrstuv"])
def test_what_is_no_hash_fits_nothing(stored: str) -> None:
    assert not verify_password(stored, stored, QUICK)
    assert not is_password_hash(stored)


@pytest.mark.parametrize("hasher", [QUICK, default_hasher()], ids=["quick", "default"])
def test_a_decoy_costs_what_a_hash_costs_and_fits_nothing(hasher: PasswordHasher) -> None:
    decoy = decoy_hash(hasher)
    assert extract_parameters(decoy) == extract_parameters(hash_password("x", hasher))
    assert not verify_password(decoy, "", hasher)
    assert decoy != decoy_hash(hasher)


def test_a_hash_is_recognised() -> None:
    assert is_password_hash(hash_password("x", QUICK))


def test_an_odd_password_is_no_error() -> None:
    assert not verify_password(hash_password("x", QUICK), "\udcff\0" * 1000, QUICK)


def test_app_passwords_are_random_and_readable() -> None:
    made = {generate_app_password() for _ in range(50)}
    assert len(made) == 50
    assert all(re.fullmatch(r"[a-z]{4}(-[a-z]{4}){4}", password) for password in made)


def test_an_app_password_fits_however_it_is_typed() -> None:
    stored = hash_app_password("abcd-efgh-ijkl-mnop-qrst")
    assert "abcd" not in stored
    assert verify_app_password(stored, "abcd-efgh-ijkl-mnop-qrst")
    assert verify_app_password(stored, "ABCD efgh ijkl mnop qrst")
    assert not verify_app_password(stored, "abcd-efgh-ijkl-mnop-qrsu")


@pytest.mark.parametrize("stored", ["", "app-sha256", "app-sha256$zz$00", "app-sha256$00", "other$00$00"])
def test_what_is_no_app_hash_fits_nothing(stored: str) -> None:
    assert not verify_app_password(stored, "")
