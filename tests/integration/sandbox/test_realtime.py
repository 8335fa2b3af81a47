"""Frames of the realtime side, exactly as the reference has them (rocketchat-api 8), by a client of its own."""

from __future__ import annotations

import asyncio
import hashlib

import msgspec
import pytest
import websockets

from .conftest import Hub, Start
from .ddp import Dialer, as_visitor

MESSAGES, NOTIFY_ROOM, LIVECHAT_ROOM = "stream-room-messages", "stream-notify-room", "stream-livechat-room"
NOTIFY_USER, INQUIRIES = "stream-notify-user", "stream-livechat-inquiry-queue-observer"


async def test_handshake_pings_and_refusals(hub: Hub, dial: Dialer) -> None:
    ddp = await dial(hub)
    assert msgspec.json.decode(await ddp.socket.recv()) == {"server_id": "0"}
    await ddp.send(msg="method", id="1", method="login", params=[])
    assert (await ddp.get(msg="error"))["reason"] == "Must connect first"
    await ddp.connect("pre2")
    await ddp.send(msg="ping")
    assert await ddp.get(msg="pong") == {"msg": "pong"}
    await ddp.send(msg="ping", id="7")
    assert await ddp.get(msg="pong") == {"msg": "pong", "id": "7"}
    missing = (await ddp.call("no-such"))["error"]
    assert missing == {
        "isClientSafe": True,
        "error": 404,
        "reason": "Method 'no-such' not found",
        "message": "Method 'no-such' not found [404]",
        "errorType": "Meteor.Error",
    }

    other = await dial(hub)
    await other.send(msg="connect", version="2", support=["2"])
    assert await other.get(msg="failed") == {"msg": "failed", "version": "1"}
    with pytest.raises(websockets.ConnectionClosed):
        await other.get(msg="never")


async def test_ways_to_log_in(hub: Hub, dial: Dialer) -> None:
    ddp = await (await dial(hub)).connect()
    digest = {"digest": hashlib.sha256(b"secret").hexdigest(), "algorithm": "sha-256"}
    account = hub.running.description["agent_account"]
    for wish in (
        {"user": {"username": "alice"}, "password": "secret"},
        {"user": {"username": "alice"}, "password": digest},
        {"user": {"email": "Alice@example.test"}, "password": digest},
        {"totp": {"login": {"user": {"username": "alice"}, "password": digest}, "code": "123456"}},
        {"resume": account["auth_token"]},
    ):
        result = (await ddp.call("login", wish))["result"]
        assert result["id"] == account["user_id"]
        assert result["type"] == ("resume" if "resume" in wish else "password")
        assert list(result["tokenExpires"]) == ["$date"]
        added = await ddp.get(msg="added", collection="users")
        assert (added["id"], added["fields"]["username"]) == (account["user_id"], "alice")

    for wrong in ({"resume": "x"}, {"user": {"username": "alice"}, "password": "x"}, {"user": {"email": "x"}}):
        assert (await ddp.call("login", wrong))["error"]["error"] == 403
    assert "result" not in await ddp.call("logout")
    assert (await ddp.call("rooms/get"))["error"]["error"] == "error-invalid-user"
    assert (await ddp.call("login", {"resume": account["auth_token"]}))["error"]["error"] == 403


