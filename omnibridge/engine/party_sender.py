"""Deliveries to backends, through their connectors: limits, breaker, and turns whose answer was cut off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import msgspec

from omnibridge.clock import Clock
from omnibridge.connector import Connector, HearsEdits, Reply, ResolvesTurns, Turn, TurnFile, WelcomesVisitors
from omnibridge.connector.desks import Opening
from omnibridge.domain import commands as cmd
from omnibridge.domain.conversation import Conversation
from omnibridge.domain.events import PartyReplied
from omnibridge.domain.files import FileRef, plain_name
from omnibridge.engine.breaker import Breaker
from omnibridge.engine.decisions import speaker_of
from omnibridge.engine.faults import Faults
from omnibridge.engine.ids import session_id
from omnibridge.engine.sender import Sent
from omnibridge.engine.sessions import Sessions
from omnibridge.engine.typing_notices import PartyTyping
from omnibridge.errors import DeliveryError, DeliveryRejected, DeliveryRetryable, DeliveryUncertain
from omnibridge.limits import TimeLimit
from omnibridge.routing.facts import BOT, CRM, NameOf, allowed_facts, known_facts, no_name, told_facts
from omnibridge.storage.outbox import Delivery

_turn = msgspec.json.Decoder(cmd.SendToParty)
_close = msgspec.json.Decoder(cmd.CloseSession)
_open = msgspec.json.Decoder(cmd.OpenSession)
_edit = msgspec.json.Decoder(cmd.EditTurn)
_retract = msgspec.json.Decoder(cmd.RetractTurn)

LinkTo = Callable[[str, str, FileRef, int], str]
"""(workspace, room, file, most bytes) -> an address where it can be fetched, without a log-in, for a while."""

OnUncertain = Literal["resend", "ask", "bury"]


@dataclass(frozen=True)
class Party:
    """One connection as the sender sees it. max_in_flight: calls at a time, so that a slow backend cannot
    use up what others need. on_uncertain: for a turn that may have arrived when the backend cannot tell.
    max_file_bytes: where the download of a visitor's file is cut off, 0 = nowhere."""

    connector: Connector
    facts: frozenset[str] = frozenset()
    on_uncertain: OnUncertain = "ask"
    limit: TimeLimit = field(default_factory=lambda: TimeLimit(30.0))
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(64))
    breaker: Breaker = field(default_factory=Breaker)
    max_file_bytes: int = 0


class ResponseObjects(Protocol):
    """Makes what a bot is told of a press, or of an offered answer that was typed."""

    def of(
        self, row: Delivery, workspace: str, conversation: Conversation, said: cmd.SendToParty
    ) -> dict[str, Any] | None: ...


