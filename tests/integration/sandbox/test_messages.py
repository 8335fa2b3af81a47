"""Sending, repeating, editing and reading messages, from both sides."""

from __future__ import annotations

import pytest

from .conftest import Hub, Start


@pytest.mark.parametrize(("version", "status"), [("6.14", 400), ("7.7", 200), ("8.3", 200)])
async def test_visitors_repeated_id_is_stored_once(start_hub: Start, version: str, status: int) -> None:
    hub = await start_hub(version)
    visitor = await hub.visitor()
    await visitor.say("first", "m1")

    body = {"token": visitor.token, "rid": visitor.rid, "msg": "again", "_id": "m1"}
    repeated = await hub.client.call("POST", "/api/v1/livechat/message", body)

    assert repeated["_status"] == status
    assert status == 400 or repeated["message"]["msg"] == "first"
    assert [each["text"] for each in await visitor.wait_for("visitor", 1)] == ["first"]


async def test_agents_repeated_id_is_400_and_can_be_read_back(hub: Hub) -> None:
    visitor = await hub.visitor()
    await hub.bot.say(visitor.rid, "hello", "m1")

    repeated = await hub.bot.post("chat.sendMessage", {"message": {"_id": "m1", "rid": visitor.rid, "msg": "x"}})

    assert repeated["_status"] == 400
    assert repeated["error"] == "Cannot read properties of undefined (reading 'starred')"
    found = (await hub.relay.get("chat.getMessage", msgId="m1"))["message"]
    assert (found["msg"], found["u"]["username"], "token" in found) == ("hello", "bot", False)
    assert (await hub.relay.get("chat.getMessage", msgId="m2"))["_status"] == 400


async def test_only_who_serves_or_sees_all_may_post(hub: Hub) -> None:
    visitor = await hub.visitor()
    message = {"message": {"rid": visitor.rid, "msg": "x"}}

    assert (await hub.alice.post("chat.sendMessage", message))["errorType"] == "error-not-allowed"
    assert (await hub.relay.post("chat.sendMessage", message))["_status"] == 200


async def test_agent_can_post_into_a_closed_room(hub: Hub) -> None:
    visitor = await hub.visitor()
    await visitor.close()

    await hub.bot.say(visitor.rid, "one more thing")

    assert len(await visitor.wait_for("bot", 1)) == 1
    with pytest.raises(RuntimeError, match="room-closed"):
        await visitor.say("are you there?")


async def test_long_message_is_refused(hub: Hub) -> None:
    visitor = await hub.visitor()
    found = await hub.bot.post("chat.sendMessage", {"message": {"rid": visitor.rid, "msg": "x" * 5001}})

    assert found["errorType"] == "error-message-size-exceeded"


async def test_alias_needs_the_role_bot(hub: Hub) -> None:
    visitor = await hub.visitor()
    message = {"message": {"rid": visitor.rid, "msg": "x", "alias": "Somebody"}}

    assert (await hub.admin.post("chat.sendMessage", message))["error"] == "Not enough permission"
    assert (await hub.bot.post("chat.sendMessage", message))["message"]["alias"] == "Somebody"


async def test_edits_come_as_message_events_and_the_same_text_does_not(hub: Hub) -> None:
    visitor = await hub.visitor()
    message_id = await visitor.say("helo")
    await visitor.edit(message_id, "hello")
    await visitor.edit(message_id, "hello")
    assert await hub.client.settled()

    sent = [each["messages"][0] for each in hub.receiver.bodies if each["type"] == "Message"]

    assert sorted((each["msg"], "editedAt" in each) for each in sent) == [("hello", True), ("helo", False)]


async def test_blocks_are_the_text_when_there_is_none(hub: Hub) -> None:
    visitor = await hub.visitor()
    blocks = [{"type": "divider"}]
    await hub.bot.post("chat.sendMessage", {"message": {"rid": visitor.rid, "blocks": blocks}})
    assert await hub.client.settled()

    sent = next(each["messages"][0] for each in hub.receiver.bodies if each["type"] == "Message")

    assert (sent["msg"], sent["blocks"], sent["agentId"]) == ('[{"type":"divider"}]', blocks, hub.bot.user_id)


async def test_sync_gives_what_is_newer(hub: Hub) -> None:
    visitor = await hub.visitor()
    first = await visitor.say("one")
    since = (await hub.relay.get("chat.getMessage", msgId=first))["message"]["ts"]
    await visitor.say("two")

    found = await hub.relay.get("chat.syncMessages", roomId=visitor.rid, lastUpdate=since)

    assert [each["msg"] for each in found["result"]["updated"]] == ["two"]


async def test_history_is_newest_first_with_system_messages(hub: Hub) -> None:
    visitor = await hub.visitor()
    await visitor.say("hello")

    found = await visitor.history()

    assert [each.get("t") for each in found] == [None, "uj", "command", "livechat-started"]
    assert found[0]["token"] == visitor.token


async def test_history_lacks_what_the_hub_hides(hub: Hub) -> None:
    visitor = await hub.visitor()
    await visitor.say("hello")
    hub.running.hub.change_setting("Hide_System_Messages", ["uj", "livechat-started"])

    assert [each.get("t") for each in await visitor.history()] == [None, "command"]


async def test_known_email_moves_to_the_new_token(hub: Hub) -> None:
    old, new = await hub.visitor(email="v@example.test"), await hub.visitor(email="v@example.test")

    assert new.rid == old.rid
    assert (await hub.client.call("GET", f"/api/v1/livechat/visitor/{old.token}"))["error"] == "invalid-token"
