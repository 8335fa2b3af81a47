"""The webhook endpoint over a real socket: what is taken, what is refused, and that the next one works."""

from __future__ import annotations

import asyncio
import io
import json
from typing import Any

import aiohttp
import pytest

from tests.conftest import MakeWorld, World

START = {"_id": "r1", "type": "LivechatSessionStart", "visitor": {"_id": "v"}, "messages": []}


async def post(
    world: World, body: bytes, *, token: str | None = None, path: str = "main"
) -> tuple[int, dict[str, Any]]:
    headers = {"X-RocketChat-Livechat-Token": world.sandbox.description["webhook_token"] if token is None else token}
    url = f"{world.node.url}/webhooks/rocketchat/{path}"
    async with aiohttp.ClientSession() as session, session.post(url, data=io.BytesIO(body), headers=headers) as answer:
        text = await answer.text()
        return answer.status, json.loads(text) if answer.status != 200 else {"body": text}


async def test_bad_requests_are_refused_with_what_to_do(make_world: MakeWorld) -> None:
    world = await make_world()
    good = json.dumps(START).encode()
    deep = b'{"a":' + b"[" * 80 + b"]" * 80 + b"}"
    for body, token, path, status in [
        (good, "wrong", "main", 401),
        (good, "", "main", 401),
        (good, None, "elsewhere", 404),
        (b"not json", None, "main", 400),
        (b"[1]", None, "main", 400),
        (b"", None, "main", 400),
        (b'{"a": NaN}', None, "main", 400),
        (deep, None, "main", 413),
        (b'{"a":"' + b"x" * (17 * 1024 * 1024) + b'"}', None, "main", 413),
    ]:
        found, problem = await post(world, body, token=token, path=path)
        assert (found, problem["status"]) == (status, status)
        assert problem["detail"].endswith(".")
        assert "Traceback" not in str(problem)
    assert await post(world, good) == (200, {"body": "ok"})
    assert world.node.service.counters.value("intake_refused") == 9


@pytest.mark.parametrize(
    "body",
    [
        {"type": "LivechatSomethingNew", "_id": "r2", "x": [1]},
        {"type": "LeadCapture", "_id": "r2"},
        {"hello": "world"},
        {},
        {"type": "Message", "_id": "r2", "messages": [{"msg": "no id"}]},
        {"type": "Message"},
        {"type": 7, "_id": {"a": 1}, "messages": "no list"},
        {"type": "Message", "_id": "r2", "messages": {"a": 1}},
        {"type": "LivechatSession", "_id": "r2", "closedAt": "not a time"},
    ],
)
async def test_any_authenticated_object_is_kept(make_world: MakeWorld, body: dict[str, Any]) -> None:
    world = await make_world()

    assert (await post(world, json.dumps(body).encode()))[0] == 200
    await world.quiet()
    rows = world.rows("SELECT body, state FROM observations WHERE source = 'webhook'")
    assert [json.loads(each[0]) for each in rows] == [body]
    assert rows[0][1] in (1, 2, 3)
    assert (await post(world, json.dumps(START).encode()))[0] == 200


async def test_lone_surrogates_are_json_and_kept(make_world: MakeWorld) -> None:
    world = await make_world()

    assert (await post(world, b'{"type":"Message","_id":"r","messages":[{"_id":"m","msg":"\\ud800"}]}'))[0] == 200


async def test_health_and_metrics(make_world: MakeWorld) -> None:
    world = await make_world()
    visitor = await world.visitor()
    await visitor.say("echo hello")
    await visitor.wait_for("bot", 1)
    async with aiohttp.ClientSession() as session:
        for path, expected in [("livez", "ok"), ("readyz", "ok"), ("metrics", "omnibridge_decisions_total")]:
            async with session.get(f"{world.node.url}/{path}") as answer:
                text = await answer.text()
                assert (answer.status, expected in text) == (200, True)
    assert 'omnibridge_deliveries_done_total{command="SendToVisitor"} 1.0' in text


