"""A click in an envelope of the companion app -> who used what of which connection; or why nothing follows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from omnibridge.domain.events import InteractionReceived
from omnibridge.rocketchat.app_events import read_app
from omnibridge.rocketchat.clicks import Shown
from omnibridge.rocketchat.derive import Derivation
from omnibridge.rocketchat.derive_app import derive_app
from omnibridge.rocketchat.uikit_actions import ActionRefused
from tests.unit.rocketchat.envelopes import ALICE, VISITOR, envelope, message
from tests.unit.rocketchat.uikit_blocks import BLOCKS
from tests.unit.rocketchat.views import view

BOT = {"_id": "botId", "username": "bot", "name": "Bot"}
ASKED = message("m1", "Which one?", u=BOT, blocks=BLOCKS)


def click(**more: Any) -> bytes:
    told: dict[str, Any] = {
        "visitor": {**VISITOR, "token": "secret-token"},
        "action_id": "button.0",
        "block_id": None,
        "value": "/sales",
        "trigger_id": "t1",
        "container": {"type": "message", "id": "m1"},
        "message": ASKED,
        **more,
    }
    return envelope("interaction", **told)


def derived(body: bytes, **known: Any) -> Derivation:
    return derive_app(read_app(body), view(**known), 5000)


def event_of(body: bytes, **known: Any) -> InteractionReceived:
    (only,) = derived(body, **known).events
    assert isinstance(only.event, InteractionReceived)
    return only.event


def test_s3_12_and_14_and_15_a_visitors_click_names_him_the_message_and_the_trigger() -> None:
    event = event_of(click(message={**ASKED, "token": "secret-token", "u": {**BOT, "token": "secret-token"}}))

    interaction = event.interaction
    assert event.connection == "helper"
    assert (interaction.message_id, interaction.trigger_id) == ("m1", "t1")
    assert (interaction.at, interaction.received_at) == (3000, 5000)
    assert interaction.original["blocks"] == BLOCKS
    actor = interaction.actor
    assert (actor.id, actor.username, actor.is_visitor, actor.roles) == ("v1", "guest", True, ("visitor",))
    assert "secret-token" not in repr(event)


def test_s3_12_a_users_click_names_his_roles() -> None:
    event = event_of(click(visitor=None, user={**ALICE, "roles": ["livechat-agent", 7]}))

    assert (event.interaction.actor.username, event.interaction.actor.roles) == ("alice", ("livechat-agent",))
    assert not event.interaction.actor.is_visitor


def test_a_click_is_one_event_however_often_it_is_told() -> None:
    first, again = derived(click()).events[0], derived(click()).events[0]

    assert first.key == again.key == "act:e1"
    assert first.event == again.event


def test_s3_18_a_click_in_a_thread_says_so() -> None:
    assert event_of(click(message={**ASKED, "tmid": "m0"})).interaction.thread_id == "m0"


def test_s3_14_a_message_that_did_not_come_is_what_we_posted() -> None:
    ours = Shown("other", {"_id": "ours", "blocks": BLOCKS})
    body = click(message=None, container={"type": "message", "id": "ours"})
    event = event_of(body, shown=lambda message: ours if message == "ours" else None)

    assert (event.connection, event.interaction.original) == ("other", ours.message)


def test_what_the_relay_account_posted_is_its_connections() -> None:
    relay = {"_id": "relayId", "username": "relay"}
    body = click(message={**ASKED, "u": relay})
    assert derived(body).note == "a click on a message that none of our connections had shown"
    assert event_of(body, shown=lambda _: Shown("helper", {})).connection == "helper"


@pytest.mark.parametrize(
    ("body", "known"),
    [
        (click(), {"known": False}),
        (click(), {"closed": True}),
        (click(message={**ASKED, "u": ALICE}), {}),
        (click(message={**ASKED, "from_visitor": True}), {}),
    ],
)
def test_clicks_elsewhere_are_only_recorded(body: bytes, known: dict[str, Any]) -> None:
    found = derived(body, **known)

    assert (found.events, bool(found.note), found.needs_room_read) == ((), True, False)


def test_s3_23_a_value_that_was_not_offered_is_an_error() -> None:
    with pytest.raises(ActionRefused, match="unknown-value"):
        derived(click(value="/admin"))


def test_no_token_is_in_what_is_told_to_anybody() -> None:
    event = event_of(click(message={**ASKED, "attachments": [{"x": [{"token": "secret-token"}]}]}))

    assert "secret-token" not in json.dumps(event.interaction.original)
