"""What befalls a room: opened, assigned, taken, forwarded, returned to the queue, closed. Source: rocketchat-api 7.

livechat/room -> inquiry queued -> taken ; nobody found under Auto_Selection: ready, not retried by itself
forward and return put it back to queued; close removes it. One inquiry for the life of a room.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from omnibridge.sandbox import licences
from omnibridge.sandbox.external_routing import EXTERNAL, ExternalRouting
from omnibridge.sandbox.hub import SimulatedHub
from omnibridge.sandbox.payloads import agent_body
from omnibridge.sandbox.shapes import iso, reference
from omnibridge.sandbox.state import Department, HubError, Room, User, Visitor, new_id, now_ms

AUTO, MANUAL = "Auto_Selection", "Manual_Selection"


class Lifecycle:
    """Routing settings and the transitions of rooms.

    requeue_to_bot: whether rooms that come back to the queue may go to a bot again, as on the real hub; off,
    they reach people. queue_delay_ms: how long the queue worker leaves such a room alone; 0 = delegated within
    the same call.
    """

    def __init__(self, hub: SimulatedHub) -> None:
        self._hub = hub
        self.bot_first = True
        self.requeue_to_bot = False
        self.routing_method = AUTO
        self.accept_with_no_agents = False
        self.queue_delay_ms = 0
        self.external = ExternalRouting(hub.by_name.get)
        self._tasks: set[asyncio.Task[None]] = set()

    async def aclose(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.external.aclose()

    async def open_room(self, visitor: Visitor, preferred: User | None = None, source: str = "api") -> Room:
        """Start, then Taken or Queued. A preferred bot skips the queue and the online test (7.2)."""
        people = self._people(visitor.department)
        if not self.accept_with_no_agents and not any(each.is_available for each in people):
            raise HubError("no-agent-online", "Sorry, no online agents")
        room = Room(new_id(), visitor, now_ms(), new_id(), visitor.department, source, queued_at=now_ms())
        visitor.room = self._hub.rooms[room.id] = self._hub.inquiries[room.inquiry_id] = room
        self._tell(room, "opened", visitor)
        self._hub.store(room, visitor, "system", system_type="livechat-started")
        await self._hub.event("LivechatSessionStart", room)
        if preferred and (preferred.is_bot_agent or (preferred.is_available and self.routing_method == AUTO)):
            await self.assign(room, preferred)
        else:
            await self._delegate(room, bots="first" if self.bot_first else "alike", announce=True)
        return room

    async def assign(self, room: Room, user: User) -> None:
        room.served_by, room.served_at, room.inquiry_status = user, now_ms(), "taken"
        user.open_chats += 1
        self._hub.store(room, user, "system", "connected", system_type="command")
        self._hub.store(room, user, "system", system_type="uj")
        self._note(room, "assigned", user)
        await self._hub.event("LivechatSessionTaken", room, servedBy=agent_body(user))

    async def take(self, room: Room, user: User) -> None:
        if not room.is_waiting:
            raise HubError("error-inquiry-taken", "Inquiry already taken")
        licences.check_contacts(self._hub)
        if not user.is_available:
            raise HubError("error-agent-status-service-offline", "Agent status is offline or Omnichannel is not active")
        if licences.is_full(self._hub, user):
            raise HubError("error-max-number-simultaneous-chats-reached", "Maximum number of chats reached")
        await self.assign(room, user)

    async def forward_to_agent(self, room: Room, user: User, by: User, department: str, comment: str) -> None:
        """Taken, then Forwarded."""
        self._must_be_open(room)
        licences.check_contacts(self._hub)
        if room.served_by is user:
            raise HubError("error-selected-agent-room-agent-are-same", "The selected agent and the room agent are same")
        if department and user.id not in self._department(department).agents:
            raise HubError(
                "error-user-not-belong-to-department", "The selected user does not belong to this department"
            )
        if not user.is_available:
            raise HubError("error-user-is-offline", "User is offline")
        target = {"_id": user.id, "username": user.username, "name": user.name}
        self._transfer(room, by, "agent", comment, transferredTo=target)
        old = self._unassign(room)
        await self.assign(room, user)
        await self._hub.event(
            "LivechatSessionForwarded", room, servedBy=agent_body(user), oldServedBy=agent_body(old)
        )  # fmt: skip

    async def forward_to_department(self, room: Room, department_id: str, by: User, comment: str) -> None:
        """Taken or Queued, then Forwarded with `oldDepartmentId`."""
        self._must_be_open(room)
        licences.check_contacts(self._hub)
        department = self._department(department_id)
        if room.department == department.id:
            raise HubError("error-forwarding-chat-same-department", "The selected department and the room's are same")
        if not self.accept_with_no_agents and not any(each.is_available for each in self._people(department.id)):
            raise HubError("error-no-agents-available-for-service-on-department", "No agents available on department")
        self._transfer(room, by, "department", comment, nextDepartment={"_id": department.id, "name": department.name})
        self._unassign(room)
        old, room.department = room.department, department.id
        await self._requeue(room, announce=False)
        await self._hub.event(
            "LivechatSessionForwarded", room, servedBy=agent_body(room.served_by), oldDepartmentId=old or None
        )  # fmt: skip

    async def return_to_queue(self, room: Room, by: User, department: str = "") -> bool:
        """False when nobody served it. The Queued event is fired before the queue worker gets at it."""
        if not room.open:
            raise HubError("room-closed", "Room is closed")
        if room.served_by is None:
            return False
        if department:
            room.department = self._department(department).id
        self._transfer(room, by, "queue", "")
        self._unassign(room)
        await self._requeue(room, announce=True)
        return True

    async def close(self, room: Room, by: User | Visitor, comment: str) -> None:
        if not room.open:
            raise HubError("error-room-already-closed", "Room already closed")
        room.open, room.closed_at, room.inquiry_status = False, now_ms(), ""
        room.closer, room.closed_by = "visitor" if isinstance(by, Visitor) else "user", by
        room.visitor.room = None
        del self._hub.inquiries[room.inquiry_id]
        if room.served_by:
            room.served_by.open_chats -= 1
        self._hub.store(room, by, "system", comment, system_type="livechat-close")
        self._hub.store(room, room.served_by or by, "system", "promptTranscript", system_type="command")
        self._note(room, "closed", by)
        await self._hub.event(
            "LivechatSession", room, servedBy=agent_body(room.served_by), closer=room.closer,
            closedAt=iso(room.closed_at), closedBy=reference(by),
        )  # fmt: skip

    async def _requeue(self, room: Room, *, announce: bool) -> None:
        room.inquiry_status, room.queued_at = "queued", now_ms()
        bots = ("first" if self.bot_first else "alike") if self.requeue_to_bot else "none"
        if announce or self.queue_delay_ms:
            await self._queued(room)
        if not self.queue_delay_ms:
            await self._delegate(room, bots=bots, announce=not announce)
            return
        task = asyncio.create_task(self._delegate_later(room, bots))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _delegate_later(self, room: Room, bots: str) -> None:
        """The queue worker comes round (`Omnichannel_queue_delay_timeout`)."""
        await asyncio.sleep(self.queue_delay_ms / 1000)
        if room.is_waiting:
            await self._delegate(room, bots=bots, announce=False)

    async def _delegate(self, room: Room, *, bots: str, announce: bool) -> None:
        """To the agent the routing method names; a bot whatever the method is. Else it waits."""
        agent = self._next_agent(room.department, bots)
        if self.routing_method == EXTERNAL and not (bots == "first" and agent and agent.is_bot_agent):
            await self._delegate_outside(room, announce=announce)
            return
        if agent and (self.routing_method == AUTO or agent.is_bot_agent):
            await self.assign(room, agent)
            return
        room.inquiry_status = "ready" if self.routing_method == AUTO else "queued"
        if announce:
            await self._queued(room)

    async def _delegate_outside(self, room: Room, *, announce: bool) -> None:
        """The inquiry stays queued when nobody usable is named; the worker asks again for it (7.3)."""
        self.external.keep_asking(self._worker_round)
        agent = await self.external.next_agent(room.department) if self.external.asks_at_start else None
        if agent and room.is_waiting:
            await self.assign(room, agent)
        elif announce and room.is_waiting:
            await self._queued(room)

    async def _worker_round(self) -> None:
        """One inquiry of each department that has queued ones, the oldest."""
        if self.routing_method != EXTERNAL:
            return
        first: dict[str, Room] = {}
        for room in self._hub.inquiries.values():
            if room.is_waiting and (room.department not in first or room.ts < first[room.department].ts):
                first[room.department] = room
        for department, room in first.items():
            agent = await self.external.next_agent(department, by="worker")
            if agent and room.is_waiting:
                await self.assign(room, agent)

    async def _queued(self, room: Room) -> None:
        self._note(room, "queued", None)
        await self._hub.event("LivechatSessionQueued", room)

    def _unassign(self, room: Room) -> User | None:
        old = room.served_by
        if old is not None:
            old.open_chats -= 1
            room.served_by = None
            self._hub.store(room, old, "system", system_type="ul")
            self._note(room, "unassigned", old)
        return old

    def _transfer(self, room: Room, by: User, scope: str, comment: str, **to: Any) -> None:
        """`livechat_transfer_history` (9.1)."""
        kind = "agent" if room.served_by is by else "user"
        data = {
            "transferredBy": {"_id": by.id, "username": by.username, "name": by.name, "userType": kind},
            "scope": scope,
            "comment": comment,
            "ts": iso(now_ms()),
            **({"previousDepartment": room.department} if room.department else {}),
            **to,
        }
        self._hub.store(room, by, "system", system_type="livechat_transfer_history", extras={"transferData": data})
        self._note(room, f"transfer:{scope}", by)

    def _note(self, room: Room, what: str, who: User | Visitor | None) -> None:
        seq = room.messages[-1].seq if room.messages else 0
        room.log.append({"what": what, "who": who.username if who else "", "at": now_ms(), "seq": seq})
        self._hub.changed(room.id)
        self._tell(room, what, who)

    def _tell(self, room: Room, what: str, who: User | Visitor | None) -> None:
        for each in self._hub.listeners:
            each.room_changed(room, what, who)

    def next_agent(self, department: str) -> User | None:
        """Who would get a new conversation now."""
        return self._next_agent(department, "first" if self.bot_first else "alike")

    def _next_agent(self, department: str, bots: str) -> User | None:
        """The one with the fewest chats, then by name (7.1, 7.2). bots: first, alike, none.

        Bots that come first are not even asked whether they are available. Alike: auto-selection gives
        visitors to an idle bot as to anybody.
        """
        people = [each for each in self._people(department) if not licences.is_full(self._hub, each)]
        found = [each for each in people if bots == "first" and each.is_bot_agent] or [
            each for each in people if each.is_available and (bots != "none" or not each.is_bot_agent)
        ]
        return min(found, key=lambda each: (each.open_chats, each.username), default=None)

    def _people(self, department: str) -> Iterable[User]:
        if department not in self._hub.departments:
            return self._hub.users.values()
        return [self._hub.users[each] for each in self._hub.departments[department].agents if each in self._hub.users]

    def _department(self, department: str) -> Department:
        if department not in self._hub.departments:
            raise HubError("error-invalid-department", "Invalid department")
        return self._hub.departments[department]

    def _must_be_open(self, room: Room) -> None:
        if not room.open:
            raise HubError("This_conversation_is_already_closed", coded=False)
