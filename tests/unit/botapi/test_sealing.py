"""Secret tokens at rest."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet

from omnibridge.botapi.sealing import Seal
from omnibridge.errors import StorageError

A, B = Fernet(Fernet.generate_key()), Fernet(Fernet.generate_key())


def test_without_keys_the_installation_has_one() -> None:
    sealed = Seal({}, b"s" * 32).close("s3cret")

    assert sealed.startswith("installation:") and "s3cret" not in sealed
    assert Seal({}, b"s" * 32).open(sealed) == "s3cret"
    with pytest.raises(StorageError):
        Seal({}, b"t" * 32).open(sealed)


def test_keys_are_exchanged_one_after_the_other() -> None:
    own, first = Seal({}, b"s" * 32), Seal({"a": A}, b"s" * 32)
    both = Seal({"b": B, "a": A}, b"s" * 32)
    old = first.close("x")

    assert both.open(old) == "x" and not both.is_current(old)
    assert first.open(own.close("y")) == "y", "what was sealed before there were keys"
    assert both.is_current(both.close("x"))
    with pytest.raises(StorageError, match="'a'"):
        Seal({"b": B}, b"s" * 32).open(old)


def test_plain_of_before_and_nothing() -> None:
    seal = Seal({"a": A}, b"s" * 32)

    assert (seal.open("plain-Token_1"), seal.is_current("plain-Token_1")) == ("plain-Token_1", False)
    assert (seal.close(""), seal.open(""), seal.is_current("")) == ("", "", True)
