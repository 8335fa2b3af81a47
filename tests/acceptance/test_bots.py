"""Bots of the bot API, with processes of their own: the command line, and kills while a turn becomes an update."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from omnibridge.sandbox.configured import bot_user, workspace
from omnibridge.sandbox.server import RunningSandbox, SandboxOptions, start
from omnibridge.sandbox.visitor import SandboxClient, Visitor
from tests.command_line import omnibridge
from tests.soak.processes import Bridge as Process

POINTS = ("outbox_to_send", "response_to_settle")


class Bridge(Process):
    """Ready once it is started. What it prints is kept."""

    def __init__(self, folder: Path, sandbox: RunningSandbox) -> None:
        told, self.folder = sandbox.description, folder
        (folder / "rules.toml").write_text("", "utf-8")
        text = f"""
[server]
port = PORT
log_level = "debug"
[database]
url = "sqlite:///test.db"
{workspace(told)}
[[connection]]
name = "helper"
kind = "bot_api"
{bot_user(told)}
allow_private = true
"""
        super().__init__(folder, told, "bot_api", text=text)

    async def start(self, crash_at: str = "") -> None:
        await super().start(crash_at)
        async with aiohttp.ClientSession() as session:
            assert await self.ready(session) is not None, self.log()

    def log(self) -> str:
        return (self.folder / "bridge.log").read_text("utf-8")


class PollingBot:
    """Thirty lines of a bot: says `pong TEXT`, confirms what it took, goes on after whatever breaks."""

    def __init__(self, url: str, token: str) -> None:
        self._url, self._token = f"{url}/bot{token}", token
        self.taken: list[dict[str, Any]] = []

    async def run(self) -> None:
        offset = 0
        async with aiohttp.ClientSession() as session:
            while True:
                try:
                    found = await self._call(session, "getUpdates", offset=offset, timeout=5)
                    for update in found["result"]:
                        self.taken.append(update)
                        offset = update["update_id"] + 1
                        message = update.get("message", {})
                        if message.get("text", "/").startswith("/"):
                            continue
                        said = {"chat_id": message["chat"]["id"], "text": f"pong {message['text']}"}
                        assert (await self._call(session, "sendMessage", **said))["ok"]
                except (aiohttp.ClientError, TimeoutError):
                    await asyncio.sleep(0.05)

    async def _call(self, session: aiohttp.ClientSession, method: str, **parameters: Any) -> dict[str, Any]:
        async with session.post(f"{self._url}/{method}", data=parameters) as answer:
            return dict(await answer.json())


@pytest.mark.parametrize("point", POINTS)
async def test_kill_while_a_turn_becomes_an_update(tmp_path: Path, point: str) -> None:
    """Before the queue's commit, and after it before we know: one update each, no gap, one answer."""
    sandbox = await start(SandboxOptions())
    bridge, hub = Bridge(tmp_path, sandbox), SandboxClient(sandbox.url)
    token = (await omnibridge(tmp_path, "bots", "create", "helper", "--json")).json["token"]
    bot = PollingBot(bridge.url, token)
    polling = asyncio.create_task(bot.run())
    try:
        await bridge.start(f"{point}/SendToParty:2" if point == "response_to_settle" else f"{point}:2")
        await hub.control(webhook_url=f"{bridge.url}/webhooks/rocketchat/main", http_timeout_ms=100)
        visitor = Visitor(hub, "Vera")
        await visitor.open_room()
        await visitor.say("one")
        died = await bridge.died(20)
        await bridge.start()
        await visitor.wait_for("bot", 1, timeout_ms=20_000)  # the hub may have to tell us of it again, and is late then
        await visitor.say("two")
        said = await visitor.wait_for("bot", 2, timeout_ms=20_000)
        await asyncio.wait_for(hub.settled(), 30)
    finally:
        polling.cancel()
        await asyncio.gather(polling, return_exceptions=True)
        await bridge.stop()
        await hub.aclose()
        await sandbox.stop()

    assert died
    assert [each["text"] for each in said] == ["pong one", "pong two"]
    texts = [each["message"]["text"] for each in bot.taken]
    assert texts == ["/start", "one", "two"]
    assert [each["update_id"] for each in bot.taken] == [1, 2, 3]


