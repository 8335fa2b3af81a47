"""What staff looks at besides rooms."""

from __future__ import annotations

import pytest

from .conftest import Hub, Start


async def test_queue_load_and_transfers(start_hub: Start) -> None:
    hub = await start_hub(department="Support", bot_first=False)
    await hub.client.control(routing_method="Manual_Selection")
    general, special = await hub.visitor(), await hub.visitor(department="Support")
    await hub.client.control(users={"omnibridge": {"roles": ["livechat-agent"]}})
    stranger = await hub.relay.get("livechat/inquiries.queuedForUser")
    member = await hub.alice.get("livechat/inquiries.queuedForUser")
    await hub.alice.take(special.rid)
    await hub.client.control(users={"omnibridge": {"roles": ["livechat-manager"]}})
    body = {"roomId": special.rid, "userId": "botId", "comment": "yours"}
    await hub.relay.post("livechat/room.forward", body)
    load = await hub.alice.get("livechat/queue")
    transfers = await hub.relay.get(f"livechat/transfer.history/{special.rid}")

    assert [each["rid"] for each in stranger["inquiries"]] == [general.rid]
    assert [each["rid"] for each in member["inquiries"]] == [general.rid, special.rid]
    assert [(each["user"]["username"], each["department"]["name"], each["chats"]) for each in load["queue"]] == [
        ("bot", "Support", 1)
    ]
    assert [(each["scope"], each["comment"]) for each in transfers["history"]] == [("agent", "yours")]


async def test_join_needs_sight_of_the_room(hub: Hub) -> None:
    visitor = await hub.visitor()
    seen = await hub.relay.get("livechat/visitors.info", visitorId="nobody")

    assert (await hub.alice.get("livechat/room.join", roomId=visitor.rid))["errorType"] == "error-not-allowed"
    assert (await hub.relay.get("livechat/room.join", roomId=visitor.rid))["room"]["_id"] == visitor.rid
    assert seen["error"] == "visitor-not-found"


@pytest.mark.parametrize(("version", "is_there"), [("7.7", False), ("8.3", True)])
async def test_fields_of_rooms_are_declared_over_rest_from_8(start_hub: Start, version: str, is_there: bool) -> None:
    hub = await start_hub(version)
    data = {"field": "case", "label": "Case", "scope": "room", "visibility": "visible"}
    saved = await hub.relay.post("livechat/custom-fields.save", {"customFieldId": None, "customFieldData": data})

    assert saved["_status"] == (200 if is_there else 404)
    listed = await hub.alice.get("livechat/custom-fields")
    assert [each["_id"] for each in listed["customFields"]] == (["case"] if is_there else [])


async def test_undeclared_field_of_a_room_is_not_kept(hub: Hub) -> None:
    await hub.client.control(custom_fields={"case": "room", "tier": "visitor"})
    visitor = await hub.visitor()
    room = {"_id": visitor.rid, "livechatData": {"case": "1", "tier": "2", "mood": "3"}}
    await hub.relay.post("livechat/room.saveInfo", {"guestData": {"_id": "x"}, "roomData": room})

    assert (await hub.relay.get("rooms.info", roomId=visitor.rid))["room"]["livechatData"] == {"case": "1"}
