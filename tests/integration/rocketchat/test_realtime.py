"""The realtime connection against the simulated hub: alone, beside the webhook, and when it breaks."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
import websockets

from omnibridge.rocketchat.realtime import listener as listening
from omnibridge.rocketchat.realtime.connection import Timing, realtime_url
from omnibridge.rocketchat.realtime.frames import Change
from omnibridge.rocketchat.realtime.listener import Listener
from omnibridge.rocketchat.realtime.translate import Typing
from omnibridge.sandbox.server import SandboxOptions, start
from omnibridge.sandbox.visitor import SandboxClient, Staff, Visitor
from tests.conftest import MakeWorld, World, until
from tests.integration.sandbox.ddp import Ddp

LIVE = "realtime = true"
QUICK = Timing(silence=0.3, pong=0.3, first_pause=0.05, longest_pause=0.2, refused_pause=0.2)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "Timing", lambda: QUICK)


def events(world: World, room: str) -> list[str]:
    """Kinds of events of a room that the hub told of, in order."""
    rows = world.rows(
        "SELECT e.kind FROM events e JOIN conversations c ON c.id = e.conversation_id WHERE c.room = ? ORDER BY e.id",
        room,
    )
    ours = ("PartyReplied", "AgentsListed", "MoveSucceeded")
    return [row[0] for row in rows if row[0] not in ours]


def sources(world: World) -> set[str]:
    return {row[0] for row in world.rows("SELECT DISTINCT source FROM observations")}


async def a_conversation(world: World) -> Visitor:
    """A visitor asks the bot twice, is handed over to alice, is answered, edits his words, and alice closes."""
    visitor = await world.visitor(email="vera@example.org")
    for n in (1, 2):
        await visitor.say(f"echo {n}")
        await visitor.wait_for("bot", n)
    await visitor.say("talk to a human")
    await visitor.wait_event("assigned", "alice")
    await world.alice.say(visitor.rid, "Hello")
    last = await visitor.say("bye")
    await visitor.edit(last, "good bye")
    await world.alice.close(visitor.rid)
    return visitor


@pytest.mark.parametrize("webhook", [False, True])
async def test_realtime_alone_and_beside_the_webhook(make_world: MakeWorld, webhook: bool) -> None:
    world = await make_world(webhook=webhook, workspace=LIVE)
    await world.live()
    visitor = await a_conversation(world)
    await until(lambda: "ConversationClosed" in events(world, visitor.rid))
    await world.hub.settled()
    await world.quiet()

    room = await world.room(visitor.rid)
    assert [each["text"] for each in room["messages"] if each["kind"] == "bot"][:2] == ["1", "2"]
    assert Counter(each["message"] for each in await world.bot.turns() if each.get("message")) == Counter(
        ["echo 1", "echo 2", "talk to a human"]
    )
    service = [each for each in events(world, visitor.rid) if each.startswith("Agent")]
    assert service == ["AgentAssigned", "AgentUnassigned", "AgentAssigned"]
    found = Counter(events(world, visitor.rid))
    assert found["ConversationStarted"] == found["ConversationClosed"] == 1
    assert found["MessagePosted"] == 5  # the bot's own are echoes
    assert found["MessageEdited"] == 1
    assert found["MessagesRecovered"] == 0
    assert world.rows("SELECT count(*) FROM deliveries WHERE state <> 1") == [(0,)]
    assert sources(world) >= {"ddp", "hub-read"}
    assert ("webhook" in sources(world)) is webhook
    facts = world.rows("SELECT json_extract(state, '$.facts.visitor_email') FROM conversations")
    assert facts == [("vera@example.org",)]


async def test_nothing_is_lost_or_doubled_when_the_socket_is_dropped(make_world: MakeWorld) -> None:
    world = await make_world(webhook=False, workspace=LIVE)
    await world.live()
    visitor = await world.visitor()
    await visitor.say("echo 1")
    await visitor.wait_for("bot", 1)
    await world.hub.control(realtime={"refuse": True, "drop": True})
    await until(lambda: not world.node.service._sources._listeners[0].is_live)
    await visitor.say("echo 2")
    silent = await world.visitor("Vince")
    await silent.say("echo silent")
    await world.hub.control(realtime={"refuse": False})
    await world.live()
    await visitor.wait_for("bot", 2)
    await silent.wait_for("bot", 1)
    await visitor.say("echo 3")
    await visitor.wait_for("bot", 3)
    await world.quiet()

    for each, texts in ((visitor, ["1", "2", "3"]), (silent, ["silent"])):
        said = (await world.room(each.rid))["messages"]
        assert [message["text"] for message in said if message["kind"] == "bot"] == texts
    assert world.node.service.counters.value("realtime_gaps", "main") >= 1


async def test_frames_that_are_lost_doubled_and_overtaken(make_world: MakeWorld) -> None:
    """Beside a webhook that is no better: each word reaches the bot once all the same."""
    world = await make_world(workspace=LIVE)
    await world.live()
    bad = {"drop_rate": 0.2, "duplicate_rate": 0.3, "swap_rate": 0.2, "swap_hold_ms": 50, "seed": 7}
    await world.hub.control(realtime=bad, duplicate_rate=0.3, swap_rate=0.2, late_rate=0.1, late_ms=100, seed=7)
    visitors = [await world.visitor(f"V{n}") for n in range(4)]
    for n in range(1, 6):
        for each in visitors:
            await each.say(f"echo {n}")
        for each in visitors:
            await each.wait_for("bot", n)
    await world.hub.settled()
    await world.quiet()

    for each in visitors:
        said = (await world.room(each.rid))["messages"]
        assert [message["text"] for message in said if message["kind"] == "bot"] == ["1", "2", "3", "4", "5"]
        assert Counter(events(world, each.rid))["ConversationStarted"] == 1


async def test_a_deletion_is_told(make_world: MakeWorld) -> None:
    world = await make_world(workspace=LIVE)
    await world.live()
    visitor = await world.visitor()
    message = await visitor.say("echo 1")
    await visitor.wait_for("bot", 1)
    watching = world.node.service._sources._listeners[0]._watch
    assert watching is not None
    await until(lambda: visitor.rid in watching)
    await delete(world, visitor, message)
    await until(lambda: "MessageDeleted" in events(world, visitor.rid))


async def test_what_is_deleted_in_a_gap_is_found_when_something_else_is(make_world: MakeWorld) -> None:
    world = await make_world(webhook=False, workspace=LIVE)
    await world.live()
    visitor = await world.visitor()
    message = await visitor.say("echo 1")
    await visitor.wait_for("bot", 1)
    await world.hub.control(realtime={"refuse": True, "drop": True})
    await until(lambda: not world.node.service._sources._listeners[0].is_live)
    await delete(world, visitor, message)
    await visitor.say("echo 2")
    await world.hub.control(realtime={"refuse": False})
    await visitor.wait_for("bot", 2)
    await until(lambda: "MessageDeleted" in events(world, visitor.rid))


async def test_words_in_a_room_that_cannot_be_read_at_first(make_world: MakeWorld) -> None:
    """What is heard waits for the room; nothing of it is lost, and its order is kept."""
    world = await make_world(webhook=False, workspace=LIVE)
    await world.live()
    # The comparisons at start would find the words meanwhile, and give them to the bot as one.
    await until(lambda: world.node.service.counters.value("reconcile_runs") >= 2)
    await world.hub.control(fail_next=[{"path": "rooms.info", "status": 503, "count": 2}])
    visitor = await world.visitor()
    for n in (1, 2, 3):
        await visitor.say(f"echo {n}")
    said = await visitor.wait_for("bot", 3)
    await world.quiet()

    assert [each["text"] for each in said] == ["1", "2", "3"]
    assert world.node.service.counters.value("realtime_missed") == 0
    assert Counter(events(world, visitor.rid))["MessagesRecovered"] == 0


async def test_words_in_a_room_that_cannot_be_read_for_long(make_world: MakeWorld) -> None:
    """They are recorded, and the reconciler looks for them."""
    world = await make_world(webhook=False, workspace=LIVE)
    await world.live()
    await world.hub.control(fail_next=[{"path": "rooms.info", "status": 503, "count": 5}])
    visitor = await world.visitor()
    await visitor.say("echo 1")
    said = await visitor.wait_for("bot", 1)
    await world.quiet()

    assert [each["text"] for each in said] == ["1"]
    assert world.node.service.counters.value("realtime_missed", "main", "room-not-read") >= 1


async def delete(world: World, visitor: Visitor, message: str) -> None:
    query = {"token": visitor.token, "rid": visitor.rid}
    await world.hub.call("DELETE", f"/api/v1/livechat/message/{message}", query)


async def test_webhooks_go_on_without_the_socket_and_nothing_is_held_with_it(make_world: MakeWorld) -> None:
    world = await make_world(workspace=LIVE)
    await world.live()
    windows = world.node.service._sources._windows
    assert windows == {"main": 0}
    await world.hub.control(realtime={"refuse": True, "drop": True})
    await until(lambda: windows == {"main": 150})
    visitor = await world.visitor()
    await visitor.say("echo 1")
    await visitor.wait_for("bot", 1)
    metrics = world.node.service.counters.exposition().decode()
    assert "omnibridge_realtime_connected 0.0" in metrics
    assert 'omnibridge_realtime_gaps_total{workspace="main"} 1.0' in metrics
    assert world.node.service._why_not_ready == ""


# -- the listener alone, with an ear instead of a bridge ---------------------------------------------------


class Ear:
    """Implements Intake."""

    def __init__(self) -> None:
        self.heard: list[Change] = []
        self.typed: list[Typing] = []
        self.lives: list[bool] = []
        self.gaps = 0

    async def take(self, change: Change) -> None:
        self.heard.append(change)

    def typing(self, heard: Typing) -> None:
        self.typed.append(heard)

    async def departments(self) -> Sequence[str]:
        return []

    def live(self, is_live: bool) -> None:
        self.lives.append(is_live)

    def gap_ended(self) -> None:
        self.gaps += 1


class Heard:
    """A simulated hub, a listener and its ear."""

    def __init__(self, running: Any, token: str) -> None:
        self.running, self.told = running, running.description
        self.hub = SandboxClient(running.url)
        self.ear, self.counts = Ear(), Counter[tuple[str, ...]]()
        account = self.told["service_account"]
        self.listener = Listener(
            "main", running.url, account["user_id"], token or account["auth_token"], [], self.ear, self._count, QUICK
        )
        self._task = asyncio.create_task(self.listener.serve())

    def _count(self, *labels: str) -> None:
        self.counts[labels] += 1

    async def aclose(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.hub.aclose()
        await self.running.stop()


@pytest.fixture
async def heard(request: pytest.FixtureRequest) -> Any:
    found = Heard(await start(SandboxOptions()), getattr(request, "param", ""))
    yield found
    await found.aclose()


async def test_a_ping_that_is_never_answered_ends_the_connection(heard: Heard) -> None:
    await until(lambda: heard.listener.is_live)
    await heard.hub.control(realtime={"mute": True})
    await until(lambda: heard.counts["realtime_gaps",] >= 1)
    assert heard.ear.lives[:2] == [True, False]
    await heard.hub.control(realtime={"mute": False})
    await until(lambda: heard.ear.gaps >= 2 and heard.listener.is_live)
    await asyncio.wait_for(heard.hub.call("GET", "/_sandbox/realtime"), 30)


async def test_pings_are_answered_both_ways(heard: Heard) -> None:
    """A second of silence is three of ours, and the hub's own every 0.2 s: nobody hangs up."""
    await heard.hub.control(realtime={"silence_ms": 200})
    await until(lambda: heard.listener.is_live)
    first = heard.listener._connection
    clock = asyncio.get_running_loop().time
    began = clock()
    await until(lambda: clock() - began > 1.0)
    assert heard.listener._connection is first
    assert heard.counts["realtime_failures",] == 0


