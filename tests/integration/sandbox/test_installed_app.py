"""The installed app of the sandbox: what it tells the bridge, clicks, and what the bridge may change through it."""

from __future__ import annotations

import json
import time
from typing import Any

import aiohttp
from standardwebhooks import Webhook

from omnibridge.connector.signing import read_secrets, signed_headers
from omnibridge.sandbox.installed_app import APP_ID
from omnibridge.sandbox.visitor import Visitor
from tests.conftest import MakeWorld, World, until

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
BUTTON = {"type": "button", "actionId": "buy", "value": "7", "text": {"type": "plain_text", "text": "Buy"}}
BLOCKS = [
    {"type": "section", "text": {"type": "plain_text", "text": "Choose"}, "accessory": BUTTON},
    {"type": "actions", "blockId": "b1", "elements": [BUTTON]},
]


async def installed(make_world: MakeWorld, **options: Any) -> World:
    world = await make_world(workspace=f'app_secret = "{SECRET}"', **options)
    await world.hub.control(app_url=f"{world.node.url}/webhooks/rocketchat-app/main", app_secret=SECRET)
    return world


async def call(world: World, path: str, body: Any, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
    url = f"{world.sandbox.url}/api/apps/{path}"
    async with aiohttp.ClientSession() as session, session.post(url, json=body, headers=headers) as answer:
        return answer.status, await answer.json()


async def ask(world: World, asked: dict[str, Any], request_id: str, secret: str = SECRET) -> tuple[int, dict[str, Any]]:
    payload = json.dumps({"app": APP_ID, **asked})
    headers = signed_headers(read_secrets(secret), request_id, int(time.time()), payload.encode())
    return await call(world, f"public/{APP_ID}/bridge", {"payload": payload}, headers)


async def offered(world: World, visitor: Visitor) -> str:
    """A message of the bot with buttons; its id."""
    bot = world.sandbox.description["bot_account"]
    headers = {"x-user-id": bot["user_id"], "x-auth-token": bot["auth_token"]}
    url = f"{world.sandbox.url}/api/v1/chat.sendMessage"
    message = {"message": {"rid": visitor.rid, "msg": "Choose", "blocks": BLOCKS}}
    async with aiohttp.ClientSession() as session, session.post(url, json=message, headers=headers) as answer:
        return str((await answer.json())["message"]["_id"])


async def taken(world: World, *kinds: str) -> list[dict[str, Any]]:
    sent = world.sandbox.hub.app.sent
    await until(lambda: set(kinds) <= {each["type"] for each in sent})
    await world.quiet()
    return sent


async def test_s2_14_and_15_the_app_alone_tells_of_a_whole_conversation(make_world: MakeWorld) -> None:
    world = await installed(make_world, webhook=False, engine="reconcile_every_s = 0")
    await world.compared()
    visitor = await world.visitor()
    await visitor.say("hello")
    await world.answered()
    await world.relay.post("livechat/room.forward", {"roomId": visitor.rid, "userId": world.alice.user_id})
    await taken(world, "room.transferred")
    await world.alice.say(visitor.rid, "I am here")
    await world.alice.close(visitor.rid)
    await taken(world, "room.closed")

    kinds = [kind for (kind,) in world.rows("SELECT kind FROM events ORDER BY id")]
    assert [each for each in kinds if each.startswith(("Conversation", "Agent"))] == [
        "ConversationStarted", "AgentAssigned", "AgentUnassigned", "AgentAssigned", "ConversationClosed",
    ]  # fmt: skip
    assert kinds.count("MessagePosted") == 2
    assert world.rows("SELECT note FROM observations WHERE state = 3") == []
    assert visitor.token not in json.dumps(world.sandbox.hub.app.sent)


async def test_events_wait_for_the_bridge_and_come_in_order(make_world: MakeWorld) -> None:
    world = await installed(make_world, webhook=False)
    visitor = await world.visitor()
    await world.node.stop()
    said = [await visitor.say(f"words {number}") for number in range(5)]
    path, port = world.folder / "omnibridge.toml", world.node.url.rpartition(":")[2]
    path.write_text(path.read_text("utf-8").replace("port = 0", f"port = {port}"), "utf-8")
    await world.begin()
    await until(lambda: len([each for each in world.sandbox.hub.app.sent if each["type"] == "message.posted"]) >= 5)

    rows = world.rows("SELECT body FROM observations WHERE source = 'app' AND kind = 'message.posted' ORDER BY id")
    told = [json.loads(body)["data"]["message"] for (body,) in rows]
    assert [each["_id"] for each in told if each["from_visitor"]] == said


async def test_s3_03_clicks_of_visitors_and_users_reach_the_bridge(make_world: MakeWorld) -> None:
    world = await installed(make_world)
    visitor = await world.visitor()
    await world.bot_started(0)
    message = await offered(world, visitor)
    click = {
        "type": "blockAction", "actionId": "buy", "triggerId": "t1", "payload": {"blockId": "b1", "value": "7"},
        "container": {"type": "message", "id": message}, "mid": message, "rid": visitor.rid,
    }  # fmt: skip
    path = f"ui.interaction/{APP_ID}"
    alice = world.sandbox.description["agent_account"]
    as_alice = {"x-user-id": alice["user_id"], "x-auth-token": alice["auth_token"]}
    assert await call(world, path, click, {"x-visitor-token": visitor.token}) == (200, {"success": True})
    assert await call(world, path, click, as_alice) == (200, {"success": True})
    assert (await call(world, path, click, {}))[0] == 401
    assert (await call(world, path, click, {"x-visitor-token": "stranger"}))[0] == 401
    other = await world.visitor("Other")
    assert (await call(world, path, click, {"x-visitor-token": other.token}))[0] == 403
    assert (await call(world, "ui.interaction/other", click, as_alice))[0] == 404
    clicks = [each for each in await taken(world, "interaction") if each["type"] == "interaction"]
    await until(lambda: len([each for each in world.sandbox.hub.app.sent if each["type"] == "interaction"]) == 2)

    first = clicks[0]["data"]
    assert (first["visitor"]["username"], first["action_id"], first["block_id"], first["value"]) == (
        (await world.room(visitor.rid))["visitor"], "buy", "b1", "7",
    )  # fmt: skip
    assert first["message"]["blocks"] == BLOCKS
    texts = [each["text"] for each in (await world.room(visitor.rid))["messages"] if each["kind"] == "visitor"]
    assert texts == [], "nothing is printed in the room for a click"


async def test_the_bridge_changes_messages_through_the_app_and_is_not_told_of_it(make_world: MakeWorld) -> None:
    world = await installed(make_world)
    visitor = await world.visitor()
    message = await offered(world, visitor)
    gone = {"action": "message.remove_buttons", "room": visitor.rid, "message": message}
    assert await ask(world, gone, "a") == (200, {"message": message})
    stored = world.sandbox.hub.messages[message]
    assert stored.extras["blocks"] == [{"type": "section", "text": {"type": "plain_text", "text": "Choose"}}]
    update = {**gone, "action": "message.update", "text": "Bought", "blocks": BLOCKS}
    assert (await ask(world, update, "b"))[0] == 200
    assert (stored.text, stored.extras["blocks"][1]["elements"][0]["appId"]) == ("Bought", APP_ID)

    assert (await ask(world, update, "b"))[0] == 409
    assert (await ask(world, update, "c", "whsec_c3RyYW5nZXItc3RyYW5nZXItc3RyYW5nZXItMzI="))[0] == 401
    assert (await ask(world, {**update, "room": "other"}, "d"))[0] == 404
    assert (await ask(world, {**update, "blocks": "x"}, "e"))[0] == 400
    assert (await ask(world, {"action": "ping"}, "f"))[0] == 200
    await taken(world, "message.posted")
    assert [each for each in world.sandbox.hub.app.sent if each["type"] == "message.updated"] == []


async def test_s1_14_the_bar_and_what_leaves_are_as_the_app_makes_them(make_world: MakeWorld) -> None:
    world = await installed(make_world)
    visitor = await world.visitor()
    await visitor.say("hello")
    await world.answered()
    alice = world.sandbox.description["agent_account"]
    headers = {"x-user-id": alice["user_id"], "x-auth-token": alice["auth_token"]}
    press = {"type": "actionButton", "actionId": "omnibridge-assist", "triggerId": "t", "rid": visitor.rid}
    status, opened = await call(world, f"ui.interaction/{APP_ID}", press, headers)

    assert (status, opened["type"]) == (200, "contextual_bar.open")
    assert opened["view"]["blocks"][0]["text"]["text"] == "In control: helper"
    body = b'{"a": 1}'
    stamp = str(int(time.time()))
    given = world.sandbox.hub.app.sign("x", stamp, body)
    Webhook(SECRET).verify(body, {"webhook-id": "x", "webhook-timestamp": stamp, "webhook-signature": given})


async def test_without_the_app_there_is_nothing(make_world: MakeWorld) -> None:
    world = await make_world()
    visitor = await world.visitor()

    assert (await call(world, f"ui.interaction/{APP_ID}", {"rid": visitor.rid}, {}))[0] == 404
    assert (await ask(world, {"action": "ping"}, "a"))[0] == 404
