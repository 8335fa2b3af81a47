"""The outside of the bridge: the sandbox's hub in virtual time, its webhooks, a bot; and the ledgers of all."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import msgspec

from omnibridge.connector import Reply, Turn
from omnibridge.sandbox import hub as hub_module
from omnibridge.sandbox import lifecycle, payloads
from omnibridge.sandbox.hub import SimulatedHub
from omnibridge.sandbox.lifecycle import Lifecycle
from omnibridge.sandbox.state import HubError, Room
from tests.simulation.clockwork import Clockwork
from tests.simulation.disk import empty_database
from tests.simulation.life import Life, surroundings
from tests.simulation.vendors import answer, at_once

RETRY_MS, ATTEMPTS = 4_800, 5
STALL_MS = 4_700
"""Longer than a webhook waits for its commit: it is answered 503, and is durable a moment later."""

_encode = msgspec.json.Encoder().encode

Moment = tuple[int, int]
"""(tick, ms): ticks number what happens, finer than milliseconds."""


@dataclass
class Webhook:
    """One event of the hub on its way to the bridge. acknowledged: when, None = never. life: which one did it.

    first_ms: when the first request came, taken_ms: the one that was acknowledged. given_up: the hub tries no more.
    """

    kind: str
    room: str
    message: str
    body: bytes
    acknowledged: Moment | None = None
    first_ms: int = 0
    taken_ms: int = 0
    life: int = 0
    given_up: bool = False


@dataclass
class Post:
    """A message that we sent and that arrived. begun: when the sender began. known: a process was told so, or
    had died. lasting: it was told and lived until that must have been durable."""

    room: str
    id: str
    text: str
    begun: Moment
    arrived: Moment
    life: int
    known: bool = False
    lasting: bool = False


@dataclass
class Side:
    """A vendor, seen from the network. failing: modes of the calls to come, first first; shared by all lives.
    failed_ms: when a call failed last.

    What a dead process had under way arrives before the calls of the next one: its connections are gone by then.
    """

    failing: list[str] = field(default_factory=list)
    failed_ms: int = 0
    travels: tuple[int, ...] = (0, 1, 2, 5, 12, 60)
    life: int = 0
    latest: int = 0
    floor: int = 0

    def travel_ms(self, world: World, life: int) -> int:
        if life != self.life:
            self.life, self.floor = life, self.latest
        now = world.clockwork.now
        arrives = max(self.floor, now + world.rng.choice(self.travels))
        self.latest = max(self.latest, arrives)
        return arrives - now


@dataclass
class Disk:
    """plans: what becomes of the commits to come, first first; shared by all lives. Empty = as usual."""

    usual_ms: tuple[int, ...]
    plans: list[str] = field(default_factory=list)
    has_stalled: bool = False
    has_failed: bool = False

    def commit(self, world: World) -> tuple[int, str]:
        """(ms that the next one takes, its plan): stall; fail; doubt = it fails, and is durable all the same."""
        plan = self.plans.pop(0) if self.plans else ""
        self.has_stalled |= plan == "stall"
        self.has_failed |= plan in ("fail", "doubt")
        return STALL_MS if plan == "stall" else world.rng.choice(self.usual_ms), plan


@dataclass
class World:
    """Everything but the engine."""

    seed: int
    clockwork: Clockwork = field(default_factory=Clockwork)
    life: Life | None = None
    lives: int = 0
    problems: list[str] = field(default_factory=list)
    webhooks: list[Webhook] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)
    turns: list[tuple[Turn, Moment, Moment]] = field(default_factory=list)
    """(turn, when the sender began, when it arrived)"""
    answers: dict[str, Reply] = field(default_factory=dict)
    commits: list[tuple[Moment, int]] = field(default_factory=list)
    """(when, newest event): what the living process knew to be durable, and since when."""
    hub_side: Side = field(default_factory=Side)
    bot_side: Side = field(default_factory=Side)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.disk = Disk((20, 60, 120) if self.seed % 3 == 1 else (0, 0, 1, 2, 5, 40))
        self.loses_webhooks = self.seed % 3 == 0
        if self.seed % 2:
            self.bot_side.travels = (0, 0, 1)
        self._ticks = itertools.count(1)
        self._names = itertools.count(1)
        self.database = empty_database()
        # Not the first start of an installation: then what is older would be left alone.
        self.database.execute("INSERT INTO instance VALUES ('reconciled:main', ?)", (str(self.clockwork.now - 1_000),))

    @contextmanager
    def running(self) -> Iterator[World]:
        """With the clocks and ids of sandbox and service replaced by ours."""

        def new_id(length: int = 17) -> str:
            return f"id{next(self._names):06}"

        with ExitStack() as stack:
            for module in (hub_module, lifecycle, payloads):
                stack.enter_context(patch.object(module, "now_ms", self.clockwork.now_ms))
            for module in (hub_module, lifecycle):
                stack.enter_context(patch.object(module, "new_id", new_id))
            stack.enter_context(surroundings(self))
            self._open_hub()
            try:
                yield self
            finally:
                if self.life:
                    self.life.dead = True
                    self.life.loop.kill()
                self.database.close()

    def _open_hub(self) -> None:
        self.hub = SimulatedHub((8, 3), "community")
        self.hub.sender = self  # type: ignore[assignment]
        self.routing = Lifecycle(self.hub)
        self.routing.bot_first = self.seed % 4 != 0
        if not self.routing.bot_first:
            self.routing.routing_method = lifecycle.MANUAL
        self.hub.add_user("omnibridge", "", {"bot", "livechat-manager"})
        # May post everywhere: so that only the bridge keeps the bot silent.
        self.hub.add_user("bot", "", {"bot", "livechat-agent", "livechat-manager"})
        self.hub.add_user("alice", "", {"user", "livechat-agent"})

    def moment(self) -> Moment:
        return next(self._ticks), self.clockwork.now

    # -- time and lives ---------------------------------------------------------------------------------

    def begin_life(self) -> None:
        self.lives += 1
        self.life = Life(self, self.lives)
        self.life.begin()
        self.committed()

    def crash(self) -> None:
        if self.life:
            self.life.crash()

    def pass_ms(self, ms: int) -> None:
        """Let time pass; a life that dies meanwhile is buried."""
        until = self.clockwork.now + ms
        done = False

        def pause() -> None:
            nonlocal done
            done = True
            if self.life:
                self.life.loop.stop()

        self.clockwork.after(ms, pause)
        while not done or (self.life and self.life.dead):
            life = self.life
            if life is None:
                self.clockwork.advance(until)
                continue
            if not life.dead:
                life.loop.run_forever()
            if life.dead:
                life.loop.kill()
                self.life = None

    # -- what the engine's surroundings report ----------------------------------------------------------

    def committed(self) -> None:
        """The process knows what is durable now."""
        newest = self.database.execute("SELECT max(id) FROM events").fetchone()[0]
        self.commits.append((self.moment(), newest or 0))

    def posted(self, room: str, identity: str, text: str, begun: Moment, life: int) -> Post:
        self.posts.append(Post(room, identity, text, begun, self.moment(), life))
        return self.posts[-1]

    def turn(self, turn: Turn, begun: Moment) -> Reply:
        self.turns.append((turn, begun, self.moment()))
        self.answers[turn.delivery_id] = answer(turn.text)
        return self.answers[turn.delivery_id]

    # -- webhooks, in the place of the hub's own sender -------------------------------------------------

    async def fire(self, body: dict[str, Any], room: Room | None, *, inside_save: bool = False) -> None:
        message = body["messages"][0]["_id"] if body["type"] == "Message" else ""
        webhook = Webhook(body["type"], body.get("_id", ""), message, _encode(body))
        self.webhooks.append(webhook)
        if self.loses_webhooks and self.rng.random() < 0.05:
            webhook.given_up = True
            return
        delay = self.rng.randint(1, 12) + (self.rng.randint(20, 300) if self.rng.random() < 0.1 else 0)
        self.clockwork.after(delay, lambda: self._attempt(webhook, 1))
        if self.rng.random() < 0.08:
            self.clockwork.after(delay + self.rng.randint(1, 400), lambda: self._hand_in(webhook))

    def forget_webhooks(self) -> None:
        """The hub restarts: what it has not delivered is never delivered."""
        for webhook in self.webhooks:
            webhook.given_up = webhook.given_up or webhook.acknowledged is None

    def _attempt(self, webhook: Webhook, n: int) -> None:
        if webhook.acknowledged is not None or webhook.given_up:
            return
        if n > ATTEMPTS:
            webhook.given_up = True
            return
        self._hand_in(webhook)
        self.clockwork.after(RETRY_MS, lambda: self._attempt(webhook, n + 1))

    def _hand_in(self, webhook: Webhook) -> None:
        if self.life is None or webhook.given_up:
            return

        taken_ms = self.clockwork.now
        webhook.first_ms = webhook.first_ms or taken_ms

        def answered(status: int) -> None:
            if status == 200 and webhook.acknowledged is None:
                webhook.acknowledged, webhook.taken_ms, webhook.life = self.moment(), taken_ms, self.lives

        self.life.take_in(webhook.body, answered)

    # -- what people do ---------------------------------------------------------------------------------

    def open_room(self, name: str) -> Room:
        return at_once(self.routing.open_room(self.hub.register(name, "", "")))

    def when_possible(self, do: Callable[[], Any]) -> None:
        """A person tries; the hub may refuse (closed, taken)."""
        try:
            at_once(do())
        except HubError:
            return
