"""What no webhook told: an outage, late webhooks, a hub that loses some. The hub's ledger and the bridge's events
are compared; what the bot got is in its own ledger."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

import msgspec
import pytest

from omnibridge.engine import reconciler
from omnibridge.sandbox.visitor import Visitor
from tests.conftest import MakeWorld, World

OFTEN = "reconcile_every_s = 0.3"


@pytest.fixture(autouse=True)
def settles_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciler, "SETTLE_MS", 300)
    monkeypatch.setattr(reconciler, "MARGIN_MS", 300)  # hub and bridge have one clock here


async def compared(world: World, times: int = 1) -> None:
    """Until so many comparisons that began after now have ended, and everything that follows is done."""
    done = world.node.service.counters
    wanted = done.value("reconcile_runs", "done") + times
    async with asyncio.timeout(30):
        while done.value("reconcile_runs", "done") < wanted:
            await asyncio.sleep(0.01)
    await world.quiet()


async def compared_first(world: World) -> None:
    """Until the comparison at start has ended."""
    async with asyncio.timeout(30):
        while not world.node.service.counters.value("reconcile_runs", "done"):
            await asyncio.sleep(0.01)
    await world.quiet()


async def nothing_young(world: World) -> None:
    """Until everything that was written is old enough to be missed."""
    rooms = (await world.hub.ledger())["rooms"]
    newest = max(message["ts"] for room in rooms for message in room["messages"])
    while time.time() * 1000 <= newest + reconciler.SETTLE_MS:
        await asyncio.sleep(0.01)


class Outage:
    """The bridge is down, and the hub has given up every webhook of that time."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def __aenter__(self) -> None:
        await compared_first(self._world)
        assert await self._world.hub.settled()
        await self._world.quiet()
        await self._world.node.stop()
        await self._world.hub.control(drop_rate=1.0)

    async def __aexit__(self, *_: object) -> None:
        await self._world.hub.control(drop_rate=0.0)
        await nothing_young(self._world)
        await self._world.begin()
        await compared_first(self._world)


def posted(world: World, rid: str = "%") -> list[dict[str, Any]]:
    """MessagePosted events of visitors, in the order in which they were derived."""
    rows = world.rows(
        "SELECT events.data FROM events JOIN conversations ON conversations.id = conversation_id "
        "WHERE kind = 'MessagePosted' AND room LIKE ? ORDER BY events.id",
        rid,
    )
    found = [msgspec.json.decode(data) for (data,) in rows]
    return [each for each in found if each["author"] == "visitor"]


def reasons(world: World, rid: str) -> list[str]:
    """Why nothing, or what, followed from what was found."""
    rows = world.rows(
        "SELECT reason FROM events JOIN conversations ON conversations.id = events.conversation_id "
        "WHERE room = ? AND kind = 'MessagesRecovered'",
        rid,
    )
    return [str(reason) for (reason,) in rows]


async def everything_once(world: World) -> None:
    """Every visitor message of the hub is one event, and the other way round."""
    rooms = (await world.hub.ledger())["rooms"]
    written = [each["id"] for room in rooms for each in room["messages"] if each["kind"] == "visitor"]
    assert Counter(each["message_id"] for each in posted(world)) == Counter(written)


async def heard(world: World) -> list[str]:
    return [each["message"] for each in await world.bot.turns() if each["message"]]


async def say(visitor: Visitor, *texts: str) -> None:
    for text in texts:
        await visitor.say(text)


async def greeted(world: World, name: str) -> Visitor:
    """A visitor whom the bot serves and has answered."""
    visitor = await world.visitor(name)
    await visitor.say(f"echo {name}")
    await visitor.wait_for("bot", 1)
    return visitor


