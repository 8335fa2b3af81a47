"""The companion app's endpoint over a real socket: what is taken, once, and what is refused."""

from __future__ import annotations

import io
import json
import time
from typing import Any

import aiohttp
import pytest

from omnibridge.connector.signing import read_secrets, signed_headers
from tests.conftest import MakeWorld, World, until
from tests.unit.rocketchat.envelopes import ALICE, BOB, envelope, message, room

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
OTHER = "whsec_b3RoZXItc2VjcmV0LW90aGVyLXNlY3JldC0zMjMyMzI="
WORKSPACE = f'app_secret = "{SECRET} {OTHER}"'


def signed(body: bytes, request_id: str = "e1", *, secret: str = SECRET, age_s: int = 0) -> dict[str, str]:
    return signed_headers(read_secrets(secret), request_id, int(time.time()) - age_s, body)


async def send(
    world: World, body: bytes, *, headers: dict[str, str] | None = None, path: str = "main", verb: str = "POST"
) -> tuple[int, dict[str, Any]]:
    url = f"{world.node.url}/webhooks/rocketchat-app/{path}"
    given = signed(body) if headers is None else headers
    async with (
        aiohttp.ClientSession() as session,
        session.request(verb, url, data=io.BytesIO(body), headers=given) as answer,
    ):
        text = await answer.text()
        return answer.status, json.loads(text) if text != "ok" else {}


async def test_s2_26_forged_old_and_unreadable_requests_are_refused_with_what_to_do(make_world: MakeWorld) -> None:
    world = await make_world(workspace=WORKSPACE)
    good, stranger = envelope("room.started"), "whsec_c3RyYW5nZXItc3RyYW5nZXItc3RyYW5nZXItMzI="
    for body, headers, path, verb, status in [
        (good, signed(good, secret=stranger), "main", "POST", 401),
        (good, signed(good + b" "), "main", "POST", 401),
        (good, {**signed(good), "webhook-id": "other"}, "main", "POST", 401),
        (good, signed(good, age_s=301), "main", "POST", 401),
        (good, signed(good, age_s=-302), "main", "POST", 401),
        (good, {}, "main", "POST", 401),
        (good, signed(good, secret=stranger), "main/view", "POST", 401),
        (good, None, "elsewhere", "POST", 404),
        (good, None, "main", "PUT", 405),
        (b"not json", None, "main", "POST", 400),
        (b"[1]", None, "main", "POST", 400),
        (b'{"a":' + b"[" * 80 + b"]" * 80 + b"}", None, "main", "POST", 413),
    ]:
        found, problem = await send(world, body, headers=headers, path=path, verb=verb)
        assert (found, problem["status"]) == (status, status), body[:20]
        assert problem["detail"].endswith(".")
    assert world.rows("SELECT 1 FROM observations WHERE source = 'app'") == []
    assert (await send(world, good))[0] == 200
    assert (await send(world, good, headers=signed(good, "e2", secret=OTHER)))[0] == 200


async def test_without_a_secret_there_is_no_app(make_world: MakeWorld) -> None:
    world = await make_world()

    assert (await send(world, envelope("room.started")))[0] == 404


async def test_an_event_is_journalled_once_by_its_id(make_world: MakeWorld) -> None:
    world = await make_world(workspace=WORKSPACE, webhook=False)
    body = envelope("interaction", user=ALICE, action_id="a", message=message("m1", "Choose", u=BOB))
    assert [(await send(world, body))[0] for _ in range(3)] == [200] * 3
    await world.restart()
    assert (await send(world, body))[0] == 200
    await world.quiet()

    rows = world.rows("SELECT kind, room, body, state, note FROM observations WHERE source = 'app'")
    assert len(rows) == 1
    assert (rows[0][0], rows[0][1], bytes(rows[0][2])) == ("interaction", "r1", body)
    assert rows[0][4] == "a click in a conversation that is closed, or that we do not know"


@pytest.mark.parametrize("kind", ["guest.saved", "department.disabled", "something.new", ""])
async def test_what_leads_to_nothing_is_kept(make_world: MakeWorld, kind: str) -> None:
    world = await make_world(workspace=WORKSPACE)
    assert (await send(world, envelope(kind, rid="")))[0] == 200
    await world.quiet()

    assert world.rows("SELECT kind, state FROM observations WHERE source = 'app'") == [(kind, 2)]


