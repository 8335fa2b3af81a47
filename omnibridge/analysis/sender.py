"""Deliveries to analysers: one row in flight per conversation and analyser, bounded in time, never in the relay's way.

A finding is stored before its row is settled, and once for each text; so a row that is carried out again after a
crash changes nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Literal, TypeVar

import msgspec

from omnibridge.analysis.analysers import Analyser, Analysers
from omnibridge.analysis.board import Board
from omnibridge.analysis.correlation import Correlation, correlations
from omnibridge.analysis.transcript import joined, read_hub, read_journal
from omnibridge.clock import Clock
from omnibridge.connector.analysis import Analyzes, Findings, Observed, ReadsTranscripts, Transcript, bounded
from omnibridge.domain import commands as cmd
from omnibridge.domain.conversation import AGENTS, Conversation
from omnibridge.engine.counters import Counters
from omnibridge.engine.hub import Hub
from omnibridge.engine.ids import session_id
from omnibridge.engine.sender import Sent
from omnibridge.errors import DeliveryError, DeliveryRejected, DeliveryRetryable
from omnibridge.storage import findings
from omnibridge.storage.database import Database
from omnibridge.storage.outbox import Delivery

T = TypeVar("T")
ATTEMPTS = 3
"""For one message: what is said next should not wait for long."""

_observe = msgspec.json.Decoder(cmd.ObserveMessage)
_encode = msgspec.json.Encoder().encode


class AnalysisSender:
    """hubs: workspace -> where its conversations can be read."""

    def __init__(
        self,
        analysers: Analysers,
        board: Board,
        hubs: Mapping[str, Hub],
        database: Database,
        clock: Clock,
        counters: Counters,
    ) -> None:
        self._analysers, self._board, self._hubs, self._database = analysers, board, hubs, database
        self._clock, self._counters = clock, counters

    def wait_until(self, row: Delivery, now_ms: int) -> int:
        analyser = self._analysers.get(row.connection)
        return analyser.breaker.wait_until(now_ms) if analyser else 0

    async def find_arrived(self, row: Delivery, conversation: Conversation) -> Sent | None:
        """Carried out again, if it was: nobody can see it twice."""
        return None

    async def send(self, row: Delivery, workspace: str, conversation: Conversation, *, maybe_sent: bool) -> Sent:
        analyser = self._analysers.get(row.connection)
        if analyser is None or analyser.connector is None:
            raise DeliveryRejected(f"analyser {row.connection!r} is not there", code="analyser-unknown")
        if row.command == "HandTranscript":
            await self._hand_over(analyser, row, workspace, conversation)
        else:
            await self._look(analyser, row, workspace, conversation)
        return Sent()

    async def _look(self, analyser: Analyser, row: Delivery, workspace: str, conversation: Conversation) -> None:
        what = _observe.decode(row.body)
        place = (workspace, conversation.room, what.message_id)
        if what.change != "posted":
            self._board.ring(workspace, conversation.room)
        connector = analyser.connector
        if not isinstance(connector, Analyzes):
            analyser.breaker.succeeded()
            return
        if findings.is_changed(self._database.reader, place, row.event_id):
            analyser.breaker.succeeded()
            return  # its successor is in this stream, and what is found of this text would not be kept
        now = self._clock.now_ms()
        what_for = Correlation(
            analyser.name, row.conversation_id, what.message_id, row.event_id, now + analyser.later_ms
        )
        message = Observed(
            workspace,
            conversation.room,
            self._session(row),
            what.message_id,
            what.author,
            what.text,
            what.ts,
            what.change,
            control_of(conversation),
            "" if what.change == "deleted" else correlations.seal(self._database.secret, what_for),
            f"/analysis/{analyser.name}/results",
        )

        async def looked() -> Findings | None:
            found = await connector.on_observed(message)
            return None if found is None else bounded(found)  # what is no finding is a failure of the analyser's

        found = await self._call(analyser, looked, row)
        if found is not None and what.change != "deleted":
            await self._keep(analyser, place, row.event_id, found, what_for.until)

    async def _keep(
        self, analyser: Analyser, place: tuple[str, str, str], event_id: int, found: Findings, until: int
    ) -> None:
        if not found.items and not found.later:
            return
        now = self._clock.now_ms()
        state, end = (findings.WAITING, until) if found.later else (findings.READY, now + analyser.keep_ms)
        version, items = analyser.version, _encode(found.items)
        await self._database.writer.submit(
            lambda cur: findings.keep(cur, place, analyser.name, version, event_id, state, now, end, items)
        )
        self._counters.add("findings", 1, analyser.name, "waiting" if found.later else "kept")
        self._board.ring(*place[:2])

    async def _hand_over(self, analyser: Analyser, row: Delivery, workspace: str, conversation: Conversation) -> None:
        reader, room, connector = self._database.reader, conversation.room, analyser.connector
        self._board.ring(workspace, room)
        done = findings.is_handed_over(reader, workspace, room, analyser.name)
        if done or not isinstance(connector, ReadsTranscripts):
            analyser.breaker.succeeded()
            return
        try:
            whole = await self._transcript(row, workspace, room)
        except DeliveryError:
            analyser.breaker.succeeded()  # it was not asked
            raise
        await self._call(analyser, lambda: connector.on_transcript(whole), row)
        mark = partial(_mark, values=(workspace, room, analyser.name, self._clock.now_ms()))
        await self._database.writer.submit(mark)
        self._counters.add("findings", 1, analyser.name, "transcript")

    async def _transcript(self, row: Delivery, workspace: str, room: str) -> Transcript:
        journal = read_journal(self._database.reader, row.conversation_id)
        gone = findings.deleted_in(self._database.reader, row.conversation_id)
        name, hub = f"{row.conversation_id}", self._hubs.get(workspace)
        try:
            if hub is None:
                raise DeliveryRejected("the workspace is not configured any more", code="workspace-unknown")
            said, deleted = await read_hub(hub, room)
        except DeliveryError:
            if row.attempts + 1 < ATTEMPTS:
                raise DeliveryRetryable("the hub's history cannot be read", code="no-history") from None
            return Transcript(name, workspace, room, self._session(row), joined([], journal, gone), complete=False)
        return Transcript(name, workspace, room, self._session(row), joined(said, journal, gone | deleted))

    def _session(self, row: Delivery) -> str:
        return session_id(self._database.secret, row.conversation_id, f"analysis/{row.connection}")

    async def _call(self, analyser: Analyser, call: Callable[[], Awaitable[T]], row: Delivery) -> T:
        """With its limits; whatever it raises is its own affair."""
        try:
            async with analyser.slots, analyser.limit():
                found = await call()
        except Exception as exc:
            self._counters.add("analysis_failures", 1, analyser.name, type(exc).__name__)
            if isinstance(exc, DeliveryRejected):
                analyser.breaker.succeeded()
                raise
            analyser.breaker.failed(self._clock.now_ms())
            code = exc.code if isinstance(exc, DeliveryError) else type(exc).__name__
            if row.command == "ObserveMessage" and row.attempts + 1 >= ATTEMPTS:
                raise DeliveryRejected("the analyser failed again and again", code=code) from exc
            raise DeliveryRetryable("the analyser failed", code=code) from exc
        except BaseException:
            analyser.breaker.succeeded()
            raise
        analyser.breaker.succeeded()
        return found


def control_of(conversation: Conversation) -> Literal["nobody", "bot", "people"]:
    """Who leads it, as analysers are told."""
    if conversation.control.connection:
        return "bot"
    return "people" if conversation.control.party == AGENTS else "nobody"


def _mark(cursor: Any, *, values: tuple[str, str, str, int]) -> None:
    findings.hand_over(cursor, *values)
