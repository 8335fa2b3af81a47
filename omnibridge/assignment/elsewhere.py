"""Questions to another system's own routing: it takes as long as its people take, so each is answered by a ticket.

    AskDecider ──▶ row `open`, promised ──ask──▶ `asked` ──answers──▶ journal ──▶ `decided` ──closed──▶ taken back
                                                     CancelDecision: `withdrawn` ──────────────────────────▲

The row is written before it is promised, the connector keeps its own steps in it, and the answer is journalled under a
key of its own before the row says so: a stop between any two of them repeats a step that looks first. Rounds do not
overlap, and a conversation has one row, so nothing is asked and taken back at the same time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import msgspec
import structlog

from omnibridge.clock import Clock
from omnibridge.connector.bell import Bell
from omnibridge.connector.routing import Asked, DecidesElsewhere, Named, Question
from omnibridge.domain import commands as cmd
from omnibridge.domain.agent_events import DecisionPending
from omnibridge.domain.conversation import Conversation
from omnibridge.engine.counters import Counters
from omnibridge.engine.decisions import DECIDED
from omnibridge.engine.faults import Faults
from omnibridge.engine.ids import IdSequence
from omnibridge.engine.lanes import Lanes
from omnibridge.engine.records_sender import conversation_key
from omnibridge.engine.sender import Sender, Sent
from omnibridge.errors import DeliveryError, DeliveryRejected
from omnibridge.routing.facts import NameOf, allowed_facts, known_facts, no_name
from omnibridge.storage import conversations, routing
from omnibridge.storage.database import Database
from omnibridge.storage.journal import Observation
from omnibridge.storage.outbox import Delivery
from omnibridge.storage.routing import QuestionRow

_log = structlog.get_logger("omnibridge.routing")
_ask = msgspec.json.Decoder(cmd.AskDecider)
_question = msgspec.json.Decoder(Question)
_encode = msgspec.json.Encoder().encode

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
GIVE_UP_MS = 72 * 3_600_000
"""A question that cannot be taken back is forgotten after this."""

MOST_FAILURES = 5
"""Steps of one round."""

LOOKED_AT = 200
"""Questions in one look."""

Left = Literal["nothing", "theirs", "ours"]
"""After a round: no question; somebody there has to answer; or there are steps of ours to take, or to take again."""


@dataclass
class ElsewhereLink:
    """One router that decides. facts: that it may be told. poll_s: between two looks for answers. sweep_s: the same
    while the bell tells of changes, and it is others' turn with every question."""

    connector: DecidesElsewhere
    facts: frozenset[str]
    poll_s: float
    at_a_time: int = 4
    sweep_s: float = 60.0
    bell: Bell = field(default_factory=Bell)
    is_sweep: bool = False

    @property
    def rung(self) -> asyncio.Event:
        """What is new of ours does not wait as what the bell tells may."""
        return self.bell.answers.rung


