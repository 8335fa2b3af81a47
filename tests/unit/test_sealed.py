"""Sealed tokens: of this purpose and this installation, or nothing."""

from __future__ import annotations

import msgspec
import pytest

from omnibridge.sealed import Seal


class Pass(msgspec.Struct, frozen=True, array_like=True):
    room: str
    until: int


PASSES, SECRET, PASS = Seal("pass", Pass, 200), b"s" * 32, Pass("r1", 5)
TOKEN = PASSES.seal(SECRET, PASS)


def test_what_was_sealed_is_read() -> None:
    assert PASSES.unseal(SECRET, TOKEN) == PASS
    assert set(TOKEN) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")


def test_token_of_another_purpose_or_installation_is_none() -> None:
    assert Seal("other", Pass, 200).unseal(SECRET, TOKEN) is None
    assert PASSES.unseal(b"t" * 32, TOKEN) is None


@pytest.mark.parametrize("at", range(0, len(TOKEN) - 1, 5))
def test_changed_token_is_none(at: int) -> None:
    changed = TOKEN[:at] + ("A" if TOKEN[at] != "A" else "B") + TOKEN[at + 1 :]

    assert PASSES.unseal(SECRET, changed) is None


@pytest.mark.parametrize("token", ["", ".", "a.b", "é.ü", "A" * 201, "..", "=.=", "A."])
def test_nonsense_is_none(token: str) -> None:
    assert PASSES.unseal(SECRET, token) is None
