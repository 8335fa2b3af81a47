"""Who may subscribe to what, and who still sees an event when it happens. Source: rocketchat-api 8.2."""

from __future__ import annotations

from omnibridge.sandbox.hub import SimulatedHub
from omnibridge.sandbox.permissions import may, may_see
from omnibridge.sandbox.realtime.session import Subscription
from omnibridge.sandbox.state import HubError, User

MY_MESSAGES = "__my_messages__"
OF_ROOMS = frozenset({"stream-room-messages", "stream-notify-room", "stream-room-data", "stream-notify-room-users"})
INQUIRIES = "stream-livechat-inquiry-queue-observer"
FOR_ALL = frozenset({"stream-notify-all"})
FOR_USERS = frozenset({"stream-notify-logged", "stream-roles", "stream-user-presence"})
OF_METEOR = "meteor"
"""Subscriptions of Meteor itself, such as `meteor.loginServiceConfiguration`: ready, and silent here."""


def check(hub: SimulatedHub, sub: Subscription) -> None:
    """Raises HubError when the hub answers `nosub`."""
    name, user = sub.name, sub.session.user
    if name in OF_ROOMS:
        is_allowed = sees_room(hub, sub, is_new=True)
    elif name == "stream-livechat-room":
        is_allowed = _is_visitor_of(hub, sub, is_new=True)
    elif name == "stream-notify-user":
        is_allowed = user is not None and sub.event.partition("/")[0] == user.id
    elif name == INQUIRIES:
        is_allowed = user is not None and may(user, "view-l-room")
    elif name in FOR_USERS:
        is_allowed = user is not None
    else:
        is_allowed = name in FOR_ALL or name.startswith(OF_METEOR)
        if not is_allowed:
            raise HubError("404", f"Subscription '{name}' not found")
    if not is_allowed:
        raise HubError("not-allowed")


def sees_room(hub: SimulatedHub, sub: Subscription, *, is_new: bool = False) -> bool:
    """Asked again for each event: who has lost access keeps a subscription that is silent."""
    rid, user = sub.event.partition("/")[0], sub.session.user
    if rid == MY_MESSAGES:
        return user is not None
    return user_sees(hub, user, rid) or _is_visitor_of(hub, sub, is_new=is_new)


def user_sees(hub: SimulatedHub, user: User | None, rid: str) -> bool:
    if user is None or not user.active:
        return False
    room, channel = hub.rooms.get(rid), hub.channels.by_id.get(rid)
    if room:
        return may_see(user, room)
    return channel is not None and hub.channels.may_see(user, channel)


def _is_visitor_of(hub: SimulatedHub, sub: Subscription, *, is_new: bool) -> bool:
    """A new subscription needs an open room; one that was there before hears of the close."""
    room = hub.rooms.get(sub.event.partition("/")[0])
    token = sub.visitor_token or sub.session.visitor_token
    return room is not None and bool(token) and room.visitor.token == token and (room.open or not is_new)