async def test_my_messages_tells_of_every_room_that_the_account_may_see(hub: Hub, dial: Dialer) -> None:
    relay, alice = await dial.user(hub, "service_account"), await dial.user(hub, "agent_account")
    for each in (relay, alice):
        assert (await each.subscribe("stream-room-messages", "__my_messages__"))["msg"] == "ready"
    visitor = await hub.visitor()
    await visitor.say("hello", "m1")

    kinds = []
    while True:
        message, meta = await relay.heard("stream-room-messages", "__my_messages__")
        kinds.append(message.get("t", ""))
        assert meta == {"roomParticipant": False, "roomType": "l", "roomName": "Vera"}
        if message["_id"] == "m1":
            break
    assert kinds == ["livechat-started", "command", "uj", ""]
    assert message["token"] == visitor.token
    assert message["ts"] == message["_updatedAt"] == {"$date": message["ts"]["$date"]}
    # The bot serves the room: alice sees nothing of it until it is hers.
    assert await alice.events() == []
    assert (await alice.subscribe("stream-room-messages", visitor.rid))["error"] == {
        "isClientSafe": True,
        "error": "not-allowed",
        "message": "[not-allowed]",
        "errorType": "Meteor.Error",
    }
    await hub.relay.post("livechat/room.forward", {"roomId": visitor.rid, "userId": hub.alice.user_id})
    await visitor.say("alice?", "m2")
    while (found := await alice.heard("stream-room-messages", "__my_messages__"))[0]["_id"] != "m2":
        pass
    assert found[1]["roomParticipant"] is True


async def test_room_as_its_visitor_sees_it(hub: Hub, dial: Dialer) -> None:
    """Messages, edits, deletions, typing, who serves, close; nothing without the token."""
    visitor, ddp = await hub.visitor(), await (await dial(hub)).connect()
    rid, extra = visitor.rid, as_visitor(visitor.token)
    typing = f"{rid}/user-activity"
    for name, event in (
        (MESSAGES, rid),
        (LIVECHAT_ROOM, rid),
        (NOTIFY_ROOM, typing),
        (NOTIFY_ROOM, f"{rid}/deleteMessage"),
    ):
        assert (await ddp.subscribe(name, event))["msg"] == "nosub"
        assert (await ddp.subscribe(name, event, as_visitor("wrong")))["msg"] == "nosub"
        assert (await ddp.subscribe(name, event, extra))["msg"] == "ready"
    bot = await dial.user(hub, "bot_account")

    await bot.call("stream-notify-room", typing, "somebody", ["user-typing"])
    await bot.call("stream-notify-room", f"{rid}/typing", "bot", True)
    assert "result" not in await bot.call("stream-notify-room", typing, "bot", ["user-typing"])
    assert await ddp.heard(NOTIFY_ROOM, typing) == ["bot", ["user-typing"]]
    assert await ddp.events() == []

    await hub.bot.say(rid, "hi", "b1")
    assert (await ddp.heard(MESSAGES, rid))[0]["msg"] == "hi"
    await hub.bot.post("chat.update", {"roomId": rid, "msgId": "b1", "text": "hi there"})
    edited = (await ddp.heard(MESSAGES, rid))[0]
    assert (edited["msg"], list(edited["editedAt"])) == ("hi there", ["$date"])
    await visitor.say("oops", "v1")
    gone = await hub.client.call("DELETE", "/api/v1/livechat/message/v1", {"token": visitor.token, "rid": rid})
    assert gone["message"]["_id"] == "v1"
    assert await ddp.heard(NOTIFY_ROOM, f"{rid}/deleteMessage") == [{"_id": "v1"}]

    await hub.relay.post("livechat/room.forward", {"roomId": rid, "userId": hub.alice.user_id})
    assert await ddp.heard(LIVECHAT_ROOM, rid) == [{"type": "agentData", "data": None}]
    shown = (await ddp.heard(LIVECHAT_ROOM, rid))[0]
    assert (shown["type"], shown["data"]["username"], shown["data"]["name"]) == ("agentData", "alice", "Alice Example")
    await hub.alice.close(rid)
    while (await ddp.heard(MESSAGES, rid))[0].get("t") != "livechat-close":
        pass


