"""Injected faults of the realtime side, as a client lives through them."""

from __future__ import annotations

import pytest
import websockets

from .conftest import Hub
from .ddp import Dialer

MESSAGES = "stream-room-messages"


async def test_faults(hub: Hub, dial: Dialer) -> None:
    """Lost, doubled and overtaking events; a hub that hangs up, refuses, and does not answer pings."""
    ddp = await dial.user(hub, "agent_account")
    await ddp.subscribe(MESSAGES, "GENERAL")

    async def say(*words: str) -> list[str]:
        for each in words:
            await ddp.call("sendMessage", {"rid": "GENERAL", "msg": each})
        return [args[0]["msg"] for args in await ddp.events()]

    await hub.client.control(realtime={"duplicate_rate": 1})
    assert await say("one") == ["one", "one"]
    await hub.client.control(realtime={"duplicate_rate": 0, "drop_rate": 1})
    ddp.seen.clear()
    assert await say("two") == []
    await hub.client.control(realtime={"drop_rate": 0, "swap_rate": 1, "swap_hold_ms": 60_000})
    assert await say("three") == []
    await hub.client.control(realtime={"swap_rate": 0})
    assert await say("four") == ["four", "three"]
    told = await hub.client.call("GET", "/_sandbox/realtime")
    assert (told["duplicated"], told["dropped"], told["swapped"]) == (1, 1, 1)
    assert told["sessions"][0]["subs"] == ["stream-room-messages GENERAL"]

    await hub.client.control(realtime={"silence_ms": 20})
    await ddp.get(msg="ping")
    await hub.client.control(realtime={"silence_ms": 30_000, "mute": True})
    await ddp.send(msg="ping", id="unheard")
    await ddp.call("getRoomNameById", "GENERAL")
    assert [each for each in ddp.seen if each.get("id") == "unheard"] == []

    await hub.client.control(realtime={"refuse": True, "drop": True})
    with pytest.raises(websockets.ConnectionClosed):
        await ddp.get(msg="never")
    with pytest.raises(websockets.InvalidStatus, match="503"):
        await dial(hub)
    with pytest.raises(RuntimeError, match="lose_rate"):
        await hub.client.control(realtime={"lose_rate": 1})
    await hub.client.control(realtime={"refuse": False, "mute": False})
    await dial.user(hub, "agent_account")


async def test_client_that_does_not_answer_pings_is_hung_up_on(hub: Hub, dial: Dialer) -> None:
    await hub.client.control(realtime={"silence_ms": 30})
    ddp = await dial.user(hub, "agent_account")
    await ddp.get(msg="ping")
    with pytest.raises(websockets.ConnectionClosed):
        await ddp.get(msg="never")
