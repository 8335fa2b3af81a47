"""Names that cannot be guessed, and secrets that cannot be read."""

from __future__ import annotations

import base64
import os

import pytest

from omnibridge.errors import ConfigError, StorageError
from omnibridge.identity.names import display_name, problem_of, username
from omnibridge.identity.vault import Vault


def key(name: str) -> str:
    return f"{name}:{base64.urlsafe_b64encode(os.urandom(32)).decode()}"


def test_s2_07_username_is_the_same_for_one_id_and_another_for_each_other() -> None:
    made = [
        username(secret, "agent", workspace, system, external_id, n)
        for secret in (b"a" * 32, b"b" * 32)
        for workspace in ("w", "ws")
        for system in ("crm", "crm2")
        for external_id in ("1", "2")
        for n in (0, 1)
    ]

    assert len(set(made)) == len(made) == 32
    assert made[0] == username(b"a" * 32, "agent", "w", "crm", "1")
    assert all(len(each) == len("agent.") + 16 and each.islower() for each in made)


@pytest.mark.parametrize(
    ("system", "external_id"),
    [("", "1"), ("crm", ""), ("~pool", "1"), ("a:b", "1"), ("crm", "1\n"), ("crm", " 1"), ("crm", "x" * 125),
     ("crm", "a\u202eb"), ("crm", "a\x1b[31m")],
)  # fmt: skip
def test_ids_that_could_be_mistaken_are_refused(system: str, external_id: str) -> None:
    assert problem_of(system, external_id)


def test_ids_as_vendors_make_them_are_taken() -> None:
    assert [problem_of("salesforce", each) for each in ("0055g00000ABCDeXYZ", "a.b@c.org", "7/8:9", "ü")] == [""] * 4


def test_display_name_is_one_line() -> None:
    assert display_name("  Eve\n\u202eAdams\x00 ") == "Eve Adams"
    assert len(display_name("x" * 500)) == 120


def test_secrets_are_read_by_every_key_and_written_by_the_first() -> None:
    old, new = key("2025"), key("2026")
    sealed = Vault(old).encrypt("pass word")
    both = Vault(f"{new}\n{old}")

    assert "pass" not in sealed
    assert both.decrypt(sealed) == "pass word"
    assert not both.is_current(sealed)
    assert both.is_current(both.encrypt("x"))
    with pytest.raises(StorageError, match="2025"):
        Vault(new).decrypt(sealed)


@pytest.mark.parametrize("text", ["", "abc", "a:short", "same:{0} same:{0}", ":{0}"])
def test_wrong_keys_are_refused_without_being_repeated(text: str) -> None:
    value = key("a").partition(":")[2]
    with pytest.raises(ConfigError) as caught:
        Vault(text.format(value))

    assert value not in str(caught.value)
