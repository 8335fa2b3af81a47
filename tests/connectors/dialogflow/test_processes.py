"""As in earnest: sandbox and `omnibridge serve` as processes, on the event loop that is used there, and kill -9."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp

from connectors.dialogflow.simulator import AGENT
from omnibridge.sandbox.visitor import SandboxClient, Staff, Visitor
from tests.conftest import SimulatedBot
from tests.soak.processes import Bridge, Sandbox


async def test_turn_under_way_when_the_bridge_is_killed_is_given_once(tmp_path: Path) -> None:
    """CX. Whether it arrived cannot be known, so people take over, and have what comes after."""
    sandbox = Sandbox()
    told = await sandbox.start()
    bridge = Bridge(tmp_path, told, "dialogflow", options=f'edition = "cx"\nagent = "{AGENT}"')
    hub, agent = SandboxClient(told["url"]), SimulatedBot(told["dialogflow_url"])
    try:
        async with aiohttp.ClientSession() as session:
            await bridge.start()
            assert await bridge.ready(session) is not None
            await hub.control(webhook_url=f"{bridge.url}/webhooks/rocketchat/soak")
            visitor = Visitor(hub, "Vera")
            await visitor.open_room()
            await visitor.say("echo one")
            await visitor.wait_for("bot", 1)
            await agent.control(delay_ms=300)
            await visitor.say("echo two")
            await _until_worked_on(agent, "echo two")
            await bridge.kill()
            await agent.control(delay_ms=0)
            await bridge.start()
            assert await bridge.ready(session) is not None
            await visitor.wait_event("assigned", "alice")
            await visitor.say("echo three")
        words = [each["text"] for each in await visitor.wait_for("bot", 2)]
        worked_on = [each["message"] for each in await agent.turns() if each.get("side_effects")]
        await bridge.stop()
        code = bridge._process.returncode if bridge._process else None
    finally:
        await bridge.kill()
        await hub.aclose()
        await agent.aclose()
        await sandbox.stop()

    assert words[0] == "one"
    assert "two" not in words
    assert worked_on == ["echo one", "echo two"]
    assert code == 0


async def test_what_the_agent_knew_is_given_back_although_the_bridge_was_killed_meanwhile(tmp_path: Path) -> None:
    """ES. It forgets while a person talks, and so does a process that dies."""
    sandbox = Sandbox()
    told = await sandbox.start()
    bridge = Bridge(tmp_path, told, "dialogflow")
    hub, agent = SandboxClient(told["url"]), SimulatedBot(told["dialogflow_url"])
    relay = Staff(hub, told["service_account"])
    try:
        async with aiohttp.ClientSession() as session:
            await bridge.start()
            assert await bridge.ready(session) is not None
            await hub.control(webhook_url=f"{bridge.url}/webhooks/rocketchat/soak")
            visitor = Visitor(hub, "Vera")
            await visitor.open_room()
            await visitor.say("remember A10023")
            await visitor.wait_for("bot", 1)
            await visitor.say("talk to a human")
            await visitor.wait_event("assigned", "alice")
            await hub.settled()
            await bridge.kill()
            await agent.control(forget=True)
            await bridge.start()
            assert await bridge.ready(session) is not None
            bot = told["bot_account"]["user_id"]
            forwarded = await relay.post("livechat/room.forward", {"roomId": visitor.rid, "userId": bot})
            assert forwarded["success"], forwarded
            await visitor.wait_event("assigned", "bot")
            await visitor.say("recall")
            heard = await visitor.wait_for("bot", 3)
        await bridge.stop()
    finally:
        await bridge.kill()
        await hub.aclose()
        await agent.aclose()
        await sandbox.stop()

    assert heard[-1]["text"] == "You said A10023."


async def _until_worked_on(agent: SimulatedBot, words: str) -> None:
    async with asyncio.timeout(30):
        while not any(each.get("side_effects") for each in await agent.turns() if each["message"] == words):
            await asyncio.sleep(0.01)
