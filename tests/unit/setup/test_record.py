"""The record of a setup: written before each change, private, one at a time, and gone when all is undone."""

from __future__ import annotations

from pathlib import Path

import pytest

from omnibridge.errors import ConfigError
from omnibridge.setup.record import Record, alone

URL = "https://chat.example.com"


def test_the_oldest_value_is_what_undo_goes_back_to(tmp_path: Path) -> None:
    path = tmp_path / "setup-main.json"
    first = Record(path, "main", URL)
    first.begin("webhook", "webhook", {"url": "old"}, {"url": "ours"})
    again = Record(path, "main", URL)
    assert not again.changes[0].is_done
    again.done(again.begin("webhook", "webhook", {"url": "ours", "events": False}, {"url": "newer"}))
    found = Record(path, "main", URL).changes[0]

    assert (found.before, found.after, found.is_done) == ({"url": "old", "events": False}, {"url": "newer"}, True)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_is_gone_with_its_last_change(tmp_path: Path) -> None:
    path = tmp_path / "setup-main.json"
    record = Record(path, "main", URL)
    for name in ("a", "b"):
        record.begin("user", name, {}, {})
    for change in record.changes:
        assert path.exists()
        record.remove(change)

    assert not path.exists()


@pytest.mark.parametrize("text", ["", "[]", '{"version": 9, "workspace": "main", "url": "x", "changes": []}'])
def test_what_is_no_record_is_not_overwritten(tmp_path: Path, text: str) -> None:
    path = tmp_path / "setup-main.json"
    path.write_text(text)
    with pytest.raises(ConfigError):
        Record(path, "main", URL)

    assert path.read_text() == text


def test_of_another_server(tmp_path: Path) -> None:
    path = tmp_path / "setup-main.json"
    Record(path, "main", URL).begin("user", "a", {}, {})
    with pytest.raises(ConfigError, match="undo that one first"):
        Record(path, "main", "https://other.example.com")

    assert Record(path, "main", "").url == URL


def test_one_at_a_time(tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(ConfigError, match="another"), alone(tmp_path):
        pass
    with alone(tmp_path):
        pass