@pytest.mark.parametrize("hub_version", ["6.14", "7.7", "8.3"])
async def test_after_an_outage_a_bot_gets_one_turn(make_world: MakeWorld, hub_version: str) -> None:
    world = await make_world(hub_version=hub_version)
    known = await greeted(world, "Vera")
    new = Visitor(world.hub, "Nora")
    async with Outage(world):
        await say(known, "echo a", "b", "c")
        await new.open_room()
        await say(new, "echo x", "y")
    await known.wait_for("bot", 2)
    await new.wait_for("bot", 1)
    await world.answered(3)

    await everything_once(world)
    assert sorted(await heard(world)) == ["echo Vera", "echo a\nb\nc", "echo x\ny"]
    found = [each for each in posted(world) if each.get("recovered")]
    assert len(found) == 5
    assert all(each["late"] for each in found)
    assert [each["text"] for each in posted(world, known.rid)] == ["echo Vera", "echo a", "b", "c"]
    counters = world.node.service.counters
    assert (counters.value("messages_recovered", "visitor"), counters.value("messages_late")) == (5, 5)
    shown = counters.exposition().decode()
    assert 'omnibridge_messages_recovered_total{author="visitor"} 5.0' in shown
    assert "omnibridge_reconciled_at_seconds 1." in shown


async def test_what_was_answered_meanwhile_is_only_recorded(make_world: MakeWorld) -> None:
    world = await make_world()
    answered, partly, taken = [await greeted(world, name) for name in ("Ann", "Pat", "Tom")]
    async with Outage(world):
        await say(answered, "echo old")
        await world.relay.say(answered.rid, "Somebody else has answered.")
        await say(partly, "echo older")
        await world.relay.say(partly.rid, "Answered.")
        await say(partly, "echo newer")
        await say(taken, "echo please")
        moved = await world.relay.post("livechat/room.forward", {"roomId": taken.rid, "userId": world.alice.user_id})
        assert moved["success"]
        await world.alice.say(taken.rid, "I am Alice.")
        await say(taken, "thanks")
    await partly.wait_for("bot", 3)
    await world.answered(4)

    await everything_once(world)
    assert (await heard(world))[3:] == ["echo newer"]
    assert reasons(world, answered.rid) == ["1 found in the hub's history, answered since: nothing is sent"]
    assert "1 of them answered since; as one: the visitor wrote, late" in reasons(world, partly.rid)[0]
    assert "people serve: the hub shows it to them" in reasons(world, taken.rid)[0]
    sql = "SELECT json_extract(state, '$.control.party') FROM conversations WHERE room = ?"
    assert world.rows(sql, taken.rid) == [("agents",)]


async def test_rooms_closed_meanwhile_are_recorded_and_closed(make_world: MakeWorld) -> None:
    world = await make_world()
    known = await greeted(world, "Vera")
    new = Visitor(world.hub, "Nora")
    async with Outage(world):
        await new.open_room()
        for visitor in (known, new):
            await say(visitor, "echo a", "echo b")
            await visitor.close()
    await world.quiet()

    await everything_once(world)
    assert await heard(world) == ["echo Vera"]
    for rid in (known.rid, new.rid):
        assert world.rows("SELECT closed FROM conversations WHERE room = ?", rid) == [(1,)]
        assert reasons(world, rid) == ["2 found in the hub's history, closed since: nothing is sent"]
    sent = world.rows("SELECT command, count(*) FROM deliveries WHERE state = 1 GROUP BY command ORDER BY command")
    assert ("CloseSession", 2) in sent
    assert ("SendToParty", 1) in sent


@pytest.mark.parametrize("hub_version", ["7.7", "8.3"])
async def test_webhooks_that_come_after_all_change_nothing(make_world: MakeWorld, hub_version: str) -> None:
    world = await make_world(hub_version=hub_version, engine=OFTEN, http_timeout_ms=5000)
    visitor = await greeted(world, "Vera")
    await compared_first(world)
    await world.hub.control(late_rate=1.0, late_ms=1800)
    async with asyncio.TaskGroup() as group:  # 7.7 answers the visitor only after the webhook
        group.create_task(say(visitor, "echo late"))
        while world.node.service.counters.value("messages_recovered", "visitor") < 1:
            await asyncio.sleep(0.01)
    assert await world.hub.settled()
    await compared(world)

    await everything_once(world)
    assert await heard(world) == ["echo Vera", "echo late"]
    assert [each["text"] for each in await visitor.wait_for("bot", 2)] == ["Vera", "late"]
    assert world.node.service.counters.value("observations_duplicate") > 0


