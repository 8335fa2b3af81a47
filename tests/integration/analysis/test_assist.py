"""What agents see of findings: rows in the companion app's bar, and the assist page with its stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest

from omnibridge.connector.analysis import Intent, Label, Note, Reference, SuggestedReply
from omnibridge.storage import api_tokens, findings
from omnibridge.storage.api_tokens import ApiToken
from omnibridge.web import assist_page
from omnibridge.web.assist import line_of
from omnibridge.web.assist_tokens import Ticket, tickets
from tests.conftest import MakeWorld, World, until
from tests.integration.test_app_events import WORKSPACE, send
from tests.toys import analyser
from tests.unit.rocketchat.envelopes import ALICE

Streamed = list[tuple[str, Any]]


async def api_token(world: World, *scopes: str) -> str:
    identity, token, digest = api_tokens.new_token()
    row = ApiToken(identity, "desk", " ".join(scopes), "main", "crm", 1, "test")
    database = world.node.service._database
    assert database
    await database.writer.submit(lambda cur: api_tokens.add(cur, row, digest))
    return token


async def ask(world: World, token: str, body: Any) -> tuple[int, dict[str, Any]]:
    url, headers = f"{world.node.url}/api/v1/assist-tokens", {"authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession() as session, session.post(url, json=body, headers=headers) as answer:
        return answer.status, await answer.json(content_type=None)


def ticket(world: World, room: str, lasts_ms: int = 60_000) -> str:
    service = world.node.service
    assert service._database
    return tickets.seal(service._database.secret, Ticket("main", room, "alice", service._clock.now_ms() + lasts_ms))


@asynccontextmanager
async def stream(world: World, room: str, token: str) -> AsyncIterator[tuple[int, Streamed]]:
    """(status, what came so far as (event, data)); a heartbeat is ("", text)."""
    url, headers = f"{world.node.url}/assist/main/{room}/stream", {"authorization": f"Bearer {token}"}
    came: Streamed = []
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:

        async def read() -> None:
            rest = b""
            async for chunk in answer.content.iter_any():
                *parts, rest = (rest + chunk).split(b"\n\n")
                for part in parts:
                    name, _, data = part.decode().partition("\ndata: ")
                    came.append((name.removeprefix("event: "), json.loads(data)) if data else ("", name))
            came.append(("over", None))

        task = asyncio.create_task(read()) if answer.status == 200 else None
        try:
            yield answer.status, came
        finally:
            if task:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


async def test_s1_14_bar_has_rows_of_findings_and_hostile_words_are_plain(make_world: MakeWorld) -> None:
    world = await make_world(connection=analyser(), workspace=WORKSPACE)
    visitor = await world.visitor()
    await visitor.say("*bold* <img src=x>\u202e [a](javascript:x)")
    await world.answered()
    body = json.dumps({"app": "x", "room": visitor.rid, "user": ALICE}).encode()
    status, view = await send(world, body, path="main/view")
    rows = [each["text"] for each in view["blocks"] if each["type"] == "section"]

    assert status == 200
    assert {each["type"] for each in rows} == {"plain_text"}
    assert [each["text"] for each in rows[3:]] == [
        "\u201c*bold* <img src=x>  [a](javascript:x)\u201d",
        "Intent: about *bold* <img src=x>  [a](javascript:x) (50 %)",
        "Suggested reply: Of course.",
        "<b>hm</b>",
    ]
    assert {each["type"] for each in view["blocks"]} == {"section", "divider"}  # nothing that can be pressed


async def test_bar_is_bounded(make_world: MakeWorld) -> None:
    world = await make_world(connection=analyser(), workspace=WORKSPACE)
    visitor = await world.visitor()
    items = msgspec.json.encode([{"kind": "note", "text": "x" * 9_000}] * 20)
    database, now = world.node.service._database, world.node.service._clock.now_ms()
    assert database

    def write(cursor: Any) -> None:
        for n in range(40):
            place = ("main", visitor.rid, f"m{n}")
            findings.keep(cursor, place, "toy", "1", n + 1, findings.READY, now, now + 60_000, items)

    await until(lambda: world.rows("SELECT 1 FROM conversations"))
    await world.quiet()
    await database.writer.submit(write)
    body = json.dumps({"app": "x", "room": visitor.rid, "user": ALICE}).encode()
    _, view = await send(world, body, path="main/view")

    assert len(view["blocks"]) <= 40
    assert max(len(each["text"]["text"]) for each in view["blocks"] if "text" in each) <= 500


def test_s1_21_every_kind_has_a_line() -> None:
    lines = [
        line_of(each)
        for each in (
            Intent("refund", 0.914),
            Intent("refund"),
            SuggestedReply("Of course."),
            Label("mood", -0.5),
            Label("German"),
            Reference("Returns", "https://example.com/r"),
            Note("VIP"),
        )
    ]

    assert lines == [
        "Intent: refund (91 %)",
        "Intent: refund",
        "Suggested reply: Of course.",
        "mood: -0.5",
        "German",
        "Returns: https://example.com/r",
        "VIP",
    ]


async def test_s1_13_page_has_a_policy_and_no_token_in_an_address(make_world: MakeWorld) -> None:
    world = await make_world()
    hub = world.hub.url
    page = f"{world.node.url}/assist/main/r1"
    async with aiohttp.ClientSession() as session:
        async with session.get(page) as answer:
            text, policy = await answer.text(), answer.headers["content-security-policy"]
            assert answer.status == 200
            assert answer.headers["cache-control"] == "no-store"
        assert f"frame-ancestors {hub}" in policy
        assert "script-src 'self'" in policy and "unsafe" not in policy
        assert f'data-origin="{hub}" data-token=""' in text
        assert "<script>" not in text and " onload" not in text and "style=" not in text
        async with session.post(page, data={"token": "abc.def"}) as answer:
            assert 'data-token="abc.def"' in await answer.text()
        async with session.post(page, data={"token": '"><script>alert(1)</script>'}) as answer:
            assert 'data-token=""' in await answer.text()
        for name, kind in (("page.js", "text/javascript"), ("page.css", "text/css")):
            async with session.get(f"{world.node.url}/assist/{name}") as answer:
                assert (answer.status, answer.content_type) == (200, kind)
                source = await answer.text()
                assert "innerHTML" not in source and "?token" not in source
        for wrong in ("assist/nowhere/r1", "assist/other.js"):
            async with session.get(f"{world.node.url}/{wrong}") as answer:
                assert answer.status == 404
        async with session.get(f"{page}/stream?token={ticket(world, 'r1')}") as answer:
            assert answer.status == 401


async def test_token_is_for_callers_with_the_scope_and_is_audited(make_world: MakeWorld) -> None:
    world = await make_world()
    visitor = await world.visitor()
    await visitor.say("echo hi")
    await world.answered()
    good, other = await api_token(world, "assist"), await api_token(world, "assign", "read")
    wish = {"room": visitor.rid, "agent": "alice"}

    assert (await ask(world, "obt_x_y", wish))[0] == 401
    assert (await ask(world, other, wish))[0] == 403
    assert (await ask(world, good, {"room": "elsewhere", "agent": "alice"}))[0] == 404
    assert (await ask(world, good, {"room": visitor.rid}))[0] == 422
    assert (await ask(world, good, {**wish, "agent": "\n"}))[0] == 422
    status, found = await ask(world, good, wish)
    assert (status, found["path"]) == (200, f"/assist/main/{visitor.rid}")
    async with stream(world, visitor.rid, found["token"]) as (status, came):
        assert status == 200
        await until(lambda: came == [("findings", [])])
    audit = world.rows("SELECT status, detail FROM api_audit WHERE action = 'assist POST' ORDER BY id")
    assert [tuple(each) for each in audit] == [
        (403, "Not allowed"),
        (404, "Unknown conversation"),
        (422, "Not a wish"),
        (422, "Not an agent"),
        (200, "alice"),
    ]


async def test_s1_11_result_reaches_a_page_that_is_open(make_world: MakeWorld) -> None:
    world = await make_world(connection=analyser())
    visitor = await world.visitor()
    first = await visitor.say("echo one")
    await world.answered()
    async with stream(world, visitor.rid, ticket(world, visitor.rid)) as (status, came):
        await until(lambda: len(came) == 1)
        await visitor.say("echo two")
        await until(lambda: bool(came) and len(came[-1][1] or []) == 2)
        newest = came[-1][1]
        await visitor.edit(first, "echo three")
        await until(lambda: [each["text"] for each in came[-1][1]] == ["echo two", "echo three"])
        await visitor.close()
        await until(lambda: came[-1][0] == "over")

    assert status == 200
    assert [each["text"] for each in newest] == ["echo one", "echo two"]
    assert newest[1]["items"][0] == {"kind": "intent", "name": "about echo two", "confidence": 0.5}
    assert ("end", {"reason": "closed"}) in came


async def test_s1_12_and_28_cap_other_rooms_and_the_end_of_a_token(make_world: MakeWorld) -> None:
    """A hundred pages are served; the next is told when to come again; a token opens its own room only."""
    world = await make_world()
    visitor, other = await world.visitor(), await world.visitor("Viktor")
    for each in (visitor, other):
        await each.say("echo hi")
    await world.answered(2)
    url, token = f"{world.node.url}/assist/main/{visitor.rid}/stream", ticket(world, visitor.rid)
    headers = {"authorization": f"Bearer {token}"}
    async with stream(world, visitor.rid, ticket(world, other.rid)) as (status, _):
        assert status == 403
    async with stream(world, visitor.rid, token[:-2] + ("AA" if token[-2:] != "AA" else "BB")) as (status, _):
        assert status == 401
    async with stream(world, visitor.rid, ticket(world, visitor.rid, -1)) as (status, _):
        assert status == 401
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        open_ones = [await session.get(url, headers=headers) for _ in range(100)]
        assert {each.status for each in open_ones} == {200}
        refused = await session.get(url, headers=headers)
        assert (refused.status, refused.headers["retry-after"]) == (503, "30")
        assert (await refused.json(content_type=None))["title"] == "Too many"
        open_ones[0].close()
        board = world.node.service._analysis.board
        await until(lambda: board.n_watchers == 99)
        again = await session.get(url, headers=headers)
        assert again.status == 200
        for each in (*open_ones, refused, again):
            each.close()
    await until(lambda: board.n_watchers == 0)
    async with stream(world, visitor.rid, ticket(world, visitor.rid, 300)) as (_, came):
        await until(lambda: came[-1:] == [("over", None)])
    assert came[-2] == ("end", {"reason": "expired"})


async def test_heartbeat_and_stop(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assist_page, "HEARTBEAT_S", 0.05)
    world = await make_world()
    visitor = await world.visitor()
    await visitor.say("echo hi")
    await world.answered()
    async with stream(world, visitor.rid, ticket(world, visitor.rid)) as (_, came):
        await until(lambda: came[-1:] == [("", ": still here")])
        await asyncio.wait_for(world.node.stop(), 5)
        await until(lambda: came[-1] == ("over", None))
    assert ("end", {"reason": "stopping"}) in came
    await world.begin()
