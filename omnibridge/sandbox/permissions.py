"""Who may do what: the default table of permissions and roles. Source: rocketchat-api 15."""

from __future__ import annotations

from omnibridge.sandbox.state import Role, Room, Rules, User

_PEOPLE = "admin user federated-external"
_TALKERS = f"{_PEOPLE} bot app"
_STAFF = "livechat-manager livechat-monitor livechat-agent admin"
_MANAGERS = "livechat-manager livechat-monitor admin"
_MODERATORS = "admin owner moderator"

_HOLDERS = {
    "admin": """create-user edit-other-user-info edit-other-user-password edit-other-user-avatar delete-user
        edit-other-user-active-status assign-roles assign-admin-role access-permissions view-full-other-user-info
        user-generate-access-token view-privileged-setting edit-privileged-setting manage-incoming-integrations
        manage-outgoing-integrations manage-own-incoming-integrations manage-own-outgoing-integrations
        manage-user-status manage-apps view-statistics manage-moderation-actions view-other-user-channels
        edit-other-user-totp""",
    "admin bot app": "api-bypass-rate-limit send-many-messages",
    "bot app": "message-impersonate bypass-time-limit-edit-and-delete",
    "admin user": "create-personal-access-tokens",
    f"{_TALKERS} guest": "view-d-room",
    "admin owner moderator user federated-external": "view-outside-room",
    _TALKERS: "create-d",
    f"{_TALKERS} anonymous": "view-c-room",
    _PEOPLE: "delete-own-message",
    _MODERATORS: "delete-message edit-message",
    "admin owner": "force-delete-message",
    _STAFF: """view-l-room close-livechat-room view-livechat-queue edit-livechat-room-customfields
        on-hold-livechat-room create-livechat-contact update-livechat-contact view-livechat-contact""",
    _MANAGERS: """view-livechat-manager view-livechat-rooms close-others-livechat-room
        save-others-livechat-room-info transfer-livechat-guest manage-livechat-agents manage-livechat-departments
        view-livechat-departments add-livechat-department-agents remove-closed-livechat-rooms
        view-livechat-room-closed-by-another-agent""",
    "livechat-manager livechat-agent admin": "edit-omnichannel-contact",
    "livechat-manager admin": """view-livechat-webhooks view-livechat-customfields remove-closed-livechat-room
        manage-livechat-managers remove-livechat-department""",
}
"""Roles -> permissions that they all hold."""

ROLES_WITH = {name: frozenset(roles.split()) for roles, names in _HOLDERS.items() for name in names.split()}
"""Permission -> roles, as a new workspace has them; `Rules.permissions` is what counts."""

_SCOPES = {
    "Users": "admin user bot app guest anonymous federated-external livechat-agent livechat-manager livechat-monitor",
    "Subscriptions": "owner moderator leader",
}


def default_rules() -> Rules:
    roles = {name: Role(name, name, "", scope, True) for scope, names in _SCOPES.items() for name in names.split()}
    return Rules(dict(ROLES_WITH), roles)


def may(user: User, permission: str) -> bool:
    return bool(user.roles & user.rules.permissions[permission])


def may_see(user: User, room: Room) -> bool:
    """Read and post: who serves the room, or holds `view-livechat-rooms` (4.3)."""
    return room.served_by is user or may(user, "view-livechat-rooms")