async def test_visitor_types_under_its_own_name_only(hub: Hub, dial: Dialer) -> None:
    visitor, bot = await hub.visitor(), await dial.user(hub, "bot_account")
    typing = f"{visitor.rid}/user-activity"
    assert (await bot.subscribe(NOTIFY_ROOM, typing))["msg"] == "ready"
    ddp = await (await dial(hub)).connect()
    assert (await ddp.subscribe(NOTIFY_ROOM, typing, as_visitor(visitor.token)))["msg"] == "ready"

    for name, token in (("bot", visitor.token), ("guest-1", "wrong"), ("guest-1", visitor.token)):
        await ddp.call("stream-notify-room", typing, name, ["user-typing"], {"token": token})

    assert await bot.heard(NOTIFY_ROOM, typing) == ["guest-1", ["user-typing"]]
    assert (await bot.events(), await ddp.events()) == ([], [])  # nor does it hear itself


async def test_assignment_as_agents_and_queue_watchers_see_it(start_hub: Start, dial: Dialer) -> None:
    hub = await start_hub(bot_first=False, department="Support")
    await hub.client.control(routing_method="Manual_Selection")
    department = (await hub.relay.get("livechat/department"))["departments"][0]["_id"]
    alice, me = await dial.user(hub, "agent_account"), hub.alice.user_id
    assert (await alice.subscribe(NOTIFY_USER, f"{hub.bot.user_id}/rooms-changed"))["msg"] == "nosub"
    for name, event in (
        (NOTIFY_USER, f"{me}/rooms-changed"),
        (NOTIFY_USER, f"{me}/subscriptions-changed"),
        (INQUIRIES, "public"),
        (INQUIRIES, f"department/{department}"),
    ):
        assert (await alice.subscribe(name, event))["msg"] == "ready"
    await hub.client.control(available={"bot": False})

    here = await hub.visitor(department="Support")
    added, changed = [(await alice.heard(INQUIRIES, f"department/{department}"))[0] for _ in range(2)]
    assert (added["type"], changed["type"], changed["status"]) == ("added", "changed", "queued")
    assert added["rid"] == here.rid
    await hub.alice.take(here.rid)
    assert (await alice.heard(INQUIRIES, f"department/{department}"))[0]["status"] == "taken"
    kind, subscription = await alice.heard(NOTIFY_USER, f"{me}/subscriptions-changed")
    assert (kind, subscription["rid"], subscription["t"]) == ("inserted", here.rid, "l")
    kind, room = await alice.heard(NOTIFY_USER, f"{me}/rooms-changed")
    assert (kind, room["_id"], room["servedBy"]["username"]) == ("updated", here.rid, "alice")
    await hub.alice.close(here.rid)
    assert (await alice.heard(INQUIRIES, f"department/{department}"))[0]["type"] == "removed"
    assert (await alice.heard(NOTIFY_USER, f"{me}/subscriptions-changed"))[0] == "removed"

    elsewhere = await hub.visitor()
    assert (await alice.heard(INQUIRIES, "public"))[0]["rid"] == elsewhere.rid


async def test_calls_of_other_clients(hub: Hub, dial: Dialer) -> None:
    """Rooms that are no conversations, by the calls that bots and scripts make."""
    alice = await dial.user(hub, "agent_account")
    assert (await alice.subscribe("meteor.loginServiceConfiguration", ""))["msg"] == "ready"
    assert (await alice.subscribe(MESSAGES, "GENERAL", True))["msg"] == "ready"
    added = {"msg": "added", "collection": MESSAGES, "id": "id", "fields": {"eventName": "GENERAL"}}
    assert await alice.get(msg="added", collection=MESSAGES) == added
    assert (await alice.call("getRoomIdByNameOrId", "general"))["result"] == "GENERAL"
    assert (await alice.call("getRoomNameById", "GENERAL"))["result"] == "general"
    assert (await alice.call("joinRoom", "GENERAL"))["result"] is True
    direct = (await alice.call("createDirectMessage", "bot"))["result"]
    assert direct == {"t": "d", "rid": "aliceIdbotId"}
    sent = (await alice.call("sendMessage", {"_id": "g1", "rid": "GENERAL", "msg": "hi all"}))["result"]
    assert (sent["_id"], list(sent["ts"])) == ("g1", ["$date"])
    assert (await alice.heard(MESSAGES, "GENERAL"))[0]["msg"] == "hi all"
    assert "result" not in await alice.call("sendMessage", {"_id": "g1", "rid": "GENERAL", "msg": "hi all"})
    rooms = (await alice.call("rooms/get"))["result"]
    assert [each["_id"] for each in rooms] == ["GENERAL", "aliceIdbotId"]
    assert (await alice.call("rooms/get", {"$date": 0}))["result"] == {"update": rooms, "remove": []}
    assert (await alice.call("rooms/get", {"$date": sent["ts"]["$date"]}))["result"]["update"] == []
    stranger = await dial.user(hub, "service_account")
    assert (await stranger.call("getRoomNameById", direct["rid"]))["error"]["error"] == "error-not-allowed"


