"""Resend and bury inside the running server: between two steps of a lane, between two sends of a stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

import structlog

from omnibridge.clock import Clock
from omnibridge.engine.doorbell import EmbeddedDoorbell
from omnibridge.engine.ids import IdSequence
from omnibridge.engine.lanes import Lanes
from omnibridge.engine.streams import Streams
from omnibridge.errors import ConcurrentUpdate
from omnibridge.operator.actions import Bench, Order, Outcome, Plan, Row, plan_bury, plan_resend
from omnibridge.operator.offline import by_conversation
from omnibridge.operator.tokens import TokenOrder, write_order
from omnibridge.storage import amend
from omnibridge.storage.database import Database

K = TypeVar("K", bound=Hashable)
_log = structlog.get_logger("omnibridge.operator")

WAIT_S = 5.0
"""How long a lane or stream that is at work is waited for."""

AT_A_TIME = 32
BUSY = "is being sent right now; try again in a moment"


class Operator:
    """boot: of this process, as its rows carry it."""

    def __init__(
        self, database: Database, lanes: Lanes, streams: Streams, ids: IdSequence, boot: str, clock: Clock
    ) -> None:
        self._database, self._lanes, self._streams = database, lanes, streams
        self._ids, self._boot, self._clock = ids, boot, clock
        self._slots = asyncio.Semaphore(AT_A_TIME)

    async def resend(self, order: Order) -> list[Outcome]:
        """Rows are due again when this returns, and rung."""
        return await self._carry_out("resend", order)

    async def bury(self, order: Order) -> list[Outcome]:
        """Rows are given up when this returns; the conversations are told right after."""
        return await self._carry_out("bury", order)

    async def change_tokens(self, order: TokenOrder) -> Outcome:
        """A token is in force, or not any more, when this returns."""
        done: list[bool] = []
        now = self._clock.now_ms()
        await self._database.writer.submit(lambda cursor: done.append(write_order(cursor, order, now)))
        _log.warning("operator_tokens", kind=order.kind, token=order.token.id, by=order.token.created_by)
        return Outcome(0, done[-1])

    async def _carry_out(self, kind: str, order: Order) -> list[Outcome]:
        outcomes: list[Outcome] = []
        groups = by_conversation(self._database.reader, order.ids, outcomes)
        for plan in await asyncio.gather(*(self._one(kind, each, rows, order) for each, rows in groups)):
            outcomes += plan.outcomes
            if plan.done:
                done = [each.id for each in plan.done]
                _log.warning(f"operator_{kind}", by=order.by, room=plan.room, deliveries=done)
        return outcomes

    async def _one(self, kind: str, conversation_id: int, rows: list[Row], order: Order) -> Plan:
        async with self._slots:
            found = self._lanes.conversation(conversation_id)
            plan = Plan(conversation_id, *(found[0] if found else ("", "")))
            if found is None:
                plan.outcomes = [Outcome(row.id, False, "belongs to no conversation") for row, _, _ in rows]
                return plan
            if kind == "resend":
                await self._resend(plan, rows, order)
            else:
                await self._bury(plan, rows, order)
            # The lane first: it hears of a turn that is sent again before that turn's answer can come.
            self._lanes.ring((plan.workspace, plan.room))
            for stream in plan.streams:
                self._streams.ring(conversation_id, stream)
            return plan

    async def _resend(self, plan: Plan, rows: list[Row], order: Order) -> None:
        """The lane is held: so nothing else gives ids to rows of these streams, and control stays as it is."""
        async with _still(self._lanes.doorbell, (plan.workspace, plan.room)) as is_still:
            found = self._lanes.conversation(plan.conversation_id)
            if not is_still or found is None:
                plan.outcomes = [Outcome(row.id, False, "the conversation is busy; try again") for row, _, _ in rows]
                return
            plan_resend(plan, self._fresh(rows), found[1], order, self._bench())
            await self._write(plan)

    async def _bury(self, plan: Plan, rows: list[Row], order: Order) -> None:
        """The streams are held: so what is given up is not under way, and what was sent is settled."""
        async with AsyncExitStack() as stack:
            held = set()
            for stream in sorted({row.stream for row, _, _ in rows}):
                key = (plan.conversation_id, stream)
                if await stack.enter_async_context(_still(self._streams.doorbell, key)):
                    while not self._streams.is_settled(key):
                        await self._database.writer.submit(lambda _: None)  # lazy settles ride along
                    held.add(stream)
            fresh = self._fresh(rows)
            busy = [Outcome(row.id, False, BUSY) for row, _, _ in fresh if row.stream not in held]
            plan_bury(plan, [each for each in fresh if each[0].stream in held], order, self._bench())
            await self._write(plan)
            plan.outcomes += busy

    def _fresh(self, rows: list[Row]) -> list[Row]:
        """As they are now that nothing moves."""
        return amend.rows(self._database.reader, [row.id for row, _, _ in rows])

    def _bench(self) -> Bench:
        return Bench(self._ids, self._boot, self._clock.now_ms())

    async def _write(self, plan: Plan) -> None:
        if not plan.units:
            return
        try:
            await asyncio.shield(self._database.writer.submit(plan.write))
        except ConcurrentUpdate as exc:
            plan.undo(str(exc))


@asynccontextmanager
async def _still(doorbell: EmbeddedDoorbell[K], key: K) -> AsyncIterator[bool]:
    """Hold a key, so that its drain does not run meanwhile. False when it did not end in time."""
    loop = asyncio.get_running_loop()
    limit = loop.time() + WAIT_S
    while not doorbell.enter(key):
        if loop.time() > limit:
            yield False
            return
        await asyncio.sleep(0.01)
    try:
        yield True
    finally:
        doorbell.leave(key)
