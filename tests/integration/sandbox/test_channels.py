"""Rooms that are no conversations, over REST."""

from __future__ import annotations

import aiohttp

from .conftest import Hub


async def test_messages_of_channels_and_direct_messages(hub: Hub) -> None:
    sent = await hub.alice.post("chat.postMessage", {"channel": "#general", "text": "to all"})
    assert (sent["message"]["rid"], sent["message"]["groupable"]) == ("GENERAL", False)
    direct = await hub.alice.post("im.create", {"username": "bot"})
    await hub.alice.post("chat.postMessage", {"channel": "@bot", "text": "to you"})
    history = await hub.bot.get("channels.history", roomId="GENERAL")
    assert [each["msg"] for each in history["messages"]] == ["to all"]
    rooms = (await hub.bot.get("rooms.get"))["update"]
    assert {each["_id"]: each["lastMessage"]["msg"] for each in rooms} == {
        "GENERAL": "to all",
        direct["room"]["rid"]: "to you",
    }
    later = await hub.bot.get("rooms.get", updatedSince="2100-01-01T00:00:00.000Z")
    assert later["update"] == []
    refused = await hub.relay.post("chat.postMessage", {"roomId": direct["room"]["rid"], "text": "x"})
    assert refused["errorType"] == "error-not-allowed"
    with_blocks = await hub.alice.post("chat.postMessage", {"channel": "#general", "text": "x", "blocks": []})
    assert with_blocks["errorType"] == "invalid-params"


async def test_bridge_hears_nothing_of_channels(hub: Hub) -> None:
    """No webhook for what is no conversation; edits and deletions neither."""
    sent = await hub.alice.post("chat.postMessage", {"channel": "#general", "text": "to all"})
    message = {"roomId": "GENERAL", "msgId": sent["message"]["_id"]}
    assert (await hub.alice.post("chat.update", {**message, "text": "to some"}))["message"]["msg"] == "to some"
    assert (await hub.alice.post("chat.delete", message))["success"]
    assert (await hub.alice.get("channels.history", roomId="GENERAL"))["messages"] == []
    assert await hub.settled_types() == []


async def test_log_in_by_form(hub: Hub) -> None:
    async with (
        aiohttp.ClientSession(hub.client.url) as client,
        client.post("/api/v1/login", data={"user": "alice", "password": "secret"}) as answer,
    ):
        assert (await answer.json())["data"]["userId"] == hub.alice.user_id
