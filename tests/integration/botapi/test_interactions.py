"""What was pressed, picked or filled in reaches a bot as a callback query; nobody reads it in the room."""

from __future__ import annotations

from typing import Any

import msgspec

from omnibridge.domain.events import InteractionReceived
from omnibridge.domain.interactions import Action, Actor, Interaction
from omnibridge.sandbox.visitor import Visitor
from omnibridge.storage.journal import Observation
from tests.integration.botapi.conftest import Api, MakeApi

KEYBOARD = {"inline_keyboard": [[{"text": "Yes", "callback_data": "y"}], [{"text": "No", "callback_data": "n"}]]}
VERA = Actor("v1", "guest-1", "Vera", is_visitor=True)


async def used(api: Api, visitor: Visitor, *actions: Action, message: str = "", by: Actor = VERA, key: str = "") -> str:
    """As what the companion app reports is journalled."""
    service = api.world.node.service
    assert service._lanes and service._bots
    identity = service._bots.ids.next()
    did = Interaction(key or f"i{identity}", by, actions, message, trigger_id="t1")
    event: Any = InteractionReceived(did, "helper")
    body = msgspec.json.encode(event)
    row = Observation(identity, "main", visitor.rid, "engine", "InteractionReceived", 1, body, f"interaction:{did.id}")
    await service._lanes.take_in(row)
    return did.id


async def test_s3_42_press_is_a_callback_query_and_shows_nothing(make_api: MakeApi) -> None:
    api = await make_api()
    visitor = await api.world.visitor()
    chat = (await api.updates(1))[0]["message"]["chat"]
    first = await api.call("sendMessage", chat_id=chat["id"], text="Sure?", reply_markup=KEYBOARD)
    await api.call("sendMessage", chat_id=chat["id"], text="Really?", reply_markup=KEYBOARD)
    shown = await visitor.wait_for("bot", 2)
    before = len(await visitor.history())
    identity = await used(api, visitor, Action("button", "a1", value="n", label="No"), message=shown[0]["id"])
    query = (await api.updates(2))[1]["callback_query"]

    assert (query["data"], query["message"]) == ("n", first), "the one that was pressed, not the newest"
    assert query["from"] == {"id": chat["id"], "is_bot": False, "first_name": "Vera"}
    assert query["chat_instance"]
    assert query["omnibridge"]["interaction_id"] == identity
    assert query["omnibridge"]["actions"] == [{"kind": "button", "action_id": "a1", "value": "n", "label": "No"}]
    assert await api.call("answerCallbackQuery", callback_query_id=query["id"]) is True
    assert len(await visitor.history()) == before, "nothing is visible in the room"


async def test_what_staff_press_is_theirs(make_api: MakeApi) -> None:
    api = await make_api()
    visitor = await api.world.visitor()
    await api.updates(1)
    alice = Actor("u7", "alice", "Alice", roles=("livechat-agent",))
    await used(api, visitor, Action("button", "a1", value="x"), by=alice)
    await used(api, visitor, Action("button", "a1", value="x"), by=alice)
    one, two = (each["callback_query"] for each in (await api.updates(3))[1:])

    assert (one["from"]["username"], one["from"]["first_name"]) == ("alice", "Alice")
    assert one["from"]["id"] == two["from"]["id"] < 1 << 53
    assert one["message"]["date"] == 0, "whose message it was is not known: Telegram's inaccessible message"


async def test_reply_keyboard_that_is_pressed_is_a_message_with_its_label(make_api: MakeApi) -> None:
    api = await make_api()
    visitor = await api.world.visitor()
    chat_id = (await api.updates(1))[0]["message"]["chat"]["id"]
    await api.call("sendMessage", chat_id=chat_id, text="Which?", reply_markup={"keyboard": [["Tea", "Mate"]]})
    shown = (await visitor.wait_for("bot", 1))[0]
    await used(api, visitor, Action("button", "a2", value="Mate", label="Mate"), message=shown["id"])
    update = (await api.updates(2))[1]

    assert update["message"]["text"] == "Mate"
    assert "callback_query" not in update


async def test_form_and_date_come_as_data(make_api: MakeApi) -> None:
    api = await make_api()
    visitor = await api.world.visitor()
    await api.updates(1)
    await used(api, visitor, Action("datepicker", "d", value="2026-11-21"))
    await used(api, visitor, Action("form", "f", values={"mail": "vera@example.com"}))
    picked, filled = (each["callback_query"] for each in (await api.updates(3))[1:])

    assert picked["data"] == "2026-11-21"
    assert filled["data"] == '{"mail":"vera@example.com"}'


async def test_press_that_is_reported_twice_is_one_update(make_api: MakeApi) -> None:
    api = await make_api()
    visitor = await api.world.visitor()
    await api.updates(1)
    for _ in range(2):
        await used(api, visitor, Action("button", "a1", value="x"), key="same")
    await visitor.say("after")
    kinds = [next(name for name in each if name != "update_id") for each in await api.updates(3)]

    assert kinds == ["message", "callback_query", "message"]


async def test_s3_55_messages_and_presses_are_one_stream_in_order(make_api: MakeApi) -> None:
    api = await make_api()
    visitor = await api.world.visitor()
    await api.updates(1)
    await visitor.say("one")
    await api.updates(2)
    await used(api, visitor, Action("button", "a1", value="two"))
    await api.updates(3)
    await visitor.say("three")
    told = [each.get("callback_query", {}).get("data") or each["message"]["text"] for each in await api.updates(4)]

    assert told == ["/start", "one", "two", "three"]
