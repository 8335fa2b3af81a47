"""Who serves a room, changed: assignments, transfers, returns to the queue. What the hub refuses is an outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import msgspec

from omnibridge.clock import Clock
from omnibridge.domain import commands as cmd
from omnibridge.domain.conversation import AGENTS, Conversation
from omnibridge.domain.delivery_events import MoveFailed, MoveSucceeded
from omnibridge.domain.events import UserRef
from omnibridge.engine.faults import Faults
from omnibridge.engine.hub import Hub
from omnibridge.engine.sender import Sent
from omnibridge.errors import DeliveryRejected
from omnibridge.rocketchat.rooms import RoomInfo
from omnibridge.storage.outbox import Delivery

TAKEN = "error-inquiry-taken"

_assign = msgspec.json.Decoder(cmd.AssignAgent)
_department = msgspec.json.Decoder(cmd.TransferToDepartment)
_stray = msgspec.json.Decoder(cmd.RequeueStray)


class Moves:
    """One method per command. listens_ms: a room that is younger is not given to a person yet, because the visitor's
    widget would not hear of it. clock: should agree with the hub's."""

    def __init__(self, faults: Faults, clock: Clock, listens_ms: int) -> None:
        self._faults, self._clock, self._listens_ms = faults, clock, listens_ms

    async def find_arrived(self, hub: Hub, row: Delivery, conversation: Conversation) -> Sent | None:
        """A person who serves, or a department that is reached, tells of a move; None = nothing tells of it."""
        if row.command not in ("AssignAgent", "TransferToDepartment"):
            return None
        room = await hub.client.room(conversation.room)
        if row.command == "TransferToDepartment":
            wanted = _department.decode(row.body).department_id
            return Sent(MoveSucceeded(row.id, "department", wanted)) if room.department == wanted else None
        assign = _assign.decode(row.body)
        if room.served_by is None or room.served_by.id != assign.user_id:
            return None
        return Sent(MoveSucceeded(row.id, "bot" if assign.connection else "agent", assign.user_id))

    async def assign(self, hub: Hub, row: Delivery, conversation: Conversation, maybe_sent: bool) -> Sent:
        """Take the waiting inquiry for the user, or forward the room to him. Reading first makes it repeatable."""
        sent = await self._assign(hub, row, conversation)
        failed = sent.event
        if isinstance(failed, MoveFailed) and failed.move == "bot" and failed.code == TAKEN:
            # Between our look and our call somebody took it, such as a bot that holds a room until it is decided.
            return await self._assign(hub, row, conversation)
        return sent

    async def _assign(self, hub: Hub, row: Delivery, conversation: Conversation) -> Sent:
        wanted = _assign.decode(row.body)
        move = "bot" if wanted.connection else "agent"
        room = await hub.client.room(conversation.room)
        if room.served_by and room.served_by.id == wanted.user_id:
            return Sent(MoveSucceeded(row.id, move, wanted.user_id))
        if move == "agent":
            if _is_over(conversation):
                return Sent()
            if await self._widget_listens(room):
                room = await hub.client.room(conversation.room)
        if room.served_by and _has_another(hub, room.served_by, move, conversation):
            return Sent(MoveFailed(row.id, move, "served-by-another", wanted.user_id, hub.person_of(room)))
        if room.served_by:
            call = hub.client.forward_to_agent(conversation.room, wanted.user_id)
        else:
            inquiry = await hub.client.inquiry(conversation.room)
            if inquiry is None:
                call = hub.client.forward_to_agent(conversation.room, wanted.user_id)
            else:
                call = hub.client.take(inquiry.id, wanted.user_id)
        return await self._move(hub, row, conversation, move, wanted.user_id, call)

    async def _widget_listens(self, room: RoomInfo) -> bool:
        """Wait until it does; whether there was anything to wait for. The hub tells a widget once who serves now, on a
        stream that the widget listens to a moment after it was told of its room."""
        age_ms = max(0, self._clock.now_ms() - room.created_at_ms)
        if age_ms >= self._listens_ms:
            return False
        await asyncio.sleep((self._listens_ms - age_ms) / 1000)
        return True

    async def transfer(self, hub: Hub, row: Delivery, conversation: Conversation, maybe_sent: bool) -> Sent:
        if _is_over(conversation):
            return Sent()
        wanted = _department.decode(row.body)
        if maybe_sent and (await hub.client.room(conversation.room)).department == wanted.department_id:
            return Sent(MoveSucceeded(row.id, "department", wanted.department_id), resolved=True)
        call = hub.client.forward_to_department(conversation.room, wanted.department_id)
        return await self._move(hub, row, conversation, "department", wanted.department_id, call)

    async def return_to_queue(self, hub: Hub, row: Delivery, conversation: Conversation, maybe_sent: bool) -> Sent:
        if _is_over(conversation):
            return Sent()
        if maybe_sent and (await hub.client.room(conversation.room)).served_by is None:
            return Sent(MoveSucceeded(row.id, "queue"), resolved=True)
        call = hub.client.return_to_queue(conversation.room)
        return await self._move(hub, row, conversation, "queue", "", call)

    async def requeue_stray(self, hub: Hub, row: Delivery, conversation: Conversation, maybe_sent: bool) -> Sent:
        """Only if he still serves, and not by a decision made meanwhile; somebody may have taken it from him."""
        stray, decided = _stray.decode(row.body).user_id, conversation.assignment
        if decided.stage in ("moving", "served") and decided.user_id == stray:
            return Sent()
        room = await hub.client.room(conversation.room)
        if room.served_by is None or room.served_by.id != stray:
            return Sent()
        call = hub.client.return_to_queue(conversation.room)
        sent = await self._move(hub, row, conversation, "stray", "", call)
        if isinstance(sent.event, MoveSucceeded):
            # Its own reports may have come while we still believed him to serve; so it is read.
            server = (await hub.client.room(conversation.room)).served_by
            if server and server.id == stray:
                return Sent(MoveFailed(row.id, "stray", "came-back", stray))
            return Sent(MoveSucceeded(row.id, "stray", stray))
        return sent

    async def _move(
        self,
        hub: Hub,
        row: Delivery,
        conversation: Conversation,
        move: str,
        target: str,
        call: Awaitable[object],
    ) -> Sent:
        """A refusal by the hub is an outcome for the router, not a failure of the delivery."""
        try:
            await self._faults.in_flight(call)
        except DeliveryRejected as exc:
            room = await hub.client.room(conversation.room)
            if target and room.served_by and room.served_by.id == target:
                return Sent(MoveSucceeded(row.id, move, target), resolved=True)
            return Sent(MoveFailed(row.id, move, exc.code, target, hub.person_of(room)))
        return Sent(MoveSucceeded(row.id, move, target))


def _is_over(conversation: Conversation) -> bool:
    """People have control, and nobody else is looked for: whoever this move was for, somebody took the visitor by hand
    meanwhile, and keeps him."""
    nothing_decided = conversation.handover.stage == "idle" and conversation.assignment.stage in ("idle", "served")
    return conversation.control.party == AGENTS and nothing_decided


def _has_another(hub: Hub, server: UserRef, move: str, conversation: Conversation) -> bool:
    """Whether a person has the room of whom nothing was known when it was decided who shall have it."""
    if hub.is_ours(server):
        return False
    known = conversation.served_by.id if conversation.served_by else ""
    return move == "bot" or server.id not in (known, conversation.stray, conversation.assignment.former)