class Elsewhere(Sender):
    """Sender of `decider:ROUTER`, and who follows what is asked. links: by name of the router."""

    def __init__(
        self,
        links: Mapping[str, ElsewhereLink],
        database: Database,
        lanes: Lanes,
        ids: IdSequence,
        clock: Clock,
        counters: Counters,
        faults: Faults,
        name_of: NameOf = no_name,
    ) -> None:
        self._faults, self._name_of = faults, name_of
        self._links, self._database, self._lanes, self._ids = links, database, lanes, ids
        self._clock, self._counters = clock, counters
        self._pauses: dict[tuple[int, str], tuple[float, float]] = {}

    # -- deliveries -------------------------------------------------------------------------------------

    async def find_arrived(self, row: Delivery, conversation: Conversation) -> Sent | None:
        """A question may be written down twice: its ticket is the same."""
        return None

    async def send(self, row: Delivery, workspace: str, conversation: Conversation, *, maybe_sent: bool) -> Sent:
        name = row.stream.removeprefix("decider:")
        link = self._links.get(name)
        if link is None:
            raise DeliveryRejected(f"router {name!r} is not configured any more", code="decider-unknown")
        write = self._database.writer.submit
        if row.command == "CancelDecision":
            await write(partial(routing.withdraw, router=name, conversation_id=row.conversation_id))
            link.rung.set()
            return Sent()
        wanted = _ask.decode(row.body)
        facts = known_facts(workspace, conversation, self._name_of)
        question = Question(
            str(row.id),
            conversation_key(self._database.secret, workspace, conversation.room),
            workspace,
            conversation.room,
            allowed_facts(facts, link.facts),
            wanted.department,
            wanted.reason,
            wanted.excluded,
        )
        asked = QuestionRow(
            row.id, name, row.conversation_id, routing.OPEN, _encode(question), b"", "", self._clock.now_ms()
        )
        await write(partial(routing.ask, row=asked))
        link.rung.set()
        self._faults.reach("question_to_promise")
        self._counters.add("routing", 1, name, "asked")
        return Sent(DecisionPending(name, question.id, 0))

    # -- following --------------------------------------------------------------------------------------

    async def follow(self, name: str) -> None:
        """Until cancelled."""
        link = self._links[name]
        while True:
            link.rung.clear()
            try:
                left = await self.round(name)
            except Exception as exc:  # the database, or a defect: what is asked must not be left alone
                _log.warning("routing_round_failed", router=name, reason=f"{type(exc).__name__}: {exc}")
                left = "ours"
            link.is_sweep = False
            is_told = left == "theirs" and link.bell.is_live and not link.bell.answers.is_deaf
            pause_s = max(link.poll_s, link.sweep_s) if is_told else link.poll_s
            try:
                async with asyncio.timeout(None if left == "nothing" else pause_s):
                    await link.rung.wait()
            except TimeoutError:
                link.is_sweep = is_told

    async def round(self, name: str) -> Left:
        """Each question one step further."""
        database, link = self._database, self._links[name]
        if not routing.questions(database.reader, name):
            return "nothing"
        await database.writer.submit(partial(routing.withdraw_closed, router=name))
        rows = routing.questions(database.reader, name)
        slots, failed = asyncio.Semaphore(link.at_a_time), list[str]()
        open_rows = [each for each in rows if each.stage == routing.OPEN]
        withdrawn = [each for each in rows if each.stage == routing.WITHDRAWN]
        await asyncio.gather(
            *(self._one(link, each, slots, failed, self._asked) for each in open_rows),
            *(self._one(link, each, slots, failed, self._taken_back) for each in withdrawn),
        )
        waiting = [each for each in routing.questions(database.reader, name) if each.stage == routing.ASKED]
        for at in range(0, len(waiting), LOOKED_AT):
            await self._look(link, waiting[at : at + LOOKED_AT], slots, failed)
        rows = routing.questions(database.reader, name)
        is_ours = failed or any(
            each.stage != routing.ASKED or (each.ticket, each.stage) in self._pauses for each in rows
        )
        return "ours" if is_ours else "theirs"

    async def _one(
        self,
        link: ElsewhereLink,
        row: QuestionRow,
        slots: asyncio.Semaphore,
        failed: list[str],
        work: Callable[[ElsewhereLink, QuestionRow], Awaitable[None]],
    ) -> None:
        """Raises nothing: a round ends when all its steps have, or the next one would take them beside it."""
        try:
            await self._step(link, row, slots, failed, work)
        except Exception as exc:  # the database, or a defect, which may be about this one alone
            failed.append(type(exc).__name__)
            _log.warning("routing_step_broke", router=row.router, ticket=row.ticket, reason=type(exc).__name__)

    async def _step(
        self,
        link: ElsewhereLink,
        row: QuestionRow,
        slots: asyncio.Semaphore,
        failed: list[str],
        work: Callable[[ElsewhereLink, QuestionRow], Awaitable[None]],
    ) -> None:
        """A step that failed is taken again, later each time. failed: steps of this round; after some it is the system,
        and nobody waits for its time-outs one after the other."""
        key = (row.ticket, row.stage)
        not_before, pause_s = self._pauses.get(key, (0.0, FIRST_PAUSE_S))
        if self._clock.monotonic() < not_before:
            return
        try:
            async with slots:
                if len(failed) >= MOST_FAILURES:
                    return
                await work(link, row)
        except DeliveryError as exc:
            wait_s = getattr(exc, "retry_after_s", None) or pause_s
            self._pauses[key] = (self._clock.monotonic() + wait_s, min(LONGEST_PAUSE_S, pause_s * 2))
            self._counters.add("routing", 1, row.router, "retried")
            _log.info("routing_step_failed", router=row.router, ticket=row.ticket, stage=row.stage, code=exc.code)
            if isinstance(exc, DeliveryRejected):
                await self._refused(row, exc)
            else:
                failed.append(exc.code)
            return
        self._pauses.pop(key, None)

    async def _asked(self, link: ElsewhereLink, row: QuestionRow) -> None:
        if not routing.is_asked(self._database.reader, row.ticket):
            return
        await link.connector.ask(_question.decode(row.question), row.state, self._keeper(row))
        self._faults.reach("asked_to_row")
        await self._move(row, (routing.OPEN,), routing.ASKED)

    async def _look(
        self, link: ElsewhereLink, rows: list[QuestionRow], slots: asyncio.Semaphore, failed: list[str]
    ) -> None:
        by_ticket = {str(each.ticket): each for each in rows}
        asked = {key: Asked(_question.decode(each.question), each.state) for key, each in by_ticket.items()}
        try:
            named = await link.connector.answers(list(asked.values()))
        except DeliveryError as exc:
            self._counters.add("routing", 1, rows[0].router, "look-failed")
            _log.info("routing_look_failed", router=rows[0].router, code=exc.code)
            failed.append(exc.code)
            return
        if named and link.is_sweep:
            link.bell.answers.missed()
            _log.info("routing_bell_missed", router=rows[0].router, what="answers")
        await asyncio.gather(
            *(self._one(link, by_ticket[key], slots, failed, partial(self._answer, asked=asked[key], named=each))
              for key, each in named.items())
        )  # fmt: skip

    async def _answer(self, link: ElsewhereLink, row: QuestionRow, *, asked: Asked, named: Named) -> None:
        if named.external_id and named.external_id in asked.question.excluded:
            state = await link.connector.excluded(asked, named.external_id)
            await self._database.writer.submit(partial(routing.reopen, ticket=row.ticket, state=state))
            link.rung.set()
            return
        await self._tell(row, named)

    async def _tell(self, row: QuestionRow, named: Named) -> None:
        """Journalled before the row says so, under a key that lets it count once."""
        found = conversations.room_of(self._database.reader, row.conversation_id)
        if found is not None and routing.is_asked(self._database.reader, row.ticket):
            body = _encode(
                {
                    "ticket": str(row.ticket),
                    "external_id": named.external_id or None,
                    "name": named.name,
                    "cause": named.cause,
                    "reason": "" if named.external_id else named.cause,
                }
            )
            dedupe = f"decided:{row.router}:{row.ticket}"
            now = self._clock.now_ms()
            self._faults.reach("answer_to_journal")
            await self._lanes.take_in(Observation(self._ids.next(), *found, DECIDED, row.router, now, body, dedupe))
            self._counters.add("routing", 1, row.router, "decided" if named.external_id else "nobody")
        self._faults.reach("journal_to_row")
        stage = routing.DECIDED if named.external_id else routing.WITHDRAWN
        await self._move(row, (routing.OPEN, routing.ASKED), stage, named.external_id)

    async def _refused(self, row: QuestionRow, exc: DeliveryRejected) -> None:
        """It would be refused again: nobody is named, and what is there already is taken back as far as it can be."""
        if row.stage != routing.WITHDRAWN:
            await self._tell(row, Named("", "", f"{exc} ({exc.code})"))
        elif self._clock.now_ms() - row.at > GIVE_UP_MS:
            await self._forget(row)

    async def _taken_back(self, link: ElsewhereLink, row: QuestionRow) -> None:
        await link.connector.withdraw(Asked(_question.decode(row.question), row.state))
        await self._forget(row)
        self._counters.add("routing", 1, row.router, "withdrawn")

    async def _forget(self, row: QuestionRow) -> None:
        for stage in (routing.OPEN, routing.ASKED, routing.WITHDRAWN):
            self._pauses.pop((row.ticket, stage), None)
        await self._database.writer.submit(partial(routing.forget, ticket=row.ticket))

    async def _move(self, row: QuestionRow, before: tuple[str, ...], stage: str, agent: str = "") -> None:
        await self._database.writer.submit(
            partial(routing.set_stage, ticket=row.ticket, before=before, stage=stage, agent=agent)
        )

    def _keeper(self, row: QuestionRow) -> Callable[[bytes], Awaitable[None]]:
        async def keep(state: bytes) -> None:
            self._faults.reach("question_step")
            await self._database.writer.submit(partial(routing.keep_state, ticket=row.ticket, state=state))

        return keep