async def test_webhook_that_comes_after_all_is_delivered_late(
    make_world: MakeWorld,
) -> None:
    """What is answered 200 reaches who is in control: that the reconciler had left it alone changes nothing."""
    world = await make_world(engine=OFTEN, http_timeout_ms=5000)
    visitor = await greeted(world, "Vera")
    await compared_first(world)
    await world.hub.control(late_rate=1.0, late_ms=2500)
    await say(visitor, "echo old")
    await world.hub.control(late_rate=0.0)
    await say(visitor, "echo new")
    await visitor.wait_for("bot", 2)
    async with asyncio.timeout(30):
        while not reasons(world, visitor.rid):
            await asyncio.sleep(0.01)
    assert reasons(world, visitor.rid) == ["1 found in the hub's history, answered since: nothing is sent"]
    await visitor.wait_for("bot", 3)
    await compared(world)

    assert await heard(world) == ["echo Vera", "echo new", "echo old"]
    assert [each["text"] for each in await visitor.wait_for("bot", 3)] == ["Vera", "new", "old"]


async def test_hub_that_loses_webhooks(make_world: MakeWorld) -> None:
    world = await make_world(engine=OFTEN, seed=5)
    await compared_first(world)
    await world.hub.control(drop_rate=0.2, seed=5)
    visitors = [await world.visitor(f"V{n}") for n in range(10)]
    for n in range(6):
        await asyncio.gather(*(each.say(f"echo m{n}") for each in visitors))
    for each in visitors[:3]:
        await each.close()
    async with asyncio.timeout(30):
        while len(posted(world)) < 60 or world.rows("SELECT 1 FROM conversations WHERE closed") == []:
            await asyncio.sleep(0.02)
    await compared(world, 2)

    ledger = await world.hub.ledger()
    assert ledger["dropped"] >= 10
    await everything_once(world)
    open_rooms = {each["rid"] for each in ledger["rooms"] if each["open"]}
    assert {rid for (rid,) in world.rows("SELECT room FROM conversations WHERE closed = 0")} == open_rooms
    said = [line for turn in await heard(world) for line in turn.split("\n")]
    assert max(Counter(said).values()) <= len(visitors)  # nobody's words reached the bot twice


async def test_idle_rooms_cost_no_history(make_world: MakeWorld) -> None:
    world = await make_world(engine=OFTEN)
    visitors = [await greeted(world, f"V{n}") for n in range(6)]
    async with asyncio.timeout(30):
        before = -1
        while (now := await calls(world, "chat.syncMessages")) != before:
            before = now
            await compared(world, 2)
    began, lists, runs = time.monotonic(), await calls(world, "livechat/rooms"), n_runs(world)
    await compared(world, 3)
    lists, runs = await calls(world, "livechat/rooms") - lists, n_runs(world) - runs

    assert await calls(world, "chat.syncMessages") == before
    assert 4 * (runs - 1) <= lists <= 4 * (runs + 1)  # four lists of one page each; a run may be under way
    assert lists / (time.monotonic() - began) < 1 / reconciler.PACE_S
    await world.hub.control(drop_rate=1.0)
    runs = n_runs(world)
    await visitors[0].say("echo lost")
    await visitors[0].wait_for("bot", 2)
    assert 1 <= await calls(world, "chat.syncMessages") - before <= n_runs(world) - runs + 1  # one room's


