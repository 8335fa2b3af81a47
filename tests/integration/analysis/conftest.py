"""A world whose bot is scripted and whose analysers are toys."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from omnibridge.engine import plugins
from omnibridge.storage import findings
from tests.conftest import World
from tests.scripted import ScriptedConnector
from tests.toys import ToyAnalyser


@pytest.fixture
def bot_kind(monkeypatch: pytest.MonkeyPatch) -> str:
    kinds: dict[str, Any] = {"scripted": ScriptedConnector, "toy": ToyAnalyser}
    real = plugins.load_connector

    def load(kind: str) -> Any:
        return kinds[kind] if kind in kinds else real(kind)

    monkeypatch.setattr(plugins, "load_connector", load)
    ToyAnalyser.toys = {}
    ToyAnalyser.hold = None
    return "scripted"


def toy(name: str = "toy") -> ToyAnalyser:
    """The newest instance of an analyser."""
    return ToyAnalyser.toys[name][-1]


def found(world: World, rid: str) -> list[tuple[str, str, list[dict[str, Any]]]]:
    """(message, analyser, items) of a room, in order."""
    reader = world.node.service._database
    assert reader
    now = world.node.service._clock.now_ms()
    return [
        (each.message_id, each.analyser, msgspec.json.decode(each.items))
        for each in findings.of_room(reader.reader, "main", rid, now)
    ]