async def test_not_ready_says_why_while_the_hub_is_down(make_world: MakeWorld) -> None:
    """Webhooks are journalled meanwhile, and decided as soon as the bot user is known."""
    world = await make_world()
    await world.node.stop()
    config = world.folder / "omnibridge.toml"
    config.write_text(config.read_text().replace(world.hub.url, "http://127.0.0.1:9").replace("test.db", "fresh.db"))
    await world.restart()
    detail = ""
    async with aiohttp.ClientSession() as session, asyncio.timeout(30):
        while "bot" not in detail:  # before that it is starting
            async with session.get(f"{world.node.url}/readyz") as answer:
                assert answer.status == 503
                detail = (await answer.json())["detail"]
    assert (await post(world, json.dumps(START).encode()))[0] == 200
    assert world.rows("SELECT state FROM observations") == [(0,)]


async def test_second_service_on_the_same_database_is_refused(make_world: MakeWorld) -> None:
    from omnibridge.config_reader import load
    from omnibridge.errors import ConfigError
    from omnibridge.server import Node

    world = await make_world()
    with pytest.raises(ConfigError, match="in use by another"):
        await Node(load(world.folder / "omnibridge.toml", {})).start()


async def test_every_decision_can_be_made_again(make_world: MakeWorld) -> None:
    """From what is stored alone: the same bytes."""
    import msgspec

    from omnibridge.domain.conversation import Conversation
    from omnibridge.domain.directory import Directory
    from omnibridge.domain.stored_events import read_event
    from omnibridge.routing.decision import decode_decision, encode_decision, state_after
    from omnibridge.routing.router import route
    from omnibridge.routing.rules import RuleSet

    world = await make_world()
    visitor = await world.visitor()
    for n, text in enumerate(("menu", "1", "what", "where is my order A1")):
        await visitor.say(text)
        await visitor.wait_for("bot", n + 1)
    await visitor.close()
    await world.hub.settled()
    await world.quiet()
    snapshots = {row[0]: row[1] for row in world.rows("SELECT hash, body FROM snapshots")}
    state = Conversation("main", visitor.rid)
    rows = world.rows("SELECT data, at, rules_hash, directory_hash, decision FROM events ORDER BY id")
    for data, at, rules_hash, directory_hash, stored in rows:
        event = read_event(data)
        rules = msgspec.json.decode(snapshots[rules_hash], type=RuleSet)
        directory = msgspec.json.decode(snapshots[directory_hash], type=Directory)
        again = route(state, event, rules, directory, at)
        assert encode_decision(again, state) == stored
        assert state_after(state, decode_decision(stored)) == again.after
        state = again.after
    assert len(rows) > 10


async def test_history_of_a_session_event_is_stored_once(make_world: MakeWorld) -> None:
    """Idle lane and busy lane alike: the messages are events already, so their session's end only names them."""
    world = await make_world()
    said = [
        {"_id": f"m{n}", "rid": "r1", "msg": f"{n} " * 900, "ts": f"2026-11-21T10:00:0{n}.000Z", "u": {"_id": "v"}}
        for n in range(3)
    ]
    await post(world, json.dumps(START).encode())
    for each in said:
        await post(world, json.dumps({**START, "type": "Message", "messages": [each]}).encode())
    closing = json.dumps({**START, "type": "LivechatSession", "messages": said}).encode()
    await post(world, closing)
    await world.quiet()
    (kept,) = world.rows("SELECT body FROM observations WHERE kind = 'LivechatSession'")

    assert [each["_id"] for each in json.loads(kept[0])["messages"]] == ["m0", "m1", "m2"]
    assert len(kept[0]) < len(closing) / 10
    assert len(world.rows("SELECT 1 FROM events WHERE kind = 'MessagePosted' AND length(data) > 900")) == 3