async def test_hub_that_does_not_answer_is_asked_again(make_world: MakeWorld) -> None:
    world = await make_world(engine=OFTEN)
    visitor = await greeted(world, "Vera")
    await compared_first(world)
    failures = [{"path": path, "status": 429} for path in ("livechat/rooms", "chat.syncMessages")]
    await world.hub.control(drop_rate=1.0, fail_next=[*failures, {"path": "rooms.info", "status": 500}])
    await visitor.say("echo again")

    assert (await visitor.wait_for("bot", 2, timeout_ms=20_000))[1]["text"] == "again"
    await everything_once(world)


async def test_what_is_under_way_is_left_to_its_webhook(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciler, "SETTLE_MS", 10_000)
    world = await make_world(engine="reconcile_every_s = 0.1")
    await world.hub.control(late_rate=0.5, late_ms=700)
    visitors = [await world.visitor(f"V{n}") for n in range(4)]
    for n in range(3):
        await asyncio.gather(*(each.say(f"echo m{n}") for each in visitors))
        await asyncio.gather(*(each.wait_for("bot", n + 1) for each in visitors))
    await compared(world)

    assert world.node.service.counters.value("messages_recovered") == 0
    assert world.node.service.counters.value("observations", "hub-read", "history") == 0
    assert len(await heard(world)) == 12


async def test_room_that_cannot_be_read_holds_up_no_other(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciler, "TRIES", 1)
    world = await make_world(engine=OFTEN)
    visitors = [await greeted(world, name) for name in ("Ann", "Bob")]
    async with Outage(world):
        for each in visitors:
            await each.say("echo again")
        await world.hub.control(fail_next=[{"path": "chat.syncMessages", "status": 500}])
    for each in visitors:
        await each.wait_for("bot", 2)

    await everything_once(world)
    assert world.node.service.counters.value("reconcile_runs", "partly") == 1