@pytest.mark.parametrize("heard", ["wrong"], indirect=True)
async def test_a_wrong_token_is_told_and_tried_again_later(heard: Heard, capsys: pytest.CaptureFixture[str]) -> None:
    await until(lambda: heard.counts["realtime_failures",] >= 2)
    assert not heard.listener.is_live
    assert heard.ear.lives == []


async def test_other_rooms_are_dropped(heard: Heard) -> None:
    await until(lambda: heard.listener.is_live)
    alice = Staff(heard.hub, heard.told["agent_account"])
    await alice.say("GENERAL", "lunch?")
    await until(lambda: heard.counts["realtime_frames", "other-room"] >= 1)
    assert heard.ear.heard == []
    visitor = Visitor(heard.hub)
    await visitor.open_room()
    await until(lambda: visitor.rid in {each.room for each in heard.ear.heard})


async def test_who_types_is_heard(heard: Heard) -> None:
    await until(lambda: heard.listener.is_live)
    visitor = Visitor(heard.hub)
    await visitor.open_room()
    await until(lambda: heard.listener._watch is not None and visitor.rid in heard.listener._watch)
    typing, proof = f"{visitor.rid}/user-activity", {"token": visitor.token, "visitorToken": visitor.token}
    async with websockets.connect(realtime_url(heard.running.url)) as socket:
        widget = await Ddp(socket).connect()
        await widget.subscribe("stream-notify-room", typing, {"useCollection": False, "args": [proof]})
        for activities in (["user-typing"], []):
            name = str((await heard.hub.ledger(visitor.rid))["rooms"][0]["visitor"])
            await widget.call("stream-notify-room", typing, name, activities, {"token": visitor.token})
    await until(lambda: len(heard.ear.typed) >= 2)
    typed = [(each.room, each.is_typing) for each in heard.ear.typed if each.username == name]
    assert typed == [(visitor.rid, True), (visitor.rid, False)]
