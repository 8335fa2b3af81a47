"""What an older release has written stays readable, and is written today with the same bytes.

`events.jsonl` has one of each kind with all fields set. Lines are added to it and never changed: they are journals.
"""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import msgspec
import pytest

from omnibridge.domain.events import Event, kind_of
from omnibridge.domain.stored_events import AnyEvent, read_event

LINES = (Path(__file__).parent / "events.jsonl").read_bytes().splitlines()


@pytest.mark.parametrize("line", LINES, ids=lambda line: msgspec.json.decode(line)["event"])
def test_stored_event_is_read_and_written_again_with_the_same_bytes(line: bytes) -> None:
    event = read_event(line)

    assert kind_of(event) == msgspec.json.decode(line)["event"]
    assert msgspec.json.encode(event) == line


def test_every_kind_of_event_can_be_read_back() -> None:
    assert set(get_args(AnyEvent)) == set(Event.__subclasses__())
    assert {kind_of(read_event(line)) for line in LINES} == {each.__name__ for each in Event.__subclasses__()}
