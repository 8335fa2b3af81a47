"""A real `omnibridge serve` that is killed, and stopped, while chats are under way: nothing is lost or doubled.

STOPPED_S: for how long it is stopped, 3 s where nothing is said. More than 30 s is longer than its sessions are held:
then nothing may be asked before they are held again.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import aiohttp
import pytest

from omnibridge.sandbox.visitor import Visitor
from tests import conftest
from tests.connectors.salesforce.relays import MakeRelay
from tests.connectors.salesforce_live_agent.relays import Relay
from tests.integration.test_desks import said
from tests.soak.processes import Bridge

CHATS, ROUNDS, KILLS = 24, 3, 3
until = partial(conftest.until, within_s=60)
STOPPED_S = float(os.environ.get("STOPPED_S", "3"))


@pytest.fixture
def bot_kind() -> str:
    """One that is installed: another process has no scripted bot."""
    return "webhook_bot"


class Chats:
    """So many visitors, each with an agent; number -> visitor and session. is_up: visitors may speak.

    wanted: what was decided for each room when everything of it had been heard."""

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.visitors: list[Visitor] = []
        self.sessions: list[str] = []
        self.wanted: dict[str, list[str]] = {}
        self.is_up = asyncio.Event()
        self.is_up.set()

    async def begin(self, count: int) -> None:
        desk = self.relay.desk
        for n in range(count):
            self.visitors.append(await self.relay.world.visitor(f"v{n}"))
            await self.visitors[-1].say("talk to a human")
        await until(lambda: len(desk.waiting()) == count)
        found = {each.init["visitorName"]: each.id for each in self.relay.sf.service.sessions.values()}
        self.sessions = [found[f"v{n}"] for n in range(count)]
        for each in self.sessions:
            desk.accept(each)

    async def talk(self, rounds: range) -> None:
        for at in rounds:
            for n, visitor in enumerate(self.visitors):
                await self.is_up.wait()
                await visitor.say(f"v{n}.{at}")
                self.relay.desk.say(self.sessions[n], f"a{n}.{at}")
                await asyncio.sleep(0.01)

    def heard(self, n: int) -> list[str]:
        rows = [each for each in self.relay.sf.service.desk if each["session"] == self.sessions[n]]
        return [each["text"] for each in rows if each["kind"] == "message" and each["text"].startswith("v")]

    def words(self, n: int) -> list[str]:
        found = [text for _, text in said(self.relay.world, self.visitors[n].rid)]
        return [each for each in found if each.startswith(f"a{n}.")]

    def are_whole(self, rounds: int) -> bool:
        if min(len(self.words(n)) for n in range(len(self.visitors))) < rounds:
            return False
        self.wanted = self.decided()
        return all(len(self.heard(n)) >= len(self.wanted[each.rid]) for n, each in enumerate(self.visitors))

    def decided(self) -> dict[str, list[str]]:
        """Room -> what was to be given to the desk, in that order."""
        found: dict[str, list[str]] = {}
        database = sqlite3.connect(self.relay.world.folder / "test.db")
        rows = database.execute(
            "SELECT json_extract(c.state, '$.room'), json_extract(d.body, '$.text') FROM deliveries d"
            " JOIN conversations c ON c.id = d.conversation_id"
            " WHERE d.command = 'SendToParty' AND d.connection = 'sales' ORDER BY d.id"
        )
        for room, text in rows:
            found.setdefault(room, []).append(text)
        database.close()
        return found

    def check(self, rounds: int) -> None:
        """Lost, doubled and out of order are all the same to it."""
        decided = self.decided()
        for n, visitor in enumerate(self.visitors):
            # What the hub could not tell us, as nobody listened, is for the comparison with the hub to find; it may
            # have found more when all was whole, and the end of the test came in between.
            heard, wanted = self.heard(n), self.wanted[visitor.rid]
            assert heard[: len(wanted)] == wanted and heard == decided[visitor.rid][: len(heard)]
            assert len(set(self.heard(n))) == len(self.heard(n))
            assert self.words(n) == [f"a{n}.{at}" for at in range(rounds)]
        assert sum(map(len, self.wanted.values())) >= len(self.visitors) * rounds // 4
        counts = self.relay.counts
        assert (counts["duplicate_polls"], counts["sequence_gaps"], counts["early_posts"]) == (0, 0, 0)
        assert len(self.relay.sf.service.sessions) == len(self.visitors)
        assert not self.relay.of_kind("end") and not self.relay.of_kind("left")


@asynccontextmanager
async def served(relay: Relay) -> AsyncIterator[Bridge]:
    """The world's bridge, as a process of its own."""
    world = relay.world
    await world.node.stop()
    text = (world.folder / "omnibridge.toml").read_text("utf-8").replace("port = 0", "port = PORT")
    bridge = Bridge(world.folder, {}, "", text=text)
    try:
        await start(relay, bridge)
        await world.hub.control(webhook_url=f"{bridge.url}/webhooks/rocketchat/main")
        yield bridge
    finally:
        await bridge.kill()
        await bridge.stop()


async def start(relay: Relay, bridge: Bridge) -> None:
    await bridge.start()
    async with aiohttp.ClientSession() as session:
        assert await bridge.ready(session) is not None


async def asks_nothing_while_it_cannot_hold(relay: Relay, locking: sqlite3.Connection, asked: int) -> None:
    """The process runs, and tries to hold its sessions; the database cannot be written. asked: calls before."""
    log = relay.world.folder / "bridge.log"
    await until(lambda: "sessions_not_renewed" in log.read_text("utf-8"))
    assert len(relay.sf.service_calls()) == asked
    locking.execute("ROLLBACK")
    await until(lambda: len(relay.sf.service_calls()) > asked)


async def test_killed_again_and_again_in_the_middle_of_chats(make_relay: MakeRelay) -> None:
    relay = await make_relay(department="sales")
    chats = Chats(relay)
    async with served(relay) as bridge:
        await chats.begin(CHATS)
        for kill in range(KILLS):
            talking = asyncio.create_task(chats.talk(range(kill * ROUNDS, (kill + 1) * ROUNDS)))
            await asyncio.sleep(0.3 + 0.4 * kill)
            chats.is_up.clear()
            await bridge.kill()
            await start(relay, bridge)
            chats.is_up.set()
            await talking
        await until(lambda: chats.are_whole(KILLS * ROUNDS))

    chats.check(KILLS * ROUNDS)


async def test_process_that_was_stopped_polls_no_session_twice(make_relay: MakeRelay) -> None:
    relay = await make_relay(department="sales")
    chats = Chats(relay)
    async with served(relay) as bridge:
        await chats.begin(4)
        await chats.talk(range(2))
        await until(lambda: sum(map(len, chats.decided().values())) >= 4)  # on a slow machine the hub gives up the rest
        process = bridge._process
        assert process is not None
        locking = sqlite3.connect(relay.world.folder / "test.db", isolation_level=None, timeout=10)
        if STOPPED_S > 30:
            await until(lambda: chats.are_whole(2))
            locking.execute("BEGIN IMMEDIATE")  # before it is stopped: it may have been in the middle of a commit
        process.send_signal(signal.SIGSTOP)
        talking = asyncio.create_task(chats.talk(range(2, 4)))
        await asyncio.sleep(STOPPED_S)
        asked = len(relay.sf.service_calls())
        process.send_signal(signal.SIGCONT)
        if STOPPED_S > 30:
            await asks_nothing_while_it_cannot_hold(relay, locking, asked)
        locking.close()
        await talking
        await until(lambda: chats.are_whole(4))

    chats.check(4)
