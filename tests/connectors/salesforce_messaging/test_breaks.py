"""The log says why a stream is broken: once for each reason of a trouble, and when it stands again."""

from __future__ import annotations

from typing import Any

import pytest

import connectors.salesforce_messaging.stream as stream_module
from connectors.salesforce_messaging.breaks import Breaks, reason_of
from omnibridge.connector import DeliveryUncertain
from tests.connectors.salesforce.relays import MakeRelay
from tests.connectors.salesforce_messaging.relays import Relay


def lines_of(relay: Relay) -> list[tuple[str, dict[str, Any]]]:
    """What the connection logs from now on."""
    found: list[tuple[str, dict[str, Any]]] = []
    connector: Any = relay.world.node.service._connectors["sales"]
    context = connector._shared.context
    object.__setattr__(context, "log", lambda action, **fields: found.append((action, fields)))
    return found


async def test_why_a_stream_is_broken_is_said_once_and_that_it_stands_again(
    make_relay: MakeRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "FIRST_PAUSE_S", 0.02)
    relay = await make_relay()
    lines = lines_of(relay)
    visitor = await relay.with_agent()
    assert not [action for action, _ in lines if action.startswith("stream")]
    soon = {"Retry-After": "0"}
    refused = [{"on": "stream", "status": status, "count": 3, "headers": soon} for status in (503, 429)]
    relay.sf.wish({"fail_next": [*refused, {"on": "stream", "status": 503, "count": 2}], "cut": True})
    relay.desk.say(relay.chat, "a0")
    await relay.until(lambda: "a0" in relay.words(visitor))

    said = [(action, fields.get("reason")) for action, fields in lines]
    assert said[1:] == [("stream_broken", "http-503"), ("stream_broken", "http-429"), ("stream_back", None)]
    assert said[0][0] == "stream_broken" and str(said[0][1]).startswith("no-answer (")
    assert {fields["room"] for _, fields in lines} == {visitor.rid}
    assert lines[-1][1]["gone_s"] > 0
    tokens = list(relay.sf.org.tokens._issued)
    assert not [each for each in tokens if each in repr(lines)]


def test_stream_that_comes_and_goes_says_so_once_in_a_while() -> None:
    now, lines = 0.0, list[tuple[str, Any]]()
    breaks = Breaks("r", lambda: now, lambda action, **fields: lines.append((action, fields.get("reason"))))
    for _ in range(1000):
        now += 0.5
        breaks.broke("http-503")
        breaks.broke("http-503")
        now += 0.5
        breaks.stands()

    assert 14 <= lines.count(("stream_broken", "http-503")) <= 18
    assert lines.count(("stream_back", None)) == lines.count(("stream_broken", "http-503"))


def test_reason_has_no_words_of_the_failure() -> None:
    error = DeliveryUncertain("at https://x/?token=secret", code="no-answer")
    error.__cause__ = OSError("secret")

    assert reason_of(error) == "no-answer (OSError)"
