"""The simulated hub: rooms, messages, routing. Source: rocketchat-api 4, 5.3, 7."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import defaultdict
from typing import Any

from omnibridge.sandbox.payloads import agent_json, event_body, offline_body
from omnibridge.sandbox.state import Department, HubError, Message, Room, User, Visitor, iso, new_id, now_ms
from omnibridge.sandbox.webhook_sender import WebhookSender


class SimulatedHub:
    """One workspace. version: (major, minor). Everything is in memory and in the ledger."""

    def __init__(self, version: tuple[int, int], licence: str, seed: int = 0) -> None:
        self.version, self.licence = version, licence
        self.users: dict[str, User] = {}
        self.by_token: dict[str, User] = {}
        self.visitors: dict[str, Visitor] = {}
        self.rooms: dict[str, Room] = {}
        self.messages: dict[str, Message] = {}
        self.departments: dict[str, Department] = {}
        self.bot_first = True
        self.requeue_to_bot = False
        self.routing_method = "Auto_Selection"
        self.accept_with_no_agents = False
        self.taken_webhook_on = True
        self.sender = WebhookSender(version < (8, 0), seed)
        self.save_ms: list[int] = []
        self.rest_calls: defaultdict[str, int] = defaultdict(int)
        self._seq = 0
        self._watchers: defaultdict[str, list[asyncio.Event]] = defaultdict(list)

    # -- users ------------------------------------------------------------------------------------------

    def add_user(self, username: str, password: str, roles: set[str], name: str = "") -> User:
        user = User(f"{username.replace('.', '')}Id", username, name or username.title(), password, roles)
        self.users[user.id] = user
        return user

    def issue_token(self, user: User) -> str:
        token = secrets.token_urlsafe(32)
        user.tokens.add(token)
        self.by_token[token] = user
        return token

    def user_named(self, username: str) -> User | None:
        return next((each for each in self.users.values() if each.username == username), None)

    # -- rooms ------------------------------------------------------------------------------------------

    def room(self, rid: str, *, code: str = "error-invalid-room") -> Room:
        if rid not in self.rooms:
            raise HubError(code)
        return self.rooms[rid]

    def open_room_of(self, visitor: Visitor) -> Room | None:
        return next((each for each in self.rooms.values() if each.visitor is visitor and each.open), None)

    async def open_room(self, visitor: Visitor) -> Room:
        agent = self._next_agent(visitor.department, use_bot=self.bot_first)
        anybody = any(each.is_available for each in self.users.values())
        if not anybody and not self.accept_with_no_agents:
            raise HubError("Sorry, no online agents [no-agent-online]", coded=False)
        room = Room(new_id(), visitor, now_ms(), visitor.department, inquiry_id=new_id())
        self.rooms[room.id] = room
        await self.save(room, "", visitor.id, visitor.username, visitor.name, "system", system_type="livechat-started")
        await self._event("LivechatSessionStart", room)
        manual = self.routing_method == "Manual_Selection" and not (agent and agent.is_bot_agent)
        if agent is None or manual:
            await self._event("LivechatSessionQueued", room)
        else:
            await self.assign(room, agent)
        return room

    async def assign(self, room: Room, user: User) -> None:
        room.served_by, room.served_at, room.inquiry_id = user, now_ms(), ""
        user.open_chats += 1
        self._note(room, "assigned", user.username)
        await self.save(room, "connected", user.id, user.username, user.name, "system", system_type="command")
        await self.save(room, "", user.id, user.username, user.name, "system", system_type="uj")
        # 7.7.1 sends Taken only while the setting is off; fixed in 7.8.0 (2.6).
        if self.taken_webhook_on != (self.version == (7, 7)):
            await self._event("LivechatSessionTaken", room, servedBy=agent_json(user))

    async def unassign(self, room: Room) -> User | None:
        old = room.served_by
        if old is not None:
            old.open_chats -= 1
            room.served_by = None
            self._note(room, "unassigned", old.username)
            await self.save(room, "", old.id, old.username, old.name, "system", system_type="ul")
        return old

    async def take(self, room: Room, user: User) -> None:
        if room.served_by is not None or not room.inquiry_id:
            raise HubError("error-inquiry-taken")
        if not user.is_available:
            raise HubError("error-agent-status-service-offline")
        await self.assign(room, user)

    async def forward_to_agent(self, room: Room, user: User) -> None:
        if room.served_by is user:
            raise HubError("error-selected-agent-room-agent-are-same")
        if not user.is_available:
            raise HubError("error-user-is-offline")
        old = await self.unassign(room)
        await self.save_system(room, "livechat_transfer_history")
        await self.assign(room, user)
        await self._event("LivechatSessionForwarded", room, servedBy=agent_json(user), oldServedBy=agent_json(old))

    async def forward_to_department(self, room: Room, department: Department) -> None:
        if room.department == department.id:
            raise HubError("error-forwarding-chat-same-department")
        people = [self.users[each] for each in department.agents if each in self.users]
        if not any(each.is_available for each in people):
            raise HubError("error-no-agents-available-for-service-on-department")
        await self.unassign(room)
        await self.save_system(room, "livechat_transfer_history")
        old, room.department, room.inquiry_id = room.department, department.id, new_id()
        agent = self._next_agent(department.id, use_bot=self.bot_first and self.requeue_to_bot)
        if agent and self.routing_method != "Manual_Selection":
            await self.assign(room, agent)
        await self._event("LivechatSessionForwarded", room, oldDepartmentId=old or None)

    async def return_to_queue(self, room: Room) -> bool:
        if not room.open:
            raise HubError("room-closed")
        if room.served_by is None:
            return False
        await self.unassign(room)
        await self.save_system(room, "livechat_transfer_history")
        room.inquiry_id = new_id()
        self._note(room, "queued", "")
        await self._event("LivechatSessionQueued", room)
        agent = self._next_agent(room.department, use_bot=self.bot_first and self.requeue_to_bot)
        if agent and self.routing_method != "Manual_Selection":
            await self.assign(room, agent)
        return True

    async def close(self, room: Room, closer: str, by: str, comment: str) -> None:
        if not room.open:
            raise HubError("error-room-already-closed")
        room.open, room.closed_at, room.closer, room.closed_by, room.inquiry_id = False, now_ms(), closer, by, ""
        if room.served_by:
            room.served_by.open_chats -= 1
        who = room.served_by.username if room.served_by and closer == "user" else room.visitor.username
        await self.save(room, comment, by, who, who, "system", system_type="livechat-close")
        self._note(room, "closed", by)
        await self._event(
            "LivechatSession", room, servedBy=agent_json(room.served_by), closer=closer,
            closedAt=iso(room.closed_at), closedBy={"_id": by, "username": by},
        )  # fmt: skip

    # -- messages ---------------------------------------------------------------------------------------

    async def save_visitor_message(
        self, room: Room, text: str, message_id: str = "", attachments: list[Any] | None = None
    ) -> Message:
        if not room.open:
            raise HubError("room-closed")
        visitor = room.visitor
        return await self.save(
            room, text, visitor.id, visitor.username, visitor.name, "visitor", message_id, attachments=attachments
        )

    async def save_agent_message(
        self, room: Room, user: User, text: str, message_id: str = "", attachments: list[Any] | None = None
    ) -> Message:
        """No check whether the room is open: the serving agent can post into a closed one (4.3)."""
        if room.served_by is not user and not user.sees_all_rooms:
            raise HubError("error-not-allowed")
        if len(text) > 5000:
            raise HubError("error-message-size-exceeded")
        kind = "bot" if "bot" in user.roles else "agent"
        return await self.save(room, text, user.id, user.username, user.name, kind, message_id, attachments=attachments)

    async def save_system(self, room: Room, system_type: str) -> None:
        await self.save(room, "", room.visitor.id, room.visitor.username, "", "system", system_type=system_type)

    async def save(
        self,
        room: Room,
        text: str,
        author_id: str,
        username: str,
        name: str,
        kind: str,
        message_id: str = "",
        system_type: str = "",
        attachments: list[Any] | None = None,
    ) -> Message:
        """Store, then fire the webhook; how long the whole save took is in the ledger."""
        self._seq += 1
        room.last_ts = max(room.last_ts + 1, now_ms())
        message = Message(
            message_id or new_id(), room.id, text, room.last_ts, self._seq, author_id, username, name, kind,
            system_type, list(attachments or []),
        )  # fmt: skip
        room.messages.append(message)
        self.messages[message.id] = message
        self.changed(room.id)
        if not system_type:
            began = now_ms()
            await self.sender.fire(event_body("Message", room, [message]), room)
            self.save_ms.append(now_ms() - began)
        return message

    async def edit(self, message: Message, text: str) -> None:
        message.text, message.edited_at = text, now_ms()
        await self.sender.fire(event_body("Message", self.rooms[message.rid], [message]), self.rooms[message.rid])

    async def leave_offline_message(self, name: str, email: str, text: str) -> None:
        await self.sender.fire(offline_body(name, email, text, now_ms()), None)

    async def send_edit_event(self, room: Room) -> None:
        """`LivechatEdit`: saved information of a closed room."""
        if not room.open:
            await self._event("LivechatEdit", room)

    # -- waiting ----------------------------------------------------------------------------------------

    async def wait(self, rid: str, ready: Any, timeout_ms: int) -> bool:
        """Until `ready()` holds for a room, checked whenever something happens in it."""
        event = asyncio.Event()
        self._watchers[rid].append(event)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_ms / 1000):
                    while not ready():
                        await event.wait()
                        event.clear()
            return bool(ready())
        finally:
            self._watchers[rid].remove(event)

    def changed(self, rid: str) -> None:
        for event in self._watchers.get(rid, ()):
            event.set()

    def _note(self, room: Room, what: str, who: str) -> None:
        room.log.append({"what": what, "who": who, "at": now_ms(), "seq": self._seq})
        self.changed(room.id)

    async def _event(self, kind: str, room: Room, **extra: Any) -> None:
        visible = [each for each in room.messages if not each.system_type or each.system_type == "livechat-close"]
        await self.sender.fire(event_body(kind, room, visible, departmentId=room.department or None, **extra), room)

    def _next_agent(self, department: str, *, use_bot: bool) -> User | None:
        """Bot first (no availability check), else the available person with the fewest chats (7.1, 7.2)."""
        people = list(self.users.values())
        if department and department in self.departments:
            people = [each for each in people if each.id in self.departments[department].agents]
        bots = [each for each in people if each.is_bot_agent]
        if use_bot and bots:
            return min(bots, key=lambda each: (each.open_chats, each.username))
        free = [each for each in people if each.is_available and not each.is_bot_agent]
        return min(free, key=lambda each: (each.open_chats, each.username), default=None)
