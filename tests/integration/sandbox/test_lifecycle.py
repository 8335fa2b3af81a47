"""Routing, forwards, the queue and closing, with what each version and licence allows."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from omnibridge.sandbox.visitor import VisitorClient

from .conftest import Hub, Start


async def served_by(hub: Hub, visitor: VisitorClient) -> str | None:
    room = (await hub.relay.get("rooms.info", roomId=visitor.rid))["room"]
    return room["servedBy"]["username"] if "servedBy" in room else None


async def forward(hub: Hub, visitor: VisitorClient, **to: str) -> dict[str, Any]:
    return await hub.relay.post("livechat/room.forward", {"roomId": visitor.rid, **to})


async def test_bot_comes_first_even_when_not_available(hub: Hub) -> None:
    await hub.client.control(available={"bot": False})

    assert await served_by(hub, await hub.visitor()) == "bot"


async def test_auto_selection_takes_the_least_busy_then_by_name(start_hub: Start) -> None:
    hub = await start_hub(bot_first=False)

    assert [await served_by(hub, await hub.visitor()) for _ in range(3)] == ["alice", "bot", "alice"]


async def test_manual_selection_queues_until_taken_on_behalf(start_hub: Start) -> None:
    hub = await start_hub(bot_first=False)
    await hub.client.control(routing_method="Manual_Selection")
    visitor = await hub.visitor()
    inquiry = (await hub.relay.get("livechat/inquiries.getOne", roomId=visitor.rid))["inquiry"]
    assert (inquiry["status"], await served_by(hub, visitor)) == ("queued", None)

    take = {"inquiryId": inquiry["_id"], "userId": hub.alice.user_id}
    taken, again = [await hub.relay.post("livechat/inquiries.take", take) for _ in range(2)]
    unknown = await hub.relay.post("livechat/inquiries.take", {"inquiryId": "nothing"})

    assert (taken["_status"], again["errorType"], unknown["errorType"]) == (
        200, "error-inquiry-taken", "error-not-found",
    )  # fmt: skip
    await visitor.wait_event("taken", "alice")
    assert sorted(await hub.settled_types()) == [
        "LivechatSessionQueued", "LivechatSessionStart", "LivechatSessionTaken",
    ]  # fmt: skip


async def test_nobody_available_opens_no_room_unless_accepted(hub: Hub) -> None:
    await hub.client.control(available={"alice": False, "bot": False})
    with pytest.raises(RuntimeError, match="no-agent-online"):
        await hub.visitor()

    await hub.client.control(accept_with_no_agents=True, bot_first=False)
    visitor = await hub.visitor()
    take = {"inquiryId": (await hub.relay.get("livechat/inquiries.getOne", roomId=visitor.rid))["inquiry"]["_id"]}
    refused = await hub.alice.post("livechat/inquiries.take", take)

    assert refused["errorType"] == "error-agent-status-service-offline"


async def test_visitor_has_one_open_room(hub: Hub) -> None:
    visitor = await hub.visitor()
    first = visitor.rid
    assert await visitor.open_room() == first
    await visitor.close()

    assert await visitor.open_room() != first


async def test_forward_to_agent_is_taken_then_forwarded(hub: Hub) -> None:
    visitor = await hub.visitor()
    assert await hub.client.settled()
    assert (await forward(hub, visitor, userId=hub.alice.user_id))["_status"] == 200

    assert sorted((await hub.settled_types())[2:]) == ["LivechatSessionForwarded", "LivechatSessionTaken"]
    body = next(each for each in hub.receiver.bodies if each["type"] == "LivechatSessionForwarded")
    assert (body["servedBy"]["username"], body["oldServedBy"]["username"]) == ("alice", "bot")
    kinds = [each["t"] for each in (await hub.client.ledger(visitor.rid))["rooms"][0]["messages"]]
    assert kinds[3:] == ["livechat_transfer_history", "ul", "command", "uj"]


async def test_forward_errors(hub: Hub) -> None:
    visitor = await hub.visitor()
    same = await forward(hub, visitor, userId=hub.bot.user_id)
    await hub.alice.set_available(False)
    offline = await forward(hub, visitor, userId=hub.alice.user_id)
    nowhere = await forward(hub, visitor, departmentId="nowhere")
    await visitor.close()
    closed = await forward(hub, visitor, userId=hub.alice.user_id)

    assert [each["errorType"] for each in (same, offline, nowhere)] == [
        "error-selected-agent-room-agent-are-same", "error-user-is-offline", "error-invalid-department",
    ]  # fmt: skip
    assert closed["error"] == "This_conversation_is_already_closed"


async def test_forward_to_department(start_hub: Start) -> None:
    hub = await start_hub(licence="enterprise")
    made = {}
    for name, agents in (("Sales", [hub.alice.user_id]), ("Empty", [])):
        body = {"department": {"name": name, "enabled": True}, "agents": [{"agentId": each} for each in agents]}
        made[name] = (await hub.admin.post("livechat/department", body))["department"]["_id"]
    visitor = await hub.visitor()

    empty = await forward(hub, visitor, departmentId=made["Empty"])
    moved = await forward(hub, visitor, departmentId=made["Sales"])
    again = await forward(hub, visitor, departmentId=made["Sales"])

    assert empty["errorType"] == "error-no-agents-available-for-service-on-department"
    assert (moved["_status"], await served_by(hub, visitor)) == (200, "alice")
    assert again["errorType"] == "error-forwarding-chat-same-department"
    found = await hub.relay.get("livechat/rooms", open="true", departmentId=made["Sales"])
    assert ([each["_id"] for each in found["rooms"]], found["total"]) == ([visitor.rid], 1)


async def test_community_has_one_department(hub: Hub) -> None:
    body = {"department": {"name": "Support", "enabled": True}, "agents": []}
    first, second = [await hub.admin.post("livechat/department", body) for _ in range(2)]

    assert (first["_status"], second["errorType"]) == (200, "error-max-departments-number-reached")


@pytest.mark.parametrize(
    ("version", "rest", "method_status", "method_works"),
    [("6.14", 404, 200, True), ("7.7", 404, 200, True), ("8.3", 200, 400, False)],
)
async def test_return_to_queue_by_version(
    start_hub: Start, version: str, rest: int, method_status: int, method_works: bool
) -> None:
    hub = await start_hub(version)
    await hub.client.control(available={"alice": False})
    visitor = await hub.visitor()
    call = {"msg": "method", "id": "1", "method": "livechat:returnAsInquiry", "params": [visitor.rid]}

    by_rest = await hub.relay.post("livechat/inquiries.returnAsInquiry", {"roomId": visitor.rid})
    by_method = await hub.relay.post(
        "method.call/livechat:returnAsInquiry", {"message": msgspec.json.encode(call).decode()}
    )

    assert (by_rest["_status"], by_method["_status"]) == (rest, method_status)
    inner = msgspec.json.decode(by_method["message"])
    assert ("result" in inner, by_method["success"]) == (method_works, method_works)
    assert await served_by(hub, visitor) is None
    assert "LivechatSessionQueued" in await hub.settled_types()


async def test_method_error_is_inside_the_message(start_hub: Start) -> None:
    hub = await start_hub("7.7")
    call = {"msg": "method", "id": "1", "method": "livechat:returnAsInquiry", "params": ["nowhere"]}
    found = await hub.relay.post(
        "method.call/livechat:returnAsInquiry", {"message": msgspec.json.encode(call).decode()}
    )

    assert (found["_status"], found["success"]) == (200, True)
    assert msgspec.json.decode(found["message"])["error"]["error"] == "error-invalid-room"


@pytest.mark.parametrize(("requeue_to_bot", "who"), [(False, "alice"), (True, "bot")])
async def test_queue_worker_delegates_again(hub: Hub, requeue_to_bot: bool, who: str) -> None:
    await hub.client.control(requeue_to_bot=requeue_to_bot)
    visitor = await hub.visitor()
    await hub.relay.post("livechat/inquiries.returnAsInquiry", {"roomId": visitor.rid})

    assert await served_by(hub, visitor) == who


async def test_queue_worker_comes_later_when_told(hub: Hub) -> None:
    await hub.client.control(queue_delay_ms=30)
    visitor = await hub.visitor()
    found = await hub.relay.post("livechat/inquiries.returnAsInquiry", {"roomId": visitor.rid})
    assert found["result"] is True

    log = await visitor.wait_event("assigned", "alice")

    assert [each["what"] for each in log] == ["assigned", "transfer:queue", "unassigned", "queued", "assigned"]


async def test_close_by_user_wants_a_comment_and_happens_once(hub: Hub) -> None:
    visitor = await hub.visitor()
    wish = {"rid": visitor.rid, "comment": ""}
    assert (await hub.bot.post("livechat/room.closeByUser", wish))["errorType"] == "error-comment-is-required"
    refused = await hub.alice.post("livechat/room.closeByUser", {**wish, "comment": "bye"})
    assert refused["errorType"] == "error-not-authorized"

    closed, again = [await hub.bot.post("livechat/room.closeByUser", {**wish, "comment": "bye"}) for _ in range(2)]

    assert (closed["_status"], again["errorType"]) == (200, "error-room-already-closed")
    assert await hub.client.settled()
    body = next(each for each in hub.receiver.bodies if each["type"] == "LivechatSession")
    assert (body["closer"], body["closedBy"]["username"], body["messages"][-1]["msg"]) == ("user", "bot", "bye")
    assert body["messages"][-1]["closingMessage"] is True
    room = (await hub.relay.get("rooms.info", roomId=visitor.rid))["room"]
    assert ("open" in room, room["servedBy"]["username"]) == (False, "bot")
    assert (await hub.relay.get("livechat/inquiries.getOne", roomId=visitor.rid))["inquiry"] is None


async def test_agent_lists_only_his_own_rooms(hub: Hub) -> None:
    visitor = await hub.visitor()
    await forward(hub, visitor, userId=hub.alice.user_id)

    own = await hub.alice.get("livechat/rooms", **{"agents[]": hub.alice.user_id})

    assert [each["_id"] for each in own["rooms"]] == [visitor.rid]
    assert (await hub.alice.get("livechat/rooms"))["_status"] == 403


async def test_available_agents_tell_their_load(hub: Hub) -> None:
    await hub.visitor()
    await hub.alice.set_available(False)

    found = (await hub.relay.get("livechat/users/agent", onlyAvailable="true"))["users"]

    assert [(each["username"], each["livechatCount"]) for each in found] == [("bot", 1)]


async def test_reset_forgets_conversations_and_keeps_accounts(hub: Hub) -> None:
    await (await hub.visitor()).say("hello")
    await hub.client.reset()

    ledger = await hub.client.ledger()

    assert (ledger["rooms"], ledger["webhooks"], ledger["pending"]) == ([], [], 0)
    assert (await hub.alice.get("me"))["username"] == "alice"


async def test_two_hundred_visitors_at_once_share_one_client(start_hub: Start) -> None:
    hub = await start_hub()

    async def talk(n: int) -> str:
        visitor = VisitorClient(hub.client, f"Visitor {n}")
        await visitor.open_room()
        await visitor.say(f"hello {n}", f"m{n}")
        await hub.bot.say(visitor.rid, f"hello {n} to you")
        await visitor.wait_for("bot", 1)
        return visitor.rid

    rooms = await asyncio.gather(*(talk(n) for n in range(200)))

    assert await hub.client.settled()
    ledger = await hub.client.ledger()
    assert len(set(rooms)) == len(ledger["rooms"]) == 200
    assert len(ledger["save_ms"]) == 400


async def test_rooms_are_listed_as_served_queued_or_closed(hub: Hub) -> None:
    """`open` alone leaves out what nobody serves; `queued` lists just that."""
    await hub.client.control(bot_first=False, routing_method="Manual_Selection")
    waiting, served, closed = [await hub.visitor() for _ in range(3)]
    for each in (served, closed):
        await hub.alice.take(each.rid)
    await hub.alice.close(closed.rid)

    async def listed(**query: str) -> list[str]:
        return [each["_id"] for each in (await hub.relay.get("livechat/rooms", **query))["rooms"]]

    assert await listed(open="true") == [served.rid]
    assert await listed(open="true", queued="true") == [waiting.rid]
    assert await listed(open="false") == [closed.rid]
    assert await listed() == [closed.rid, served.rid, waiting.rid]
    assert await listed(sort='{"ts":1}') == [waiting.rid, served.rid, closed.rid]


async def test_rooms_are_listed_by_time(hub: Hub) -> None:
    first, second = await hub.visitor(), await hub.visitor()
    await second.close()
    rooms = {each["_id"]: each for each in (await hub.relay.get("livechat/rooms"))["rooms"]}
    created, closed_at = rooms[second.rid]["ts"], rooms[second.rid]["closedAt"]

    async def listed(**query: str) -> list[str]:
        return [each["_id"] for each in (await hub.relay.get("livechat/rooms", **query))["rooms"]]

    assert second.rid in await listed(createdAt=f'{{"start":"{created}"}}')
    assert await listed(closedAt=f'{{"start":"{closed_at}"}}') == [second.rid]
    assert await listed(closedAt='{"end":"2020-01-01T00:00:00.000Z"}') == []
    assert first.rid not in await listed(closedAt='{"start":"2020-01-01T00:00:00.000Z"}')
    assert (await hub.relay.get("livechat/rooms", closedAt='{"start":"soon"}'))["_status"] == 400