async def test_events_given_up_lead_to_a_comparison(make_world: MakeWorld) -> None:
    world = await make_world(workspace=WORKSPACE, engine="reconcile_every_s = 0")
    await world.compared()
    before = world.node.service.counters.value("reconcile_runs")
    assert (await send(world, envelope("outbox.dropped", rid="", count=3)))[0] == 200
    await until(lambda: world.node.service.counters.value("reconcile_runs") > before)

    assert world.node.service.counters.value("app_events_dropped") == 1


async def test_s2_14_and_17_app_and_webhook_give_one_history(make_world: MakeWorld) -> None:
    """The bot gets each message once, whoever told of it."""
    world = await make_world(workspace=WORKSPACE)
    visitor = await world.visitor()
    said = await visitor.say("hello")
    await world.answered()
    told = room(visitor.rid, departmentId="")
    words = message(said, "hello", rid=visitor.rid)
    bot = {"_id": world.sandbox.description["bot_account"]["user_id"], "username": "bot"}
    for number, body in enumerate(
        [
            envelope("room.started", rid=visitor.rid, room=told),
            envelope("agent.assigned", rid=visitor.rid, room=told, agent=bot),
            envelope("message.posted", rid=visitor.rid, room=told, message=words),
        ]
    ):
        assert (await send(world, body, headers=signed(body, f"n{number}")))[0] == 200
    await world.quiet()

    kinds = [each for (each,) in world.rows("SELECT kind FROM events ORDER BY id")]
    assert [kinds.count(each) for each in ("ConversationStarted", "AgentAssigned")] == [1, 1]
    posted = world.rows("SELECT data FROM events WHERE kind = 'MessagePosted'")
    assert [json.loads(each)["message_id"] for (each,) in posted] == [said]
    assert len(await world.bot.turns()) == 1


async def test_s2_15_the_app_alone_is_enough_for_a_conversation(make_world: MakeWorld) -> None:
    """No webhook and no realtime connection: the bot hears the visitor, and people take over."""
    world = await make_world(workspace=WORKSPACE, webhook=False, engine="reconcile_every_s = 0")
    await world.compared()
    visitor = await world.visitor()
    told = room(visitor.rid, departmentId="")
    said = await visitor.say("hello")
    left = {"_id": world.sandbox.description["bot_account"]["user_id"], "username": "bot"}
    for number, body in enumerate(
        [
            envelope("room.started", rid=visitor.rid, room=told),
            envelope("agent.assigned", rid=visitor.rid, room=told, agent=left),
            envelope("message.posted", rid=visitor.rid, room=told, message=message(said, "hello", rid=visitor.rid)),
        ]
    ):
        assert (await send(world, body, headers=signed(body, f"n{number}")))[0] == 200
    await world.answered()
    assert [each["message"] for each in await world.bot.turns()] == ["hello"]

    alice = {"_id": world.alice.user_id, "username": "alice"}
    await world.relay.post("livechat/room.forward", {"roomId": visitor.rid, "userId": world.alice.user_id})
    # Told in the wrong order: the read of the room decides.
    for number, body in enumerate(
        [
            envelope("agent.assigned", rid=visitor.rid, room=told, agent=alice),
            envelope("agent.unassigned", rid=visitor.rid, room=told, agent=left),
        ]
    ):
        assert (await send(world, body, headers=signed(body, f"s{number}")))[0] == 200
    await world.quiet()

    service = world.rows("SELECT kind, data FROM events WHERE kind IN ('AgentAssigned', 'AgentUnassigned') ORDER BY id")
    assert [(kind, json.loads(data)["agent"]["username"]) for kind, data in service][-2:] == [
        ("AgentUnassigned", "bot"),
        ("AgentAssigned", "alice"),
    ]


async def test_s1_15_view_for_a_room(make_world: MakeWorld) -> None:
    world = await make_world(workspace=WORKSPACE)
    visitor = await world.visitor()
    await visitor.say("hello")
    await world.answered()
    ask = json.dumps({"app": "x", "room": visitor.rid, "user": ALICE}).encode()
    status, view = await send(world, ask, path="main/view")

    assert (status, view["title"]) == (200, "omnibridge")
    assert {each["text"]["type"] for each in view["blocks"]} == {"plain_text"}
    assert view["blocks"][0]["text"]["text"] == "In control: helper"
    for body in (b'{"room": "unknown"}', b'{"room": 7}', b"{}"):
        assert (await send(world, body, path="main/view"))[0] == 404