class PartySender:
    """secret: makes session ids. typing: told of turns that are under way; None = nobody wants to know. Connections
    that are not configured any more reject their rows."""

    def __init__(
        self,
        parties: Mapping[str, Party],
        secret: bytes,
        clock: Clock,
        faults: Faults,
        typing: PartyTyping | None = None,
        sessions: Sessions | None = None,
        objects: ResponseObjects | None = None,
        link_to: LinkTo | None = None,
        name_of: NameOf = no_name,
    ) -> None:
        self._parties, self._secret, self._clock, self._faults = parties, secret, clock, faults
        self._typing, self._sessions, self._objects, self._link_to = typing, sessions, objects, link_to
        self._name_of = name_of

    def wait_until(self, row: Delivery, now_ms: int) -> int:
        party = self._parties.get(row.connection)
        return party.breaker.wait_until(now_ms) if party else 0

    async def find_arrived(self, row: Delivery, conversation: Conversation) -> Sent | None:
        """A turn is resolved when it is its turn: its answer matters, not only its arrival."""
        return None

    async def send(self, row: Delivery, workspace: str, conversation: Conversation, *, maybe_sent: bool) -> Sent:
        party = self._parties.get(row.connection)
        if party is None:
            raise DeliveryRejected(
                f"connection {row.connection!r} is not configured any more", code="connection-unknown"
            )
        session = session_id(self._secret, row.conversation_id, row.connection)
        try:
            async with party.slots:
                sent = await self._call(party, row, workspace, conversation, session, maybe_sent)
        except DeliveryRejected:
            party.breaker.succeeded()  # it answered: it is up
            raise
        except DeliveryError as exc:
            if isinstance(exc, DeliveryRetryable) and exc.answered:
                party.breaker.succeeded()
            else:
                party.breaker.failed(self._clock.now_ms())
            raise
        except asyncio.CancelledError:
            party.breaker.succeeded()
            raise
        except Exception as exc:
            party.breaker.failed(self._clock.now_ms())
            raise DeliveryUncertain(f"{type(exc).__name__} in the connector", code="connector-bug") from exc
        party.breaker.succeeded()
        return sent

    async def _call(
        self,
        party: Party,
        row: Delivery,
        workspace: str,
        conversation: Conversation,
        session: str,
        maybe_sent: bool,
    ) -> Sent:
        if row.command == "CloseSession":
            await self._end(party, row, session, _close.decode(row.body).reason)
            return Sent()
        if row.command in ("EditTurn", "RetractTurn"):
            await self._tell_change(party, session, row)
            return Sent()
        facts = known_facts(workspace, conversation, self._name_of)
        facts |= {f"{BOT}{name}": value for name, value in conversation.bot_facts.items()}
        facts |= {f"{CRM}{name}": value for name, value in conversation.crm_facts.items()}
        if row.command == "OpenSession":
            return await self._open(party, row, conversation, session, allowed_facts(facts, party.facts), maybe_sent)
        said = _turn.decode(row.body)
        turn = Turn(
            row.external_id or str(row.id),  # that of the first row, when an operator had it sent again
            session,
            workspace,
            conversation.room,
            said.text,
            said.choice_value,
            said.message_id,
            said.late,
            allowed_facts(facts, party.facts),
            said.interaction,
            self._objects.of(row, workspace, conversation, said) if self._objects else None,
            self._files(party, workspace, conversation.room, said.files),
        )
        if maybe_sent:
            reply = await self._resolve(party, turn)
            if reply is not None:
                return Sent(self._replied(row, reply, said), resolved=True)
        if self._typing is None:
            reply = await self._say(party, turn, welcome=said.welcome)
        else:
            self._typing.turn_began(row.id, workspace, conversation, row.connection)
            try:
                reply = await self._say(party, turn, welcome=said.welcome)
            finally:
                self._typing.turn_ended(row.id)
        return Sent(self._replied(row, reply, said))

    async def _open(
        self,
        party: Party,
        row: Delivery,
        conversation: Conversation,
        session: str,
        facts: dict[str, Any],
        maybe_sent: bool,
    ) -> Sent:
        if self._sessions is None or row.connection not in self._sessions.desks:
            raise DeliveryRejected(f"connection {row.connection!r} holds no sessions", code="no-desk")
        asked = _open.decode(row.body)
        opening = Opening(
            row.external_id or str(row.id),
            session,
            conversation.workspace,
            conversation.room,
            asked.reason,
            asked.department,
            facts,
            maybe_opened=maybe_sent,
        )
        try:
            async with party.limit():
                await self._sessions.open(row.conversation_id, row.connection, opening, row.created_at)
        except TimeoutError as exc:
            raise DeliveryUncertain(f"no answer within {party.limit.seconds:g} s", code="open-timeout") from exc
        return Sent()

    async def _say(self, party: Party, turn: Turn, *, welcome: bool) -> Reply:
        connector = party.connector
        if welcome and not isinstance(connector, WelcomesVisitors):
            return Reply()
        self._faults.leaves()
        try:
            async with party.limit():
                if welcome and isinstance(connector, WelcomesVisitors):
                    return await connector.on_start(turn)
                return await connector.on_message(turn)
        except TimeoutError as exc:
            raise DeliveryUncertain(f"no answer within {party.limit.seconds:g} s", code="turn-timeout") from exc

    def _files(self, party: Party, workspace: str, room: str, files: tuple[FileRef, ...]) -> tuple[TurnFile, ...]:
        link_to = self._link_to
        if not files or link_to is None:
            return ()
        return tuple(
            TurnFile(
                each.id,
                plain_name(each.name),
                link_to(workspace, room, each, party.max_file_bytes),
                each.media_type,
                each.size,
            )
            for each in files
        )

    async def _tell_change(self, party: Party, session: str, row: Delivery) -> None:
        """Repeated after an uncertain attempt: the same change twice changes nothing."""
        connector = party.connector
        if not isinstance(connector, HearsEdits):
            return
        try:
            async with party.limit():
                if row.command == "EditTurn":
                    edit = _edit.decode(row.body)
                    await connector.on_edit(session, edit.message_id, edit.text)
                else:
                    await connector.on_delete(session, _retract.decode(row.body).message_id)
        except TimeoutError as exc:
            raise DeliveryUncertain(f"no answer within {party.limit.seconds:g} s", code="edit-timeout") from exc

    async def _end(self, party: Party, row: Delivery, session: str, reason: str) -> None:
        is_refused: DeliveryRejected | None = None
        holds = self._sessions if self._sessions is not None and row.connection in self._sessions.desks else None
        if holds is not None:
            await holds.stop_following(row.conversation_id, row.connection)
        try:
            async with party.limit():
                await party.connector.on_close(session, reason)
        except DeliveryRejected as exc:  # it does not know the session, or will not hear of its end
            is_refused = exc
        except TimeoutError as exc:
            raise DeliveryUncertain(f"no answer within {party.limit.seconds:g} s", code="close-timeout") from exc
        if holds is not None:
            await holds.end(row.conversation_id, row.connection)
        if is_refused is not None:
            raise is_refused

    async def _resolve(self, party: Party, turn: Turn) -> Reply | None:
        """What became of an earlier attempt. None = it never arrived, or the setting says to send again."""
        if party.on_uncertain == "resend":
            return None
        cannot_tell = "it may have arrived before, and the backend cannot tell"
        if party.on_uncertain == "ask" and isinstance(party.connector, ResolvesTurns):
            try:
                async with party.limit():
                    return await party.connector.resolve(turn)
            except TimeoutError as exc:
                raise DeliveryRetryable("the backend did not say in time", code="resolve-timeout") from exc
        raise DeliveryRejected(cannot_tell, code="uncertain")

    def _replied(self, row: Delivery, reply: Reply, said: cmd.SendToParty) -> PartyReplied:
        handover = reply.handover
        return PartyReplied(
            connection=row.connection,
            delivery_id=row.id,
            epoch=row.epoch or 0,
            parts=reply.parts,
            handover=handover is not None,
            handover_department=handover.department if handover else "",
            handover_reason=handover.reason if handover else "",
            close=reply.close,
            fallback=reply.fallback,
            welcome=said.welcome,
            accepted=reply.accepted,
            fields=reply.fields,
            agent=speaker_of(reply.agent),
            message_id=said.message_id,
            updates=reply.updates,
            facts=told_facts(reply.facts),
            intent=reply.intent,
            losses=reply.losses,
            declined=reply.declined,
        )
