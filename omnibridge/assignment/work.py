"""Work that waits in another system: one decision for each (work, serial), carried out exactly once.

    waiting ──choose, or ask──▶ row `chosen`, durable ──push──▶ `pushed` | `refused`: chosen anew without him
                                     │ uncertain, or we were killed
                                     └──▶ its standing is looked up first: ours is there = pushed; it still waits at
                                          this serial = pushed now; else `lapsed`

A push that we know of belongs to an earlier serial; one that we do not know of is this row's. The process holds the
database alone, so there is one who pushes for an org. Whoever declines raises the serial: a new decision.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

import msgspec
import structlog

from omnibridge.assignment.choice import Choice, choose
from omnibridge.clock import Clock
from omnibridge.connector.bell import Bell
from omnibridge.connector.routing import Candidate, RoutesWork, Standing, Work
from omnibridge.engine.counters import Counters
from omnibridge.engine.faults import Faults
from omnibridge.errors import DeliveryError, DeliveryRejected
from omnibridge.storage import routing
from omnibridge.storage.database import Database
from omnibridge.storage.routing import CHOSEN, LAPSED, NOBODY, PUSHED, REFUSED, WorkRow

_log = structlog.get_logger("omnibridge.routing")
_encode = msgspec.json.Encoder(order="deterministic").encode
_names = msgspec.json.Decoder(list[str])

AT_A_TIME = 4
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
MOST_REFUSALS = 5
"""Agents of one serial whom the system did not take, before it is left alone for a while."""

MOST_FAILURES = 5
"""Pushes of one round that fail, before the others are left to the next one."""

MOST_LOOKED_AT = 1_000
"""Pieces of work in one look, where nobody can take those that a page shows: somebody may take what is behind them."""

REFUSED_PAUSE_MS = 60_000
PURGE_EVERY_MS = 3_600_000

AskDecider = Callable[[Work, Sequence[Candidate], tuple[str, ...], str], Awaitable[Choice]]
"""(work, who is there, whom it must not name, id of the question) -> what a configured decider says."""


class WorkRouter:
    """One router. is_known: whether an agent is in the directory. ask: None = we choose. page: works in one look.

    poll_s: between two looks. sweep_s: the same while the bell tells of changes and nothing is left waiting: whoever
    could take it may come online, which no bell tells.
    """

    def __init__(
        self,
        name: str,
        connector: RoutesWork,
        database: Database,
        clock: Clock,
        counters: Counters,
        faults: Faults,
        is_known: Callable[[str], bool],
        *,
        ask: AskDecider | None = None,
        page: int = 100,
        poll_s: float = 5.0,
        sweep_s: float = 60.0,
        bell: Bell | None = None,
        keep_ms: int = 30 * 86_400_000,
    ) -> None:
        self._name, self._connector, self._database, self._clock = name, connector, database, clock
        self._counters, self._faults, self._is_known, self._ask = counters, faults, is_known, ask
        self._page, self._poll_s, self._sweep_s, self._keep_ms = page, poll_s, max(poll_s, sweep_s), keep_ms
        self._bell, self._is_left, self._is_sweep = bell or Bell(), False, False
        self._most = page
        self._purged_at = 0

    async def run(self) -> None:
        """Until cancelled."""
        pause_s, rung = FIRST_PAUSE_S, self._bell.work.rung
        while True:
            rung.clear()
            try:
                n_pushed = await self.round()
                pause_s = FIRST_PAUSE_S
                await self._pause(n_pushed)
                continue
            except DeliveryError as exc:
                wait_s, pause_s = getattr(exc, "retry_after_s", None) or pause_s, min(LONGEST_PAUSE_S, pause_s * 2)
                _log.info("routing_round_failed", router=self._name, code=exc.code, next_try_in_s=round(wait_s, 1))
            except Exception as exc:  # the database, or a defect: work must not be left waiting for ever
                wait_s, pause_s = pause_s, min(LONGEST_PAUSE_S, pause_s * 2)
                _log.warning("routing_round_failed", router=self._name, reason=f"{type(exc).__name__}: {exc}")
            await asyncio.sleep(wait_s)  # no bell: it would not fare better

    async def _pause(self, n_pushed: int) -> None:
        """Until the next look is due, or the bell rings."""
        if n_pushed >= self._page:
            return await asyncio.sleep(0)
        bell = self._bell.work
        is_told = self._bell.is_live and not bell.is_deaf and not self._is_left
        self._is_sweep = False
        try:
            async with asyncio.timeout(self._sweep_s if is_told else self._poll_s):
                await bell.rung.wait()
        except TimeoutError:
            self._is_sweep = is_told

    async def round(self) -> int:
        """What is uncertain is settled, then what waits is decided. How many were pushed. Raises DeliveryError."""
        reader = self._database.reader
        uncertain = routing.work_chosen(reader, self._name)
        n_pushed = await self._settle(uncertain) if uncertain else 0
        # Of those the next serial is not decided either: its push could be taken for the one before.
        unsettled = {each.work for each in routing.work_chosen(reader, self._name)}
        found = await self._connector.waiting(self._most)
        waiting = [each for each in found if each.id not in unsettled and self._is_undecided(each)]
        if self._is_sweep and any(self._row(each) is None for each in waiting):
            self._bell.work.missed()
            _log.info("routing_bell_missed", router=self._name, what="work")
        n_decided = await self._decide(waiting) if waiting else 0
        n_pushed += n_decided
        self._is_left = len(found) > n_decided or bool(routing.work_chosen(reader, self._name))
        if len(found) < self._page:
            self._most = self._page
        elif len(found) >= self._most and not n_pushed:
            self._most = max(self._page, min(2 * self._most, MOST_LOOKED_AT))
        await self._purge()
        return n_pushed

    # -- what may have arrived --------------------------------------------------------------------------

    async def _settle(self, rows: list[WorkRow]) -> int:
        found: dict[str, Standing] = {}
        ids = list(dict.fromkeys(each.work for each in rows))
        for at in range(0, len(ids), self._page):
            found |= await self._connector.standing(ids[at : at + self._page])
        again: list[tuple[WorkRow, Work]] = []
        for row in rows:
            standing = found[row.work]
            if standing.waits and standing.serial == row.serial and not self._ours(row, standing):
                again.append((row, _work_of(row)))
            else:
                await self._has_ended(row, standing)
        return await self._push_all(again)

    def _ours(self, row: WorkRow, standing: Standing) -> str:
        """Id of a push that this row must have made; empty = there is none."""
        known = {each.push for each in routing.work_of(self._database.reader, self._name, row.work)}
        return next((each.id for each in standing.pushes if each.id not in known and each.agent == row.agent), "")

    async def _has_ended(self, row: WorkRow, standing: Standing) -> None:
        """It arrived, or is of no use any more."""
        push = self._ours(row, standing)
        await self._put(row, PUSHED if push else LAPSED, push=push)
        self._count("arrived" if push else "lapsed")

    # -- decisions --------------------------------------------------------------------------------------

    def _is_undecided(self, work: Work) -> bool:
        row = self._row(work)
        if row is None or row.stage in (NOBODY, LAPSED):
            return True
        return row.stage == REFUSED and not self._rests(row)

    def _rests(self, row: WorkRow) -> bool:
        is_full = len(_names.decode(row.refused)) >= MOST_REFUSALS
        return is_full and self._clock.now_ms() - row.at < REFUSED_PAUSE_MS

    async def _decide(self, waiting: list[Work]) -> int:
        staff = await self._connector.staff()
        last_given = routing.last_pushes(self._database.reader, self._name, [each.id for each in staff])
        given: dict[str, float] = {}
        rows: list[tuple[WorkRow, Work]] = []
        now, known = self._clock.now_ms(), {each.id for each in staff if self._is_known(each.id)}
        for work in waiting:
            before = self._row(work)
            refused = _names.decode(before.refused) if before else []
            if len(refused) >= MOST_REFUSALS:
                refused = []
            choice = await self._choice(work, staff, known, given, last_given, refused, now)
            await asyncio.sleep(0)  # many of them are no reason to hold up everything else
            was_nobody = before is not None and before.stage == NOBODY and not choice.agent
            if before is not None and was_nobody and _reason_of(before) == choice.reason:
                continue  # as it was: not written again at every look
            row = WorkRow(
                self._name, work.id, work.serial, CHOSEN if choice.agent else NOBODY, choice.agent, "",
                _encode(refused).decode(), _encode({**msgspec.to_builtins(choice), "task": msgspec.to_builtins(work)}),
                now,
            )  # fmt: skip
            if choice.agent:
                given[choice.agent] = given.get(choice.agent, 0.0) + work.weight
                last_given[choice.agent] = now
            rows.append((row, work))
        self._faults.reach("work_to_journal")
        if rows:
            await self._database.writer.submit(partial(routing.put_work, rows=[row for row, _ in rows]))
        self._faults.reach("journal_to_push")
        chosen = [(row, work) for row, work in rows if row.stage == CHOSEN]
        self._count("nobody", len(rows) - len(chosen))
        return await self._push_all(chosen)

    async def _choice(
        self,
        work: Work,
        staff: list[Candidate],
        known: set[str],
        given: Mapping[str, float],
        last_given: Mapping[str, int],
        refused: list[str],
        now: int,
    ) -> Choice:
        if self._ask is None:
            return choose(work, staff, known, given, last_given, set(refused), now)
        declined = [each.agent for each in work.pushes if each.is_declined]
        excluded = tuple(dict.fromkeys([*refused, *declined[-1:]]))
        asked = f"{self._name}_{work.id}_{work.serial}_{len(refused)}"
        able = [each for each in staff if not work.is_his or each.id == work.preferred]
        choice = await self._ask(work, able, excluded, asked)
        agent = self._connector.agent_id(choice.agent)
        if agent in excluded or (agent and work.is_his and agent != work.preferred):
            return msgspec.structs.replace(choice, agent="", reason=f"it names {agent}, who cannot take it")
        looked = tuple(
            msgspec.structs.replace(each, is_taken=True, why="named") if each.agent == agent else each
            for each in choice.candidates
        )
        return msgspec.structs.replace(choice, agent=agent, candidates=looked)

    # -- pushes -----------------------------------------------------------------------------------------

    async def _push_all(self, rows: list[tuple[WorkRow, Work]]) -> int:
        slots, failed = asyncio.Semaphore(AT_A_TIME), list[str]()
        done = await asyncio.gather(*(self._push_one(row, work, slots, failed) for row, work in rows))
        if failed:
            self._count("retried", len(failed))
            _log.info("pushes_failed", router=self._name, failed=len(failed), code=failed[-1])
        return sum(done)

    async def _push_one(self, row: WorkRow, work: Work, slots: asyncio.Semaphore, failed: list[str]) -> bool:
        """Raises nothing: a round ends when all its pushes have, or the next one would repeat what is under way."""
        try:
            return await self._push(row, work, slots, failed)
        except Exception as exc:  # the database, or a defect, which may be about this one alone
            failed.append(type(exc).__name__)
            _log.warning("push_broke", router=self._name, work=row.work, reason=type(exc).__name__)
            return False

    async def _push(self, row: WorkRow, work: Work, slots: asyncio.Semaphore, failed: list[str]) -> bool:
        """A refusal is settled, after a look: an earlier attempt may have come first, or the work may be gone. Whatever
        else goes wrong leaves the row to the next round, which looks as well."""
        async with slots:
            if len(failed) >= MOST_FAILURES:
                return False
            try:
                push = await self._connector.push(work, row.agent)
            except DeliveryRejected as exc:
                try:
                    standing = (await self._connector.standing([row.work]))[row.work]
                except DeliveryError as unknown:
                    failed.append(unknown.code)
                    return False
                if self._ours(row, standing) or not standing.waits or standing.serial != row.serial:
                    await self._has_ended(row, standing)
                    return False
                refused = [*_names.decode(row.refused), row.agent]
                await self._put(row, REFUSED, refused=_encode(refused).decode())
                self._count("refused")
                _log.info("work_not_taken", router=self._name, work=row.work, agent=row.agent, code=exc.code)
                return False
            except DeliveryError as exc:
                failed.append(exc.code)
                return False
        self._faults.reach("push_to_settle")
        await self._put(row, PUSHED, push=push)
        self._count("pushed")
        return True

    async def _put(self, row: WorkRow, stage: str, **changes: str) -> None:
        after = msgspec.structs.replace(row, stage=stage, at=self._clock.now_ms(), **changes)
        await self._database.writer.submit(partial(routing.put_work, rows=[after]))

    def _row(self, work: Work) -> WorkRow | None:
        return routing.find_work(self._database.reader, self._name, work.id, work.serial)

    def _count(self, outcome: str, n: int = 1) -> None:
        if n:
            self._counters.add("routing", n, self._name, outcome)

    async def _purge(self) -> None:
        now = self._clock.now_ms()
        if now - self._purged_at >= PURGE_EVERY_MS:
            self._purged_at = now
            await self._database.writer.submit(
                partial(routing.purge_work, router=self._name, before_ms=now - self._keep_ms)
            )


class _Kept(msgspec.Struct):
    reason: str
    task: Work


_kept = msgspec.json.Decoder(_Kept)


def _work_of(row: WorkRow) -> Work:
    return _kept.decode(row.decision).task


def _reason_of(row: WorkRow) -> str:
    return _kept.decode(row.decision).reason
