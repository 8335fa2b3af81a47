"""An external system pushes who serves: tokens, scopes, keys, bodies, the audit, and what becomes of the room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio

from omnibridge.operator.reading import find_conversation
from omnibridge.operator.replay import Replay
from omnibridge.operator.trace import time_line
from omnibridge.storage import api_tokens
from tests.integration.assignment.conftest import Decided, MakeDecided

QUEUE = 'default = "queue"'


@pytest_asyncio.fixture
async def world(make_decided: MakeDecided) -> AsyncIterator[Decided]:
    yield await make_decided(rules=QUEUE, agents={"0055": "alice", "0066": "bob"})


async def test_pushed_agent_serves_and_is_replaced_by_the_next(world: Decided) -> None:
    token, visitor = await world.token(), await world.visitor()
    path = f"/api/v1/conversations/{visitor.rid}/assignment"
    await world.until(visitor.rid, "sends new conversations")
    status, answer = await world.push(visitor.rid, "0055", token, cause="skill 12", name="Ann\x1b[31m")
    assert (status, answer["status"], answer["conversation"]) == (202, "accepted", visitor.rid)
    await world.served(visitor.rid, "alice")
    async with asyncio.timeout(30):  # what is committed is answered a moment later
        while (seen := (await world.request("GET", path, token))[1])["stage"] != "served":
            await asyncio.sleep(0.02)
    assert (seen["external_id"], seen["served_by"]) == ("0055", "alice")

    assert (await world.push(visitor.rid, "0066", token))[0] == 202
    await world.served(visitor.rid, "bob")
    await world.until(visitor.rid, "bob took over")
    await world.quiet()
    assert (await world.request("GET", path, token))[1]["external_id"] == "0066"
    kinds = [row[0] for row in world.rows("SELECT kind FROM events ORDER BY id")]
    at = len(kinds) - kinds[::-1].index("AgentUnassigned")
    assert kinds[at] == "AgentAssigned"  # alice leaves, bob comes
    assert world.rows("SELECT status, detail FROM api_audit WHERE action = 'assignment POST'") == [
        (202, "crm:0055"),
        (202, "crm:0066"),
    ]
    database = world.node.service._database
    assert database
    assert Replay(database.reader).run().is_clean


async def test_refusals_are_problem_documents_and_change_nothing(world: Decided) -> None:
    token, reads, other = await world.token(), await world.token("read"), await world.token(system="erp")
    away = await world.token(workspace="elsewhere")
    visitor = await world.visitor()
    await world.until(visitor.rid, "sends new conversations")
    path = f"/api/v1/conversations/{visitor.rid}/assignment"
    forged = token[:-1] + ("A" if token[-1] != "A" else "B")
    for given, status in (("", 401), (forged, 401), (reads, 403), (other, 403), (away, 404)):
        found, answer = await world.push(visitor.rid, "0055", given)
        assert (found, answer["status"], answer["type"]) == (status, status, "about:blank")
        assert token not in str(answer)
    for body, status in (
        ({"external_system": "crm"}, 422),
        ({"external_system": "crm", "external_id": 55}, 422),
        ({"external_system": "crm", "external_id": "a\x00b"}, 422),
        ({"external_system": "CRM!", "external_id": "0055"}, 422),
        ({"external_system": "crm", "external_id": "0055", "avatar_url": "javascript:x"}, 422),
        ([], 400),
    ):
        assert (await world.request("POST", path, token, body))[0] == status, body
    assert (await world.push("no-such-room", "0055", token))[0] == 404
    assert (await world.request("DELETE", path, token))[0] == 405
    assert (await world.push(visitor.rid, "0055", token, key="k" * 201))[0] == 400
    await world.quiet()

    assert (await world.room(visitor.rid))["served_by"] is None
    assert world.rows("SELECT count(*) FROM observations WHERE source = 'api'") == [(0,)]
    statuses = sorted(row[0] for row in world.rows("SELECT status FROM api_audit"))
    assert statuses == [400, 400, 403, 403, 404, 404, 405, 422, 422, 422, 422, 422]


async def test_revoked_token_is_refused(world: Decided) -> None:
    token, visitor = await world.token(), await world.visitor()
    await world.until(visitor.rid, "sends new conversations")
    database = world.node.service._database
    assert database
    identity = token.split("_")[1]
    await database.writer.submit(lambda cursor: api_tokens.revoke(cursor, identity, 5))

    assert (await world.push(visitor.rid, "0055", token))[0] == 401
    assert token.encode() not in b"".join(bytes(row[0]) for row in world.rows("SELECT hash FROM api_tokens"))


async def test_idempotency_key_is_kept_over_a_restart(world: Decided) -> None:
    token, visitor = await world.token(), await world.visitor()
    await world.until(visitor.rid, "sends new conversations")
    first = await world.push(visitor.rid, "0055", token, key="order-1")
    at_once = await asyncio.gather(*(world.push(visitor.rid, "0066", token, key="order-2") for _ in range(8)))
    await world.quiet()
    await world.restart()
    await world.quiet()

    assert first[0] == 202
    assert await world.push(visitor.rid, "0055", token, key="order-1") == first
    assert [each for each in at_once if each != at_once[0]] == []
    assert (await world.push(visitor.rid, "0066", token, key="order-1"))[0] == 422
    assert (await world.push("another-room", "0055", token, key="order-1"))[0] == 422
    assert world.rows("SELECT count(*) FROM events WHERE kind = 'AssignmentRequested'") == [(2,)]


async def test_same_key_of_another_token_is_another_key(world: Decided) -> None:
    token, second, visitor = await world.token(), await world.token(), await world.visitor()
    await world.until(visitor.rid, "sends new conversations")
    first = await world.push(visitor.rid, "0055", token, key="k")

    assert (await world.push(visitor.rid, "0055", second, key="k"))[1]["id"] != first[1]["id"]


async def test_closed_conversation_takes_nobody(world: Decided) -> None:
    token, visitor = await world.token(), await world.visitor()
    await world.until(visitor.rid, "sends new conversations")
    await visitor.close()
    await world.until(visitor.rid, "closed by")

    assert (await world.push(visitor.rid, "0055", token))[0] == 409


async def test_pushed_agent_takes_over_from_a_bot(make_decided: MakeDecided) -> None:
    world = await make_decided(bot=True, rules="")
    token, visitor = await world.token(), await world.visitor()
    await visitor.wait_event("assigned", "bot")
    await world.until(visitor.rid, "the bot serves")
    await world.push(visitor.rid, "unknown-id", token)
    await world.until(visitor.rid, "no user for crm:unknown-id (creation_off): the bot stays")
    await visitor.say("echo still there")
    await visitor.wait_for("bot", 1)
    await world.push(visitor.rid, "0055", token)
    await world.served(visitor.rid, "alice")


async def test_agent_who_cannot_take_it_leaves_the_one_who_serves(world: Decided) -> None:
    token, visitor = await world.token(), await world.visitor()
    await world.until(visitor.rid, "sends new conversations")
    await world.alice.take(visitor.rid)
    await world.until(visitor.rid, "alice took over")
    await world.hub.control(available={"bob": False})
    await world.push(visitor.rid, "0066", token)

    assert "offline: who serves goes on" in await world.until(visitor.rid, "the hub refused bob")
    assert (await world.room(visitor.rid))["served_by"] == "alice"


async def test_stray_visitors_are_requeued_and_counted(make_decided: MakeDecided) -> None:
    world = await make_decided(
        rules=QUEUE, agents={"0055": "alice", "0077": "proxy"}, assignment='only_by_decision = ["proxy"]'
    )
    visitor = await world.visitor()
    await world.alice.take(visitor.rid)
    await world.until(visitor.rid, "alice took over")
    wish = {"roomId": visitor.rid, "userId": world.sandbox.hub.by_name["proxy"].id}
    await world.relay.post("livechat/room.forward", wish)
    await world.until(visitor.rid, "proxy serves only by decision, and nobody decided it: back to the queue")
    await world.until(visitor.rid, "it is back in the queue")
    await world.quiet()
    counters = world.node.service.counters

    assert (await world.room(visitor.rid))["served_by"] is None
    assert counters.value("assignments_stray") == 1
    assert b"omnibridge_assignments_stray_total 1.0" in counters.exposition()
    await world.push(visitor.rid, "0077", await world.token())
    await world.served(visitor.rid, "proxy")
    await world.quiet()
    assert counters.value("assignments_stray") == 1


async def test_hub_that_gives_a_stray_visitor_straight_back_leads_to_people(make_decided: MakeDecided) -> None:
    world = await make_decided(
        rules=QUEUE,
        agents={"0055": "alice", "0066": "bob", "0077": "aaproxy"},
        assignment='only_by_decision = ["aaproxy"]',
    )
    await world.hub.control(available={"bot": False}, routing_method="Auto_Selection")
    visitor = await world.visitor()
    await world.until(visitor.rid, "it cannot go back to the queue (came-back): people are looked for")
    await world.served(visitor.rid, "alice")


async def test_s2_29_the_room_tells_the_external_agent_behind_the_user_who_serves(make_decided: MakeDecided) -> None:
    """In Rocket.Chat a bot user serves; who that is outside is in our answer and in the time line."""
    world = await make_decided(rules=QUEUE, agents={"0055": "bot"}, bot=True)
    token, visitor = await world.token(), await world.visitor()
    await world.until(visitor.rid, "sends new conversations")
    await world.push(visitor.rid, "0055", token, name="Ann Fox")
    await world.served(visitor.rid, "bot")
    await world.quiet()
    _, seen = await world.request("GET", f"/api/v1/conversations/{visitor.rid}/assignment", token)
    database = world.node.service._database
    assert database
    items = time_line(database.reader, *find_conversation(database.reader, visitor.rid))

    assert (await world.room(visitor.rid))["served_by"] == "bot"
    assert (seen["external_system"], seen["external_id"], seen["served_by"]) == ("crm", "0055", "bot")
    assert any("crm:0055" in each.text for each in items), [each.text for each in items]