async def test_presence_reaches_colleagues_and_the_visitor(hub: Hub, dial: Dialer) -> None:
    visitor, alice = await hub.visitor(), await dial.user(hub, "agent_account")
    ddp = await (await dial(hub)).connect()
    assert (await ddp.subscribe(LIVECHAT_ROOM, visitor.rid, as_visitor(visitor.token)))["msg"] == "ready"
    assert (await alice.subscribe("stream-notify-logged", "user-status"))["msg"] == "ready"
    assert (await hub.bot.post("users.setStatus", {"status": "away"}))["success"]
    assert await alice.heard("stream-notify-logged", "user-status") == [[hub.bot.user_id, "bot", 2, ""]]
    assert await ddp.heard(LIVECHAT_ROOM, visitor.rid) == [{"type": "agentStatus", "status": "away"}]


async def test_second_factor_is_asked_for(hub: Hub, dial: Dialer) -> None:
    await hub.client.control(two_factor={"alice": {"totp": "JBSWY3DPEHPK3PXP"}})
    ddp, login = await (await dial(hub)).connect(), {"user": {"username": "alice"}, "password": "secret"}
    assert (await ddp.call("login", login))["error"]["error"] == "totp-required"
    assert (await ddp.call("login", {"totp": {"login": login, "code": "x"}}))["error"]["error"] == "totp-invalid"


async def test_who_is_shut_out_hears_no_more(hub: Hub, dial: Dialer) -> None:
    visitor, bot = await hub.visitor(), await dial.user(hub, "bot_account")
    await bot.subscribe(MESSAGES, visitor.rid)
    await bot.subscribe(MESSAGES, "__my_messages__")
    await hub.client.control(users={"bot": {"active": False}})
    await visitor.say("anybody?")
    assert await bot.events() == []
    assert (await bot.call("rooms/get"))["error"]["error"] == "error-invalid-user"
    assert (await bot.call("login", {"resume": hub.running.description["bot_account"]["auth_token"]}))["error"]


async def test_hidden_system_messages_are_not_said(hub: Hub, dial: Dialer) -> None:
    await hub.client.control(settings={"Hide_System_Messages": ["uj", "command"]})
    relay = await dial.user(hub, "service_account")
    await relay.subscribe(MESSAGES, "__my_messages__")
    await hub.visitor()
    assert [args[0]["t"] for args in await relay.events()] == ["livechat-started"]


async def test_stream_tells_what_the_ledger_holds(hub: Hub, dial: Dialer) -> None:
    """Twenty conversations at once: every message of every room, once, each room in its order."""
    relay = await dial.user(hub, "service_account")
    await relay.subscribe(MESSAGES, "__my_messages__")

    async def talk() -> None:
        visitor = await hub.visitor()
        for each in range(3):
            await visitor.say(f"{each}")
            await hub.bot.say(visitor.rid, f"heard {each}")
        await visitor.close()

    await asyncio.gather(*(talk() for _ in range(20)))
    said = [(args[0]["rid"], args[0]["_id"]) for args in await relay.events()]
    for room in (await hub.client.ledger())["rooms"]:
        assert [mid for rid, mid in said if rid == room["rid"]] == [each["id"] for each in room["messages"]]
    assert len({rid for rid, _ in said}) == 20
