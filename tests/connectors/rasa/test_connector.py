"""Settings that cannot work together, and what a tracker tells of turns in the callback channel."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.rasa.connector import RasaConnector
from connectors.rasa.convert import read_callback
from connectors.rasa.settings import RasaSettings
from connectors.rasa.tracks import MARK, was_accepted
from omnibridge.connector import ConfigError, DeliveryRejected, Text
from omnibridge.connector.testing import FakeContext, turn


def mark(value: str) -> dict[str, Any]:
    return {"event": "cancel_reminder", "metadata": {MARK: value, "model_id": "m"}}


def user(text: str = "hi", **metadata: Any) -> dict[str, Any]:
    return {"event": "user", "text": text, "metadata": metadata}


@pytest.mark.parametrize(
    ("events", "accepted"),
    [
        ([], False),
        ([mark("7")], False),
        ([mark("7"), user()], True),
        ([mark("7"), mark("7"), user()], True),
        ([user(), mark("7")], False),
        ([mark("7"), mark("8"), user()], False),
        ([mark("7"), user(is_external=True)], False),
        ([mark("7"), user(is_external=True), user()], True),
        ([mark("7"), "junk", {"event": "cancel_reminder", "metadata": {"a": 1}}, user()], True),
    ],
)
def test_accepted_is_a_message_after_its_mark(events: list[Any], accepted: bool) -> None:
    assert was_accepted(events, "7") is accepted


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"channel": "callback"}, "needs a callback_token"),
        ({"callback_token": "short"}, "8 characters"),
        ({"channel": "callback", "callback_token": "long enough", "silent_text": "?"}, "channel rest only"),
    ],
)
async def test_settings_that_cannot_work(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        await RasaConnector().initialize(FakeContext().make(RasaSettings(url="http://x", **settings)))


async def test_without_marks_a_cut_turn_cannot_be_looked_up() -> None:
    connector = RasaConnector()
    settings = RasaSettings(url="http://x", channel="callback", callback_token="long enough", mark_turns=False)
    await connector.initialize(FakeContext().make(settings))

    with pytest.raises(DeliveryRejected):
        await connector.resolve(turn())
    await connector.aclose()


def test_callback_names_its_session() -> None:
    found = read_callback(b'{"recipient_id": "s", "text": "Sorry?"}', ("Sorry?",))

    assert (found.session_id, found.reply.parts, found.reply.fallback) == ("s", (Text("Sorry?"),), True)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"recipient_id": ""}', b'{"recipient_id": [1]}', b"\xff"])
def test_callback_without_a_session_is_not_readable(body: bytes) -> None:
    with pytest.raises(ValueError):
        read_callback(body)