async def test_what_is_seen_to_be_missing_comes_first(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Busy rooms that look complete wait behind the one that does not, although it is the youngest."""
    world = await make_world()
    visitors = [await greeted(world, f"V{n}") for n in range(5)]
    await compared_first(world)
    await world.hub.settled()
    await world.node.stop()
    await world.hub.control(drop_rate=1.0)
    await visitors[-1].say("echo lost")
    await nothing_young(world)
    monkeypatch.setattr(reconciler, "PACE_S", 0.4)
    await world.begin()
    await visitors[-1].wait_for("bot", 2)

    assert world.node.service.counters.value("reconcile_histories") <= 2  # of the five of this run, at 0.4 s each


async def test_what_may_be_told_yet_holds_up_nothing_that_is_missing(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make_world()
    visitors = [await greeted(world, f"V{n}") for n in range(5)]
    await compared_first(world)
    await world.hub.settled()
    await world.node.stop()
    monkeypatch.setattr(reconciler, "SETTLE_MS", 2_500)
    await world.hub.control(drop_rate=1.0)
    await visitors[-1].say("echo lost")
    await nothing_young(world)
    for each in visitors[:-1]:
        await each.say("echo young")
    monkeypatch.setattr(reconciler, "PACE_S", 0.4)
    await world.begin()
    await visitors[-1].wait_for("bot", 2)

    assert world.node.service.counters.value("reconcile_histories") <= 2


async def test_open_room_in_whose_middle_something_is_missing_comes_before_those_that_are_closed(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make_world()
    visitors = [await greeted(world, f"V{n}") for n in range(5)]
    await compared_first(world)
    await world.hub.control(drop_rate=1.0)
    await visitors[-1].say("echo lost")
    await world.hub.settled()
    await world.hub.control(drop_rate=0.0)
    await visitors[-1].say("echo known")
    await visitors[-1].wait_for("bot", 2)
    for each in visitors[:-1]:
        await each.close()
    await world.hub.settled()
    await nothing_young(world)
    await world.node.stop()
    monkeypatch.setattr(reconciler, "PACE_S", 0.4)
    await world.begin()
    counters = world.node.service.counters
    async with asyncio.timeout(30):
        while not counters.value("messages_recovered"):
            await asyncio.sleep(0.01)

    assert counters.value("reconcile_histories") <= 2


async def test_room_that_can_never_be_read_is_given_up(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciler, "TRIES", 1)
    world = await make_world(engine=OFTEN)
    await compared_first(world)
    await world.hub.control(drop_rate=1.0, fail_next=[{"path": "chat.syncMessages", "status": 500, "count": 999}])
    await world.visitor("Bob")
    await compared(world, 2)
    counters = world.node.service.counters

    assert counters.value("reconcile_runs", "partly") >= reconciler.GIVE_UP_AFTER - 1


async def test_old_answer_does_not_stand_for_an_answer_to_what_a_gap_swallowed(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bot's answer to an earlier message appears after the message that was lost, and before that is found."""
    world = await make_world(engine=OFTEN)
    visitor = await greeted(world, "Vera")
    await compared_first(world)
    monkeypatch.setattr(reconciler, "SETTLE_MS", 3_000)
    await world.bot.control(delay_ms=700)
    await visitor.say("echo before")
    await world.bot_started(2)
    await world.hub.control(drop_rate=1.0)
    await visitor.say("echo lost")
    await visitor.wait_for("bot", 2)
    assert world.node.service.counters.value("messages_recovered") == 0
    await visitor.wait_for("bot", 3)

    assert await heard(world) == ["echo Vera", "echo before", "echo lost"]
    await everything_once(world)


async def test_lists_are_read_page_by_page(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciler, "PAGE", 2)
    monkeypatch.setattr(reconciler, "PACE_S", 0.01)
    world = await make_world(bot_first=False)
    await world.hub.control(routing_method="Manual_Selection")
    visitors = [Visitor(world.hub, f"V{n}") for n in range(14)]
    async with Outage(world):
        for n, visitor in enumerate(visitors):
            await visitor.open_room()
            await visitor.say("echo hello")
            if n % 3 == 1:
                await world.alice.take(visitor.rid)
            if n % 3 == 2:
                await visitor.close()
        for visitor in visitors[3:12]:  # more rooms of one millisecond than a page holds
            world.sandbox.hub.rooms[visitor.rid].ts = world.sandbox.hub.rooms[visitors[3].rid].ts

    await everything_once(world)
    assert len(posted(world)) == 14


async def calls(world: World, path: str) -> int:
    return int((await world.hub.ledger())["rest_calls"].get(path, 0))


def n_runs(world: World) -> int:
    return world.node.service.counters.value("reconcile_runs", "done")


async def test_process_that_died_before_its_first_comparison_has_said_since_when_it_was(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what a hub wrote before a crash loop ended counts as written before we were."""
    monkeypatch.setattr(reconciler, "PACE_S", 3600.0)
    world = await make_world()
    await world.hub.control(drop_rate=1.0)
    visitor = await world.visitor("Vera")
    await visitor.say("echo lost")
    await nothing_young(world)
    marks = "SELECT name FROM instance WHERE name LIKE 'reconciled:%'"
    async with asyncio.timeout(30):
        while not world.rows(marks):
            await asyncio.sleep(0.01)
    assert not world.node.service.counters.value("reconcile_runs", "done")
    await world.node.stop()
    monkeypatch.setattr(reconciler, "PACE_S", 0.01)
    while time.time() * 1000 <= (await oldest_room(world)) + 4 * (reconciler.SETTLE_MS + reconciler.MARGIN_MS):
        await asyncio.sleep(0.01)
    await world.hub.control(drop_rate=0.0)
    await world.begin()

    assert (await visitor.wait_for("bot", 1))[0]["text"] == "lost"
    await everything_once(world)


async def oldest_room(world: World) -> float:
    rooms = (await world.hub.ledger())["rooms"]
    return min(float(each["messages"][0]["ts"]) for each in rooms)