async def test_s3_36_and_37_token_is_shown_once_rotated_revoked_and_never_written(tmp_path: Path) -> None:
    sandbox = await start(SandboxOptions())
    bridge = Bridge(tmp_path, sandbox)
    try:
        before = await omnibridge(tmp_path, "bots", "create", "helper")  # without a server
        await bridge.start()
        wrong = await omnibridge(tmp_path, "bots", "create", "nobody")
        first = before.out.strip()
        async with aiohttp.ClientSession() as session:

            async def status(token: str, method: str = "getMe", **form: str) -> int:
                async with session.post(f"{bridge.url}/bot{token}/{method}", data=form) as answer:
                    await answer.read()
                    return answer.status

            assert await status(first) == 200
            async with session.get(
                f"{bridge.url}/bot/getMe", headers={"Authorization": f"Bearer {first}"}
            ) as by_header:
                assert (await by_header.json())["result"]["username"] == "helper_bot"
            assert await status(first, "noSuch") == 404
            assert await status(first, "sendMessage", chat_id="x", text=first) == 400
            assert await status(first, "setWebhook", url=f"http://127.0.0.1:9/{first}") == 200
            rotated = await omnibridge(tmp_path, "bots", "rotate", "helper", "--json")
            second = rotated.json["token"]
            assert (await status(first), await status(second)) == (401, 200)
            paused = await omnibridge(tmp_path, "bots", "pause", "helper")
            listed = await omnibridge(tmp_path, "bots", "list")
            assert (await omnibridge(tmp_path, "bots", "revoke", "helper")).code == 0
            assert await status(second) == 401
            async with session.get(f"{bridge.url}/metrics") as answer:
                metrics = await answer.text()
    finally:
        await bridge.stop()
        await sandbox.stop()

    assert (wrong.code, paused.code) == (2, 0)
    assert "helper  paused" in listed.out
    assert 'method="getMe",status="401"' in metrics
    kept = b"".join(each.read_bytes() for each in tmp_path.glob("test.db*") if each.is_file())
    for secret in (each.partition(":")[2] for each in (first, second)):
        assert secret not in bridge.log()
        assert secret not in metrics
        assert secret not in listed.out
    assert second.partition(":")[2].encode() not in kept  # the first is in it: as the address of a webhook
    assert json.loads(rotated.out)["connection"] == "helper"


async def test_s3_30_and_51_operator_says_what_a_bot_may_and_where_it_is_called(tmp_path: Path) -> None:
    """Without a server, and by one that runs."""
    sandbox = await start(SandboxOptions())
    bridge = Bridge(tmp_path, sandbox)
    try:
        made = await omnibridge(tmp_path, "bots", "create", "helper", "--capability", "messages", "--json")
        unknown = await omnibridge(tmp_path, "bots", "allow", "helper", "flying")
        (tmp_path / "no.pem").write_text("no certificate", "utf-8")
        url = "https://127.0.0.1:9/hook"
        wrong = await omnibridge(
            tmp_path, "bots", "set-webhook", "helper", url, "--certificate", str(tmp_path / "no.pem")
        )
        await bridge.start()
        done = await omnibridge(tmp_path, "bots", "set-webhook", "helper", url, "--interaction-url", f"{url}/press")
        allowed = await omnibridge(tmp_path, "bots", "allow", "helper", "messages", "interactions", "--json")
        retried = await omnibridge(tmp_path, "bots", "retry", "helper")
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{bridge.url}/bot{made.json['token']}/getWebhookInfo") as answer:
                info = (await answer.json())["result"]
        listed = await omnibridge(tmp_path, "bots", "list", "--json")
    finally:
        await bridge.stop()
        await sandbox.stop()

    assert (unknown.code, wrong.code, done.code, allowed.json, retried.code) == (2, 2, 0, {"allowed": True}, 1)
    assert "messages, commands, interactions, edits, files" in unknown.err
    assert "PEM" in wrong.err
    assert (info["url"], info["interaction_url"]) == (url, f"{url}/press")
    bot = listed.json["bots"][0]
    assert (bot["capabilities"], bot["given_up"]) == ('["interactions","messages"]', 0)
