"""What happens in the hub, said on the streams to those who may see it. Source: rocketchat-api 8.2."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from omnibridge.sandbox.hub import SimulatedHub
from omnibridge.sandbox.listener import Listener
from omnibridge.sandbox.realtime import access
from omnibridge.sandbox.realtime.frames import ejson, encode, event
from omnibridge.sandbox.realtime.session import Session, Subscription
from omnibridge.sandbox.room_shapes import agent_info_json, channel_json, subscription_json
from omnibridge.sandbox.shapes import inquiry_json, message_json, room_json, visitor_json
from omnibridge.sandbox.state import Message, Room, User, Visitor

MESSAGES, NOTIFY_ROOM, ROOM_DATA = "stream-room-messages", "stream-notify-room", "stream-room-data"
NOTIFY_USER, NOTIFY_LOGGED, LIVECHAT_ROOM = "stream-notify-user", "stream-notify-logged", "stream-livechat-room"

PRESENCES = ("offline", "online", "away", "busy")
"""Their places are the numbers that `user-status` carries."""

_CHANGES = {"opened": "added", "closed": "removed"}


class Streams(Listener):
    """Who listens to which event, and what is said to them."""

    def __init__(self, hub: SimulatedHub) -> None:
        self._hub = hub
        self._subs: defaultdict[tuple[str, str], list[Subscription]] = defaultdict(list)
        self.said = 0

    def add(self, sub: Subscription) -> None:
        """Raises HubError for what is not allowed."""
        access.check(self._hub, sub)
        self._subs[sub.name, sub.event].append(sub)

    def remove(self, sub: Subscription) -> None:
        found = self._subs[sub.name, sub.event]
        if sub in found:
            found.remove(sub)
        if not found:
            del self._subs[sub.name, sub.event]

    def say(self, name: str, event_name: str, *args: Any, but: Session | None = None) -> None:
        """To all subscribers of an event who (still) may see it, but the connection it comes from."""
        found = self._subs.get((name, event_name))
        if not found:
            return
        text = encode(event(name, event_name, ejson(list(args))))
        for sub in list(found):
            if name in access.OF_ROOMS:
                is_seen = access.sees_room(self._hub, sub)
            else:
                is_seen = name in access.FOR_VISITORS or access.caller(self._hub, sub.session) is not None
            if sub.session is not but and is_seen:
                self.said += 1
                sub.session.send_event(text)

    # -- what the hub tells ---------------------------------------------------------------------------------

    def message_saved(self, message: Message) -> None:
        """To the room's streams, and to `__my_messages__` of all who may see the room; the author hears it too.

        System messages of the kinds that `Hide_System_Messages` names are not said.
        """
        if message.system_type and message.system_type in self._hub.settings.get("Hide_System_Messages", ()):
            return
        shown = message_json(message)
        self.say(MESSAGES, message.rid, shown)
        room, channel = self._hub.rooms.get(message.rid), self._hub.channels.by_id.get(message.rid)
        for sub in list(self._subs.get((MESSAGES, access.MY_MESSAGES), ())):
            user = access.caller(self._hub, sub.session)
            if user is None or not access.user_sees(self._hub, user, message.rid):
                continue
            meta: dict[str, Any] = {"roomParticipant": False, "roomType": "l"}
            if room:
                meta |= {"roomParticipant": room.served_by is user, "roomName": _name(room)}
            elif channel:
                is_member = self._hub.channels.is_member(user, channel)
                meta |= {"roomParticipant": is_member, "roomType": channel.kind, "roomName": channel.name}
            self.said += 1
            sub.session.send_event(encode(event(MESSAGES, access.MY_MESSAGES, [ejson(shown), meta])))
        if room:
            self._say_room(room)
        elif channel:
            for user in self._hub.users.values():
                if self._hub.channels.is_member(user, channel):
                    self.say(NOTIFY_USER, f"{user.id}/rooms-changed", "updated", channel_json(channel))

    def message_deleted(self, message: Message) -> None:
        self.say(NOTIFY_ROOM, f"{message.rid}/deleteMessage", {"_id": message.id})

    def room_changed(self, room: Room, what: str, who: User | Visitor | None) -> None:
        """The agent's subscription first, then the room, then the visitor, then those who watch the queue."""
        if isinstance(who, User) and what == "assigned":
            self._say_subscription("inserted", who, room)
        elif isinstance(who, User) and what == "unassigned":
            self._say_subscription("removed", who, room)
        self._say_room(room)
        if what == "closed" and room.served_by:
            self._say_subscription("removed", room.served_by, room)
        if what in ("assigned", "unassigned"):
            self.say(LIVECHAT_ROOM, room.id, {"type": "agentData", "data": agent_info_json(room.served_by)})
        if what in ("opened", "queued", "assigned", "unassigned", "closed"):
            self._say_inquiry(room, _CHANGES.get(what, "changed"))
        if what in ("queued", "assigned", "closed"):
            self._say_queue()

    def visitor_changed(self, visitor: Visitor) -> None:
        if visitor.room:
            self.say(LIVECHAT_ROOM, visitor.room.id, {"type": "visitorData", "visitor": visitor_json(visitor)})

    def user_changed(self, user: User) -> None:
        status = [user.id, user.username, PRESENCES.index(user.status), ""]
        self.say(NOTIFY_LOGGED, "user-status", status)
        for room in self._hub.rooms.values():
            if room.open and room.served_by is user:
                self.say(LIVECHAT_ROOM, room.id, {"type": "agentStatus", "status": user.status})

    def account_noted(self, entry: dict[str, Any]) -> None:
        """An entry of the accounts' record: who is there now, and whose picture has changed."""
        user = self._hub.users.get(entry["user_id"])
        if user and entry["what"] in ("presence", "activated", "deactivated"):
            self.user_changed(user)
        elif user and entry["what"] == "avatar":
            self.say(NOTIFY_LOGGED, "updateAvatar", {"username": user.username, "etag": entry["etag"]})

    # -- parts ------------------------------------------------------------------------------------------------

    def _say_room(self, room: Room) -> None:
        """`rooms-changed` reaches who is subscribed to the room: the agent who serves it."""
        shown = room_json(room)
        self.say(ROOM_DATA, room.id, shown)
        if room.served_by:
            self.say(NOTIFY_USER, f"{room.served_by.id}/rooms-changed", "updated", shown)

    def _say_subscription(self, change: str, user: User, room: Room) -> None:
        self.say(NOTIFY_USER, f"{user.id}/subscriptions-changed", change, subscription_json(user, room))

    def _say_inquiry(self, room: Room, change: str) -> None:
        """With a department only to those who watch it, else to `public`; by its own id with another key."""
        inquiry = inquiry_json(room) or {"_id": room.inquiry_id, "rid": room.id}
        action = {"added": "inserted", "changed": "updated", "removed": "removed"}[change]
        self.say(access.INQUIRIES, room.inquiry_id, {**inquiry, "clientAction": action})
        watched = f"department/{room.department}" if room.department else "public"
        self.say(access.INQUIRIES, watched, {"type": change, **inquiry})

    def _say_queue(self) -> None:
        """Each waiting visitor's place in its queue."""
        waiting: defaultdict[str, list[Room]] = defaultdict(list)
        if LIVECHAT_ROOM not in {name for name, _ in self._subs}:
            return
        for room in self._hub.inquiries.values():
            if room.is_waiting:
                waiting[room.department].append(room)
        for rooms in waiting.values():
            for place, room in enumerate(sorted(rooms, key=lambda each: each.queued_at), 1):
                data = {"spot": place, "estimatedWaitTimeSeconds": 0}
                self.say(LIVECHAT_ROOM, room.id, {"type": "queueData", "data": data})


def _name(room: Room) -> str:
    return room.visitor.name or room.visitor.username
