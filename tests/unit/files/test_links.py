"""Links to files: what we made is read, and nothing else."""

from __future__ import annotations

import pytest

from omnibridge.clock import FixedClock
from omnibridge.domain.files import FileRef
from omnibridge.files.links import FileLinks

FILE = FileRef("abc", "../cat.png", "image/png", 5)


def links(clock: FixedClock | None = None, secret: bytes = b"s" * 32) -> FileLinks:
    return FileLinks(secret, clock or FixedClock(), lambda: "http://here/", 60)


def test_link_tells_its_file_and_room() -> None:
    url = links().url("main", "room1", FILE, 77)
    found = links().read(url.removeprefix("http://here/files/"))

    assert url.startswith("http://here/files/")
    assert found is not None
    assert (found.workspace, found.room, found.file, found.name) == ("main", "room1", "abc", "cat.png")
    assert (found.media_type, found.max_bytes) == ("image/png", 77)


def test_link_expires() -> None:
    clock = FixedClock()
    made = links(clock)
    token = made.token("main", "room1", FILE)
    clock.advance(60_000)
    assert made.read(token) is not None
    clock.advance(1_000)
    assert made.read(token) is None


@pytest.mark.parametrize("where", [0, 10, -1])
def test_changed_link_is_none(where: int) -> None:
    token = links().token("main", "room1", FILE)
    other = "A" if token[where] != "A" else "B"
    changed = token[:where] + other + (token[where + 1 :] if where >= 0 else "")

    assert links().read(changed) is None


@pytest.mark.parametrize("token", ["", ".", "a.b", "é.ü", "A" * 5000, "..", "=.="])
def test_nonsense_is_none(token: str) -> None:
    assert links().read(token) is None


def test_link_of_another_installation_is_none() -> None:
    assert links(secret=b"t" * 32).read(links().token("main", "room1", FILE)) is None
