"""Availability of agents over the API and back, each way within five seconds, through failures and a restart."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import aiohttp
import pytest

from omnibridge.sandbox.router_simulator import RouterSimulator
from omnibridge.sandbox.server import Socket
from omnibridge.storage import api_tokens
from omnibridge.storage.api_tokens import ApiToken
from tests.acceptance.test_agents import with_provisioner
from tests.acceptance.test_personas import SECRET
from tests.command_line import omnibridge
from tests.conftest import MakeWorld, World

WITHIN_S = 5.0


async def within(look: Callable[[], bool]) -> None:
    """Until it is so; fails after WITHIN_S."""
    async with asyncio.timeout(WITHIN_S):
        while not look():
            await asyncio.sleep(0.02)


async def token_of(world: World, scope: str) -> str:
    identity, token, digest = api_tokens.new_token()
    row = ApiToken(identity, "router", scope, "main", "crm", 1, "test")
    database = world.node.service._database
    assert database
    await database.writer.submit(lambda cursor: api_tokens.add(cursor, row, digest))
    return token


async def call(world: World, token: str, method: str = "POST", **body: object) -> int:
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session:
        url = f"{world.node.url}/api/v1/agents/presence"
        async with session.request(method, url, json=body) as answer:
            return answer.status


async def test_presence_goes_both_ways_within_five_seconds_and_is_told_again_after_a_start(
    make_world: MakeWorld,
) -> None:
    world = await make_world()
    router = RouterSimulator(SECRET)
    outside = Socket(router.app(), "127.0.0.1", 0)
    await outside.start()
    try:
        told = f'presence_url = "{outside.url}/"\npresence_secret = "{SECRET}"'
        await with_provisioner(world, told)
        linked = await omnibridge(world.folder, "agents", "link", "crm", "1", "alice")
        made = await omnibridge(world.folder, "tokens", "create", "router", "--system", "crm", "--scope", "presence")
        token, alice = made.out.strip(), world.sandbox.hub.by_name["alice"]
        await within(lambda: [each["available"] for each in router.presence] == [True])  # as it is at first

        began = time.monotonic()
        away = await call(world, token, external_system="crm", external_id="1", available=False)
        assert (away, alice.status_livechat) == (200, "not-available")
        assert time.monotonic() - began < WITHIN_S

        router.fail_next = 1
        await world.alice.set_available(True)
        await within(lambda: len(router.presence) == 2)
        heard = router.presence[1]
        await world.restart()
        await within(lambda: len(router.presence) == 3)
    finally:
        await outside.stop()

    assert linked.code == 0
    assert {key: heard[key] for key in ("type", "workspace", "external_system", "external_id", "available")} == {
        "type": "agent.presence", "workspace": "main", "external_system": "crm", "external_id": "1", "available": True,
    }  # fmt: skip
    assert len({each["id"] for each in router.presence}) == 3 and router.presence[2]["available"]


async def test_refusals_say_why_and_leave_an_audit_row(make_world: MakeWorld) -> None:
    world = await make_world()
    made = [await token_of(world, scope) for scope in ("presence", "assign")]
    ann = {"external_system": "crm", "external_id": "1", "available": True}
    assert await call(world, "obt_0_0", **ann) == 401
    assert await call(world, made[1], **ann) == 403
    assert await call(world, made[0], **{**ann, "external_system": "erp"}) == 403
    assert await call(world, made[0], **ann) == 404
    assert await call(world, made[0], **{**ann, "available": "yes"}) == 422
    assert await call(world, made[0], "PUT", **ann) == 405

    link = b'{"do":"Link","by":"me","workspace":"main","system":"crm","external_id":"1","username":"alice"}'
    await world.node.service.commands()["agents"](link)
    await world.hub.control(fail_next=[{"path": "livechat/agent.status", "status": 503, "count": 1}])
    assert await call(world, made[0], **ann) == 503
    assert await call(world, made[0], **ann) == 200
    statuses = world.rows("SELECT status, action, detail FROM api_audit ORDER BY id")
    assert [row[0] for row in statuses] == [403, 403, 404, 422, 405, 503, 200]
    assert tuple(statuses[-1][1:]) == ("presence POST", "crm:1 available")


@pytest.mark.parametrize("wrong", ['presence_url = "http://x.test/"', 'presence_url = "no address"'])
async def test_url_needs_a_secret(make_world: MakeWorld, wrong: str) -> None:
    world = await make_world()
    file = world.folder / "omnibridge.toml"
    file.write_text(file.read_text("utf-8") + f"\n[agents]\n{wrong}\n", "utf-8")
    done = await omnibridge(world.folder, "config", "check")

    assert done.code == 2 and "presence_url" in done.err
