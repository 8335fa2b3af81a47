"""Who may do what: the default table of permissions and roles. Source: rocketchat-api 15."""

from __future__ import annotations

from omnibridge.sandbox.state import Room, User

_STAFF = frozenset({"livechat-manager", "livechat-monitor", "livechat-agent", "admin"})
_MANAGERS = frozenset({"livechat-manager", "livechat-monitor", "admin"})

ROLES_WITH = {
    "api-bypass-rate-limit": frozenset({"admin", "bot", "app"}),
    "message-impersonate": frozenset({"bot", "app"}),
    "edit-message": frozenset({"admin", "owner", "moderator"}),
    "view-l-room": _STAFF,
    "close-livechat-room": _STAFF,
    "view-livechat-manager": _MANAGERS,
    "view-livechat-rooms": _MANAGERS,
    "close-others-livechat-room": _MANAGERS,
    "save-others-livechat-room-info": _MANAGERS,
    "transfer-livechat-guest": _MANAGERS,
    "manage-livechat-agents": _MANAGERS,
    "manage-livechat-departments": _MANAGERS,
    "view-livechat-departments": _MANAGERS,
    "add-livechat-department-agents": _MANAGERS,
    "edit-omnichannel-contact": frozenset({"livechat-manager", "livechat-agent", "admin"}),
    "view-livechat-webhooks": frozenset({"livechat-manager", "admin"}),
    "view-privileged-setting": frozenset({"admin"}),
    "view-full-other-user-info": frozenset({"admin"}),
    "view-d-room": frozenset({"admin", "user", "bot", "app", "guest"}),
}


def may(user: User, permission: str) -> bool:
    return bool(user.roles & ROLES_WITH[permission])


def may_see(user: User, room: Room) -> bool:
    """Read and post: who serves the room, or holds `view-livechat-rooms` (4.3)."""
    return room.served_by is user or may(user, "view-livechat-rooms")
