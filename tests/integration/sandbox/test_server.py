"""Starting and ending: the command's one line of JSON, simulators by entry point, stable accounts."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Any

import msgspec
import pytest
from starlette.applications import Starlette

from omnibridge.sandbox import server
from omnibridge.sandbox.server import SandboxOptions, start
from omnibridge.sandbox.visitor import SandboxClient, VisitorClient

from .conftest import Hub, Start


class Point:
    """As importlib.metadata's entry point, as far as the sandbox looks."""

    def __init__(self, name: str, made: Any) -> None:
        self.name, self._made = name, made

    def load(self) -> Any:
        def create_simulator() -> Any:
            if isinstance(self._made, Exception):
                raise self._made
            return self._made

        return create_simulator


async def test_broken_simulator_is_named_and_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    points = [Point("works", Starlette()), Point("broken", ValueError("no model"))]
    monkeypatch.setattr(server, "entry_points", lambda group: points)

    running = await start(SandboxOptions())
    await running.stop()

    assert running.description["works_url"].startswith("http://127.0.0.1:")
    assert running.description["broken_url"] is None
    assert "'broken' is left out: no model" in capsys.readouterr().err


async def test_command_prints_one_line_and_ends_on_sigterm() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "omnibridge", "sandbox", "--json", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    described = msgspec.json.decode(await process.stdout.readline())
    process.send_signal(signal.SIGTERM)
    rest, _ = await process.communicate()

    assert (rest, process.returncode) == (b"", 0)
    assert {"url", "admin", "service_account", "bot_account", "agent_account", "webhook_token"} <= set(described)


async def test_long_poll_ends_when_the_hub_stops() -> None:
    running = await start(SandboxOptions(simulators=False))
    client = SandboxClient(running.url)
    visitor = VisitorClient(client)
    await visitor.open_room()
    waiting = asyncio.create_task(visitor.wait_for("agent", 1, timeout_ms=60_000))
    await client.call("GET", "/api/info")
    await running.stop()

    # Answered with what there is, or refused when the request came after the socket was closed.
    with pytest.raises((TimeoutError, OSError)):
        await waiting
    await client.aclose()


async def test_user_ids_are_stable_and_tokens_are_not(start_hub: Start) -> None:
    one, other = [(await start_hub()).running.description["bot_account"] for _ in range(2)]

    assert one["user_id"] == other["user_id"] == "botId"
    assert one["auth_token"] != other["auth_token"]


async def test_department_to_begin_with(start_hub: Start) -> None:
    hub = await start_hub(department="Support")
    visitor = await hub.visitor(department="Support")

    found = await hub.relay.get("livechat/department")

    assert [each["name"] for each in found["departments"]] == ["Support"]
    room = (await hub.relay.get("rooms.info", roomId=visitor.rid))["room"]
    assert room["departmentId"] == found["departments"][0]["_id"]


async def test_custom_fields_go_where_they_are_declared(hub: Hub) -> None:
    await hub.client.control(custom_fields={"case": "room", "tier": "visitor"})
    visitor = await hub.visitor()

    async def write(key: str) -> dict[str, Any]:
        body = {"token": visitor.token, "key": key, "value": "1", "overwrite": True}
        return await hub.client.call("POST", "/api/v1/livechat/custom.field", body)

    assert [(await write(key)).get("error") for key in ("case", "tier", "mood")] == [None, None, "invalid-custom-field"]
    await visitor.say("hello")
    assert await hub.client.settled()
    body = hub.receiver.last("Message")
    assert (body["customFields"], body["visitor"]["customFields"]) == ({"case": "1"}, {"tier": "1"})
