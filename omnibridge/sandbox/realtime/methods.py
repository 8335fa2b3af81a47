"""What clients call over DDP. Source: sandbox-conformance 3, rocketchat-api 6.4, 8.3."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from omnibridge.sandbox.channels import Channel
from omnibridge.sandbox.http import Api, need
from omnibridge.sandbox.permissions import may
from omnibridge.sandbox.realtime import access
from omnibridge.sandbox.realtime.frames import date, ejson
from omnibridge.sandbox.realtime.login import LIFE_MS, log_in
from omnibridge.sandbox.realtime.session import Nothing, Session, Subscription
from omnibridge.sandbox.realtime.streams import NOTIFY_ROOM, PRESENCES, Streams
from omnibridge.sandbox.room_shapes import channel_json, subscription_json
from omnibridge.sandbox.sending import send_message
from omnibridge.sandbox.shapes import message_json, room_json, user_json
from omnibridge.sandbox.state import HubError, Room, User, now_ms

NOTHING = Nothing()
Method = Callable[[Session, list[Any]], Awaitable[Any]]
WRITABLE = ("user-activity",)
"""What clients may say to a room themselves; all else is swallowed, the old `typing` too."""


class Methods:
    """Each takes (session, params) and returns the result, or NOTHING for an answer without one."""

    def __init__(self, api: Api, streams: Streams) -> None:
        self._hub, self._life, self._streams = api.hub, api.life, streams
        self._table: dict[str, Method] = {
            "login": self._login,
            "logout": self._logout,
            "sendMessage": self._send,
            "updateMessage": self._update,
            "rooms/get": self._rooms,
            "subscriptions/get": self._subscriptions,
            "getRoomIdByNameOrId": self._room_id,
            "getRoomNameById": self._room_name,
            "joinRoom": self._join,
            "leaveRoom": self._leave,
            "createDirectMessage": self._direct,
            "stream-notify-room": self._notify_room,
            "livechat:setUpConnection": self._set_up,
            "UserPresence:setDefaultStatus": self._presence,
            "UserPresence:online": self._online,
            "UserPresence:away": self._away,
        }
        if api.hub.version < (8, 0):
            self._table["livechat:returnAsInquiry"] = self._return

    async def call(self, session: Session, method: str, params: list[Any]) -> Any:
        if method not in self._table:
            raise HubError("404", f"Method '{method}' not found")
        return await self._table[method](session, params)

    async def _login(self, session: Session, params: list[Any]) -> dict[str, Any]:
        """The user is `added` to the client's `users` before the result comes."""
        user, token, kind = log_in(self._hub, params[0] if params else None)
        session.user, session.token = user, token
        shown = {key: each for key, each in user_json(user).items() if key in ("username", "emails", "name")}
        session.send({"msg": "added", "collection": "users", "id": user.id, "fields": shown})
        return {"id": user.id, "token": token, "tokenExpires": date(now_ms() + LIFE_MS), "type": kind}

    async def _logout(self, session: Session, _: list[Any]) -> Nothing:
        """The token of this log-in is dead afterwards."""
        if session.user:
            session.send({"msg": "removed", "collection": "users", "id": session.user.id})
        self._hub.by_token.pop(session.token, None)
        session.user, session.token = None, ""
        return NOTHING

    async def _send(self, session: Session, params: list[Any]) -> Any:
        saved = await send_message(self._hub, self._user(session), _first(params, dict))
        return NOTHING if saved is None else ejson(message_json(saved))

    async def _update(self, session: Session, params: list[Any]) -> Nothing:
        user, wish = self._user(session), _first(params, dict)
        found = self._hub.messages.get(need(wish, "_id", str))
        if found is None or not access.user_sees(self._hub, user, found.rid):
            raise HubError("error-not-allowed", "Not allowed")
        if found.author is not user and not may(user, "edit-message"):
            raise HubError("error-action-not-allowed", "Message editing not allowed")
        await self._hub.edit(found, need(wish, "msg", str))
        return NOTHING

    async def _rooms(self, session: Session, params: list[Any]) -> Any:
        """A list; with a date `{update, remove}`."""
        user = self._user(session)
        served = [room_json(each) for each in self._hub.rooms.values() if each.open and each.served_by is user]
        return _since([*served, *(channel_json(each) for each in self._hub.channels.of(user))], params)

    async def _subscriptions(self, session: Session, params: list[Any]) -> Any:
        user = self._user(session)
        served = [each for each in self._hub.rooms.values() if each.open and each.served_by is user]
        places: list[Room | Channel] = [*served, *self._hub.channels.of(user)]
        return _since([subscription_json(user, each) for each in places], params)

    async def _room_id(self, session: Session, params: list[Any]) -> str:
        return self._place(session, params).id

    async def _room_name(self, session: Session, params: list[Any]) -> str:
        place = self._place(session, params)
        return (place.visitor.name or place.visitor.username) if isinstance(place, Room) else place.name

    async def _join(self, session: Session, params: list[Any]) -> bool:
        place = self._place(session, params)
        if isinstance(place, Channel):
            place.members.add(self._user(session).id)
        return True

    async def _leave(self, session: Session, params: list[Any]) -> Nothing:
        place = self._place(session, params)
        if isinstance(place, Channel):
            place.members.discard(self._user(session).id)
        return NOTHING

    async def _direct(self, session: Session, params: list[Any]) -> dict[str, Any]:
        other = self._hub.by_name.get(_first(params, str))
        if other is None:
            raise HubError("error-invalid-user", "Invalid user")
        found = self._hub.channels.direct(self._user(session), other)
        return {"t": "d", "rid": found.id}

    async def _notify_room(self, session: Session, params: list[Any]) -> Nothing:
        """Typing: `[rid/user-activity, own username, activities, {token} of a visitor]`. Else nothing happens."""
        event = _first(params, str)
        rid, _, kind = event.partition("/")
        extra = params[3] if len(params) > 3 else None
        token = str(extra.get("token", "")) if isinstance(extra, dict) else ""
        asked = Subscription(session, "", NOTIFY_ROOM, event, token)
        if kind not in WRITABLE or len(params) < 3 or not access.sees_room(self._hub, asked):
            return NOTHING
        room = self._hub.rooms.get(rid)
        is_visitor = room is not None and token == room.visitor.token
        user, name = access.caller(self._hub, session), ""
        if room and is_visitor:
            name = room.visitor.username
        elif user:
            name = user.name if self._hub.settings["UI_Use_Real_Name"] else user.username
        if params[1] == name and isinstance(params[2], list):
            self._streams.say(NOTIFY_ROOM, event, name, params[2], but=session)
        return NOTHING

    async def _set_up(self, session: Session, params: list[Any]) -> Nothing:
        """A visitor's connection: the token counts for all its subscriptions from now on."""
        session.visitor_token = need(_first(params, dict), "token", str)
        return NOTHING

    async def _presence(self, session: Session, params: list[Any]) -> Nothing:
        return self._set_presence(self._user(session), _first(params, str))

    async def _online(self, session: Session, _: list[Any]) -> Nothing:
        return self._set_presence(self._user(session), "online")

    async def _away(self, session: Session, _: list[Any]) -> Nothing:
        return self._set_presence(self._user(session), "away")

    def _set_presence(self, user: User, presence: str) -> Nothing:
        if presence not in PRESENCES:
            raise HubError("error-invalid-status", "Invalid status")
        user.status = presence
        for each in self._hub.listeners:
            each.user_changed(user)
        return NOTHING

    async def _return(self, session: Session, params: list[Any]) -> bool:
        """Only before 8.0; later over REST."""
        user = self._user(session)
        if not may(user, "view-l-room"):
            raise HubError("error-not-allowed", "Not allowed")
        department = params[1] if len(params) > 1 and isinstance(params[1], str) else ""
        return await self._life.return_to_queue(self._hub.room(_first(params, str)), user, department)

    def _user(self, session: Session) -> User:
        user = access.caller(self._hub, session)
        if user is None:
            raise HubError("error-invalid-user", "Invalid user")
        return user

    def _place(self, session: Session, params: list[Any]) -> Room | Channel:
        """A conversation by its id, a channel by id or name. Raises HubError for what the caller may not see."""
        user, name = self._user(session), _first(params, str)
        channels = self._hub.channels
        place = self._hub.rooms.get(name) or channels.find(name)
        if place is None:
            raise HubError("error-invalid-room", "Invalid room")
        if not access.user_sees(self._hub, user, place.id):
            raise HubError("error-not-allowed", "Not allowed")
        return place


def _first(params: list[Any], kind: type[Any]) -> Any:
    if not params or not isinstance(params[0], kind):
        raise HubError("400", "Match failed")
    return params[0]


def _since(found: list[dict[str, Any]], params: list[Any]) -> Any:
    """With a date what has changed since then."""
    since = params[0].get("$date") if params and isinstance(params[0], dict) else None
    shown = [ejson(each) for each in found]
    if since is None:
        return shown
    return {"update": [each for each in shown if each["_updatedAt"]["$date"] > since], "remove": []}
