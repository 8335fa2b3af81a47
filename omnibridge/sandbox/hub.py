"""The simulated hub: users, visitors, messages, and who waits for them. Source: rocketchat-api 3, 5.3.

What befalls a room (assignment, forward, close) is in `lifecycle.py`. Everything is in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from omnibridge.sandbox import custom_fields, licences
from omnibridge.sandbox.accounts import Accounts
from omnibridge.sandbox.channels import Channels
from omnibridge.sandbox.files import Files
from omnibridge.sandbox.installed_app import InstalledApp
from omnibridge.sandbox.listener import Listener
from omnibridge.sandbox.payloads import event_body, offline_body
from omnibridge.sandbox.permissions import default_rules, may_see
from omnibridge.sandbox.settings_table import DEFAULTS
from omnibridge.sandbox.state import Department, HubError, Message, Room, User, Visitor, new_id, now_ms
from omnibridge.sandbox.two_factor import TwoFactor
from omnibridge.sandbox.webhook_sender import WebhookSender

SWITCHES = {
    "LivechatSessionStart": "Livechat_webhook_on_start",
    "LivechatSessionQueued": "Livechat_webhook_on_chat_queued",
    "LivechatSessionTaken": "Livechat_webhook_on_chat_taken",
    "LivechatSessionForwarded": "Livechat_webhook_on_forward",
    "LivechatSession": "Livechat_webhook_on_close",
    "LivechatOfflineMessage": "Livechat_webhook_on_offline_msg",
    "LeadCapture": "Livechat_webhook_on_capture",
    "visitor": "Livechat_webhook_on_visitor_message",
    "agent": "Livechat_webhook_on_agent_message",
}
"""Event type, or side of a `Message`, -> the setting that lets it out (2.1). `LivechatEdit` has none."""

_EMAIL = re.compile(r"\b[\w.%+-]+@(?:[A-Z0-9-]+\.)+[A-Z]{2,4}\b", re.IGNORECASE)
_PHONE = re.compile(r"\b\d{4,5}[-\s_]{0,2}\d{4}\b")


class SimulatedHub:
    """One workspace. version: (major, minor). All webhook switches are on to begin with."""

    def __init__(self, version: tuple[int, int], licence: str, seed: int = 0) -> None:
        self.version, self.licence = version, licence
        self.rules = default_rules()
        self.accounts = Accounts(self.rules)
        self.users = self.accounts.users
        self.by_name = self.accounts.by_name
        self.by_token = self.accounts.by_token
        self.departments: dict[str, Department] = {}
        self.switches = dict.fromkeys(SWITCHES.values(), True)
        self.custom_fields: dict[str, str] | None = None
        self.settings = dict(DEFAULTS)
        self.files = Files(self.settings)
        self.seats: int | None = None
        self.has_used_up_contacts = False
        self.mails: list[dict[str, Any]] = []
        self.two_factor = TwoFactor(self)
        self.sender = WebhookSender(is_blocking=version < (8, 0), seed=seed)
        self.sender.on_settled = lambda: self.changed("")
        self.is_stopping = False
        self.app = InstalledApp(lambda rid: self.rooms.get(rid))
        self.listeners: list[Listener] = [self.app]
        self.channels = Channels(self.users, self._saved)
        self._watchers: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._forget()

    def _forget(self) -> None:
        self.visitors: dict[str, Visitor] = {}
        self.by_email: dict[str, Visitor] = {}
        self.by_phone: dict[str, Visitor] = {}
        self.rooms: dict[str, Room] = {}
        self.inquiries: dict[str, Room] = {}
        self.messages: dict[str, Message] = {}
        self.save_ms: list[int] = []
        self.rest_calls: defaultdict[str, int] = defaultdict(int)
        self._seq = self._guests = 0

    async def reset(self) -> None:
        """No conversations, an empty ledger; users, departments and settings stay."""
        await self.sender.reset()
        self._forget()
        self.accounts.audit.clear()
        self.mails.clear()
        self.files.reset()
        self.channels.reset()
        for user in self.users.values():
            user.open_chats, user.status_livechat = 0, "available" if user.is_agent else ""
        self.changed_everywhere()

    # -- users and visitors -----------------------------------------------------------------------------

    def add_user(self, username: str, password: str, roles: set[str], name: str = "") -> User:
        """Ids follow from the names, so that configurations outlive a run."""
        return self.accounts.seed(username, password, roles, name)

    def issue_token(self, user: User) -> str:
        return self.accounts.issue(user)

    def change_setting(self, name: str, value: Any) -> None:
        """A declaration that is no JSON is kept, and then every write of custom fields fails."""
        self.settings[name] = value
        if name == "Livechat_enabled_when_agent_idle":
            self.rules.idle_agents_serve = bool(value)
        if name == "Accounts_CustomFields":
            self.rules.user_fields.clear()
            with contextlib.suppress(HubError):
                self.rules.user_fields.update(custom_fields.declared(value))

    def add_department(self, name: str, agents: set[str]) -> Department:
        """One in total on the community edition (13)."""
        if self.licence == "community" and self.departments:
            raise HubError("error-max-departments-number-reached", "Maximum number of departments reached")
        department = Department(new_id(), name, agents)
        self.departments[department.id] = department
        return department

    def register(self, token: str, email: str, phone: str) -> Visitor:
        """A known phone gives that visitor with its own token; a known e-mail kills the old token (4.1)."""
        visitor = self.visitors.get(token) or self.by_phone.get(phone)
        if visitor is None and email in self.by_email:
            visitor = self.by_email[email]
            del self.visitors[visitor.token]
            visitor.token = token
        if visitor is None:
            self._guests += 1
            visitor = Visitor(new_id(), token, f"guest-{self._guests}")
        self.visitors[visitor.token] = visitor
        self._contact(visitor, email, phone)
        return visitor

    def _contact(self, visitor: Visitor, email: str, phone: str) -> None:
        if email:
            visitor.email = email
            self.by_email[email] = visitor
        if phone:
            visitor.phone = phone
            self.by_phone[phone] = visitor

    def room(self, rid: str, *, code: str = "error-invalid-room") -> Room:
        if rid not in self.rooms:
            raise HubError(code)
        return self.rooms[rid]

    # -- messages ---------------------------------------------------------------------------------------

    async def say_as_visitor(self, room: Room, text: str, message_id: str, via: str, **extras: Any) -> Message:
        if not room.open:
            raise HubError("room-closed")
        if len(text) > self.settings["Message_MaxAllowedSize"]:
            raise HubError("message-length-exceeds-character-limit")
        message = await self._save(room, room.visitor, "visitor", text, message_id, via, extras)
        await self._capture_lead(room, text)
        return message

    async def say_as_user(self, room: Room, user: User, text: str, message_id: str, **extras: Any) -> Message:
        """No check whether the room is open: the serving agent can post into a closed one (4.3)."""
        if not may_see(user, room):
            raise HubError("error-not-allowed", "Not allowed")
        licences.check_contacts(self)
        if len(text) > self.settings["Message_MaxAllowedSize"]:
            raise HubError("error-message-size-exceeded", "Message size exceeds Message_MaxAllowedSize")
        kind = "bot" if "bot" in user.roles else "agent"
        return await self._save(room, user, kind, text, message_id, "chat.sendMessage", extras)

    async def edit(self, message: Message, text: str) -> None:
        """The same text again is a silent no-op (5.4)."""
        if text == message.text:
            return
        message.text, message.edited_at = text, now_ms()
        self._saved(message)
        if message.rid in self.rooms:
            room = self.rooms[message.rid]
            self.changed(room.id)
            await self._message_event(room, message)

    async def replace(self, message: Message, text: str, extras: dict[str, Any]) -> None:
        """Text, blocks and attachments anew, by an installed app."""
        message.text, message.extras, message.edited_at = text, extras, now_ms()
        self._saved(message)
        self.changed(message.rid)
        await self._message_event(self.rooms[message.rid], message)

    def delete(self, message: Message) -> None:
        """No webhook tells of it; the streams do (8.2)."""
        place = self.rooms.get(message.rid) or self.channels.by_id[message.rid]
        place.messages.remove(message)
        del self.messages[message.id]
        if message.rid in self.rooms:
            self.rooms[message.rid].deleted.append((message.id, now_ms()))
        self.changed(message.rid)
        for each in self.listeners:
            each.message_deleted(message)

    def _saved(self, message: Message) -> None:
        self.messages[message.id] = message
        for each in self.listeners:
            each.message_saved(message)

    def store(
        self,
        room: Room,
        author: User | Visitor,
        kind: str,
        text: str = "",
        *,
        message_id: str = "",
        via: str = "hub",
        system_type: str = "",
        extras: dict[str, Any] | None = None,
    ) -> Message:
        """Into the room's history, without any webhook: system messages have none of their own."""
        self._seq += 1
        room.last_ts = max(room.last_ts + 1, now_ms())
        message = Message(
            message_id or new_id(), room.id, text, room.last_ts, self._seq, author, kind, via, system_type, extras or {}
        )
        room.messages.append(message)
        room.counts[kind] += 1
        self._saved(message)
        self.changed(room.id)
        return message

    async def _save(
        self,
        room: Room,
        author: User | Visitor,
        kind: str,
        text: str,
        message_id: str,
        via: str,
        extras: dict[str, Any],
    ) -> Message:
        """Store, then fire the webhook; how long the whole save took is in the ledger."""
        began = now_ms()
        message = self.store(room, author, kind, text, message_id=message_id, via=via, extras=extras)
        await self._message_event(room, message)
        self.save_ms.append(now_ms() - began)
        return message

    # -- webhooks ---------------------------------------------------------------------------------------

    async def event(self, kind: str, room: Room, **extra: Any) -> None:
        """A session event with the whole visible history, if its switch is on."""
        is_on = kind not in SWITCHES or self.switches[SWITCHES[kind]]
        # 7.7.1 sends Taken only while the setting is off; fixed in 7.8.0 (2.6).
        if is_on == (kind == "LivechatSessionTaken" and self.version == (7, 7)):
            return
        visible = [each for each in room.messages if not each.system_type or each.system_type == "livechat-close"]
        await self.sender.fire(event_body(kind, room, visible, departmentId=room.department or None, **extra), room)

    async def leave_offline_message(self, name: str, email: str, text: str) -> None:
        if self.switches[SWITCHES["LivechatOfflineMessage"]]:
            await self.sender.fire(offline_body(name, email, text, now_ms()), None)

    async def _message_event(self, room: Room, message: Message) -> None:
        side = "visitor" if message.kind == "visitor" else "agent"
        if self.switches[SWITCHES[side]]:
            await self.sender.fire(event_body("Message", room, [message]), room, inside_save=True)

    async def _capture_lead(self, room: Room, text: str) -> None:
        """`LeadCapture` carries no messages; what was found is on the visitor by then (2.2)."""
        if not self.switches[SWITCHES["LeadCapture"]]:
            return
        email, phone = _EMAIL.search(text), _PHONE.search(text)
        if email or phone:
            self._contact(room.visitor, email.group() if email else "", phone.group() if phone else "")
            await self.sender.fire(event_body("LeadCapture", room, []), room)

    # -- waiting ----------------------------------------------------------------------------------------

    async def wait(self, rid: str, ready: Callable[[], bool], timeout_ms: int) -> bool:
        """Until `ready()` holds, checked whenever something happens in the room; rid "" = to the webhooks."""
        event = asyncio.Event()
        self._watchers[rid].add(event)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_ms / 1000):
                    while not ready() and not self.is_stopping:
                        await event.wait()
                        event.clear()
            return ready()
        finally:
            self._watchers[rid].discard(event)
            if not self._watchers[rid]:
                del self._watchers[rid]

    def changed(self, rid: str) -> None:
        for event in self._watchers.get(rid, ()):
            event.set()

    def changed_everywhere(self) -> None:
        for rid in list(self._watchers):
            self.changed(rid)
