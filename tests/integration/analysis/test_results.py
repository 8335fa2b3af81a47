"""What an analyser's system posts later, and how long findings are kept."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from omnibridge.clock import FixedClock
from omnibridge.connector.signing import read_secrets, signed_headers
from omnibridge.engine.counters import Counters
from omnibridge.engine.retention import Retention, Terms
from omnibridge.storage import findings
from omnibridge.storage.database import open_database
from tests.conftest import MakeWorld, World, until
from tests.integration.analysis.conftest import found, toy
from tests.toys import ToyAnalyser, analyser

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
OTHER = "whsec_b3RoZXItc2VjcmV0LW90aGVyLXNlY3JldC0zMjMyMzI="
REFUND = [{"kind": "intent", "name": "refund", "confidence": 0.9}]


async def post(world: World, body: dict[str, Any], secret: str = SECRET, **more: Any) -> tuple[int, dict[str, Any]]:
    """more: bearer, name of the analyser, webhook id, age."""
    raw = json.dumps(body).encode()
    headers = signed_headers(read_secrets(secret), more.get("id", "e1"), int(time.time()) - more.get("age_s", 0), raw)
    if "bearer" in more:
        headers = {"authorization": f"Bearer {more['bearer']}"}
    url = f"{world.node.url}/analysis/{more.get('name', 'toy')}/results"
    async with aiohttp.ClientSession() as session, session.post(url, data=raw, headers=headers) as answer:
        return answer.status, await answer.json(content_type=None)


@pytest.fixture
def later() -> str:
    return analyser(later=True, secret=SECRET)


async def test_s1_10_late_result_is_taken_once_and_only_when_signed(make_world: MakeWorld, later: str) -> None:
    world = await make_world(connection=later)
    visitor = await world.visitor()
    message = await visitor.say("echo hi")
    await world.answered()
    assert found(world, visitor.rid) == []
    assert toy().seen[0].results_path == "/analysis/toy/results"
    body = {"correlation": toy().seen[0].correlation, "findings": REFUND}

    assert (await post(world, body, OTHER))[0] == 401
    assert (await post(world, body, bearer=OTHER))[0] == 401
    assert (await post(world, body, age_s=400))[0] == 401
    assert found(world, visitor.rid) == []
    assert await post(world, body) == (200, {"status": "kept"})
    assert await post(world, body) == (200, {"status": "repeated"})
    changed = {**body, "findings": [{"kind": "note", "text": "another"}]}
    assert await post(world, changed, id="e2") == (200, {"status": "repeated"})
    assert found(world, visitor.rid) == [(message, "toy", REFUND)]


async def test_bearer_token_will_do(make_world: MakeWorld, later: str) -> None:
    world = await make_world(connection=later)
    visitor = await world.visitor()
    await visitor.say("echo hi")
    await world.answered()

    body = {"correlation": toy().seen[0].correlation, "findings": REFUND}
    assert await post(world, body, bearer=SECRET) == (200, {"status": "kept"})


async def test_result_may_be_faster_than_its_promise(make_world: MakeWorld, later: str) -> None:
    world = await make_world(connection=later)
    visitor = await world.visitor()
    ToyAnalyser.hold = asyncio.Event()
    await visitor.say("echo hi")
    await until(lambda: len(toy().seen) == 1)
    body = {"correlation": toy().seen[0].correlation, "findings": REFUND}
    assert await post(world, body) == (200, {"status": "kept"})
    ToyAnalyser.hold.set()
    await world.quiet()

    assert [each[2] for each in found(world, visitor.rid)] == [REFUND]


async def test_s1_10_unknown_and_changed_ones_are_refused(make_world: MakeWorld) -> None:
    world = await make_world(connection=analyser(later=True, secret=SECRET) + analyser("open"))
    visitor = await world.visitor()
    message = await visitor.say("echo hi")
    await world.answered()
    first = toy().seen[0].correlation
    body, sound = {"correlation": first, "findings": REFUND}, first[:-4] + ("AAAA" if first[-4:] != "AAAA" else "BBBB")

    assert (await post(world, body, name="nobody"))[0] == 404
    assert (await post(world, body, name="open"))[0] == 404
    assert (await post(world, {**body, "correlation": sound}))[0] == 404
    assert (await post(world, {**body, "correlation": "x.y"}))[0] == 404
    assert (await post(world, {**body, "correlation": toy("open").seen[0].correlation}))[0] == 404
    assert (await post(world, {"correlation": first, "findings": [{"kind": "song"}]}))[0] == 422
    await visitor.edit(message, "echo ho")
    await until(lambda: len(toy().seen) == 2)
    status, problem = await post(world, body)
    assert (status, problem["title"]) == (410, "Changed")
    await world.quiet()
    assert {each[1] for each in found(world, visitor.rid)} == {"open"}


async def test_s1_10_expired_correlation_is_refused(make_world: MakeWorld) -> None:
    world = await make_world(connection=analyser(later=True, secret=SECRET, later_h=0.0000001))
    visitor = await world.visitor()
    await visitor.say("echo hi")
    await world.answered()
    status, problem = await post(world, {"correlation": toy().seen[0].correlation, "findings": REFUND})

    assert (status, problem["title"]) == (410, "Too late")
    assert found(world, visitor.rid) == []


async def test_s1_09_thousand_results_in_order_with_an_end_and_over_a_restart(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    database = await open_database(url)

    def write(cursor: Any) -> None:
        for n in range(1000):
            end, items = (2_000 if n % 4 else 500), msgspec.json.encode([{"kind": "note", "text": str(n)}])
            findings.keep(cursor, ("w", "r", f"m{n}"), "toy", "1", 10 + n, findings.READY, 100, end, items)
        findings.keep(cursor, ("w2", "r", "m0"), "toy", "1", 5, findings.READY, 100, 2_000, b"[]")

    await database.writer.submit(write)
    rows = findings.of_room(database.reader, "w", "r", now_ms=100)
    assert [each.message_id for each in rows] == [f"m{n}" for n in range(1000)]
    assert len(findings.of_room(database.reader, "w", "r", now_ms=1_000)) == 750
    purged = await Retention(database, FixedClock(1_000 + 8_640), Counters(), Terms(), 1).run()
    assert purged["findings"] == 250
    await database.aclose()

    database = await open_database(url)
    assert len(findings.of_room(database.reader, "w", "r", now_ms=100)) == 750
    await database.aclose()


async def test_findings_are_told_apart_by_version_and_a_repeat_changes_nothing(tmp_path: Path) -> None:
    database = await open_database(f"sqlite:///{tmp_path}/a.db")
    place, kept = ("w", "r", "m"), list[bool]()

    def write(cursor: Any) -> None:
        def keep(version: str, event: int, state: int = findings.READY, text: bytes = b"[1]") -> bool:
            return findings.keep(cursor, place, "toy", version, event, state, 1, 99, text)

        kept.append(keep("1", 10))
        kept.append(keep("1", 10, text=b"[2]"))  # again, after a crash
        kept.append(keep("1", 10, findings.WAITING))  # promised after it was there
        kept.append(keep("2", 10))
        kept.append(keep("1", 9))  # of an older text
        findings.change(cursor, place, 20, 5)
        kept.append(keep("1", 10))
        kept.append(keep("1", 20, text=b"[3]"))

    await database.writer.submit(write)

    assert kept == [True, False, False, True, False, False, True]
    assert [(each.version, each.items) for each in findings.of_room(database.reader, "w", "r", 1)] == [("1", b"[3]")]
    await database.aclose()
