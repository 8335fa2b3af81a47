"""A world with the companion app, in which visitors and staff press what bots show."""

from __future__ import annotations

from typing import Any

import aiohttp

from omnibridge.rocketchat.app_client import APP_ID
from omnibridge.sandbox.visitor import Visitor
from tests.conftest import MakeWorld, World, until
from tests.unit.rocketchat.uikit_blocks import BLOCKS

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


async def with_app(make_world: MakeWorld, workspace: str = "", **options: Any) -> World:
    world = await make_world(workspace=f'app_secret = "{SECRET}"\n{workspace}', **options)
    await install(world)
    return world


async def install(world: World) -> None:
    await world.hub.control(app_url=f"{world.node.url}/webhooks/rocketchat-app/main", app_secret=SECRET)


async def post(url: str, body: Any, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session, session.post(url, json=body, headers=headers) as answer:
        kind = answer.headers.get("content-type", "")
        return answer.status, await answer.json(content_type=None) if "json" in kind else await answer.text()


async def shown_by_bot(world: World, visitor: Visitor, blocks: list[dict[str, Any]] = BLOCKS, **more: Any) -> str:
    """A message of the bot's user with blocks; its id."""
    bot = world.sandbox.description["bot_account"]
    headers = {"x-user-id": bot["user_id"], "x-auth-token": bot["auth_token"]}
    message = {"rid": visitor.rid, "msg": "Which one?", "blocks": blocks, **more}
    _, found = await post(f"{world.sandbox.url}/api/v1/chat.sendMessage", {"message": message}, headers)
    return str(found["message"]["_id"])


async def press(
    world: World, rid: str, message: str, action_id: str, value: Any, headers: dict[str, str], **payload: Any
) -> tuple[int, Any]:
    """As a client does (10.2); block ids only from the web client."""
    click = {
        "type": "blockAction", "actionId": action_id, "triggerId": f"trigger-{action_id}", "rid": rid, "mid": message,
        "container": {"type": "message", "id": message}, "payload": {"value": value, **payload},
    }  # fmt: skip
    return await post(f"{world.sandbox.url}/api/apps/ui.interaction/{APP_ID}", click, headers)


def as_visitor(visitor: Visitor) -> dict[str, str]:
    return {"x-visitor-token": visitor.token}


def as_alice(world: World) -> dict[str, str]:
    alice = world.sandbox.description["agent_account"]
    return {"x-user-id": alice["user_id"], "x-auth-token": alice["auth_token"]}


async def clicked(world: World, count: int = 1) -> None:
    """Until so many clicks were taken, and what follows is settled."""
    sql = "SELECT count(*) FROM observations WHERE source = 'app' AND kind = 'interaction' AND state > 0"
    await until(lambda: world.rows(sql)[0][0] >= count)
    await world.quiet()


def blocks_now(world: World, message: str) -> list[dict[str, Any]]:
    return list(world.sandbox.hub.messages[message].extras.get("blocks") or [])
