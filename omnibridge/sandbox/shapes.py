"""Records as the REST API shows them. Source: rocketchat-api 9."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from omnibridge.sandbox.state import Department, Message, Room, User, Visitor


def iso(ms: int | None) -> str | None:
    if ms is None:
        return None
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def defined(body: dict[str, Any]) -> dict[str, Any]:
    """Undefined values are left out, as JSON.stringify does."""
    return {key: value for key, value in body.items() if value is not None}


def reference(who: User | Visitor | None) -> dict[str, Any] | None:
    return {"_id": who.id, "username": who.username} if who else None


def room_json(room: Room) -> dict[str, Any]:
    """A room (9.2). `open` is absent once it is closed."""
    served, visitor = room.served_by, room.visitor
    return defined(
        {
            "_id": room.id,
            "t": "l",
            "fname": visitor.name or visitor.username,
            "ts": iso(room.ts),
            "lm": iso(room.last_ts),
            "msgs": len(room.messages),
            "open": True if room.open else None,
            "v": {"_id": visitor.id, "username": visitor.username, "token": visitor.token, "status": "online"},
            "source": {"type": room.source},
            "departmentId": room.department or None,
            "servedBy": {**(reference(served) or {}), "ts": iso(room.served_at)} if served else None,
            "waitingResponse": True if room.open and not (room.counts["agent"] or room.counts["bot"]) else None,
            "queuedAt": iso(room.queued_at) if room.queued_at else None,
            "livechatData": room.fields or None,
            "tags": room.tags or None,
            "crmData": room.crm_data,
            "lastMessage": message_json(room.messages[-1]) if room.messages else None,
            "closedAt": iso(room.closed_at),
            "closer": room.closer or None,
            "closedBy": reference(room.closed_by),
            "_updatedAt": iso(room.closed_at or max(room.last_ts, room.ts)),
        }
    )


def message_json(message: Message) -> dict[str, Any]:
    """A message (9.1). `token` only on what the visitor wrote: the reliable test for that."""
    author = message.author
    is_visitor = isinstance(author, Visitor)
    return defined(
        {
            **message.extras,
            "_id": message.id,
            "rid": message.rid,
            "msg": message.text,
            "ts": iso(message.ts),
            "u": {"_id": author.id, "username": author.username, "name": author.name},
            "token": author.token if isinstance(author, Visitor) else None,
            "alias": (author.name or None) if is_visitor else message.extras.get("alias"),
            "t": message.system_type or None,
            "_updatedAt": iso(message.edited_at or message.ts),
            "editedAt": iso(message.edited_at),
            "editedBy": reference(author) if message.edited_at else None,
        }
    )


def visitor_json(visitor: Visitor) -> dict[str, Any]:
    """A visitor (9.4)."""
    return defined(
        {
            "_id": visitor.id,
            "username": visitor.username,
            "token": visitor.token,
            "name": visitor.name or None,
            "visitorEmails": [{"address": visitor.email}] if visitor.email else None,
            "phone": [{"phoneNumber": visitor.phone}] if visitor.phone else None,
            "department": visitor.department or None,
            "livechatData": visitor.fields or None,
        }
    )


def inquiry_json(room: Room) -> dict[str, Any] | None:
    """The inquiry of a room (9.3); None once the room is closed."""
    if not room.inquiry_status:
        return None
    return defined(
        {
            "_id": room.inquiry_id,
            "rid": room.id,
            "name": room.visitor.name or room.visitor.username,
            "ts": iso(room.ts),
            "message": next((each.text for each in room.messages if not each.system_type), ""),
            "status": room.inquiry_status,
            "v": {"_id": room.visitor.id, "username": room.visitor.username, "token": room.visitor.token},
            "t": "l",
            "department": room.department or None,
            "source": {"type": room.source},
            "queuedAt": iso(room.queued_at) if room.queued_at else None,
            "takenAt": iso(room.served_at) if room.inquiry_status == "taken" else None,
        }
    )


def user_json(user: User) -> dict[str, Any]:
    """As the server shows a user to himself and to the privileged; never his services (3.2)."""
    return defined(
        {
            "_id": user.id,
            "createdAt": iso(user.created_at),
            "username": user.username,
            "name": user.name,
            "emails": emails_json(user),
            "type": "user",
            "roles": sorted(user.roles),
            "active": user.active,
            "status": user.status,
            "statusConnection": user.status,
            "statusLivechat": user.status_livechat or None,
            "avatarETag": user.avatar.etag if user.avatar else None,
            "customFields": user.custom_fields or None,
            "importIds": user.import_ids or None,
            "lastLogin": iso(user.last_login),
            "requirePasswordChange": True if user.must_change_password else None,
            **user.texts,
            "_updatedAt": iso(user.updated_at),
        }
    )


_PRIVILEGED = ("emails", "roles", "importIds", "lastLogin", "statusConnection", "requirePasswordChange")


def public_user_json(user: User) -> dict[str, Any]:
    """As `users.info` shows a user to who lacks `view-full-other-user-info`: public custom fields only (3.2)."""
    shown = {key: value for key, value in user_json(user).items() if key not in _PRIVILEGED}
    fields = user.fields_marked("public")
    return defined({**shown, "customFields": fields or None})


def listed_user_json(user: User) -> dict[str, Any]:
    """As `users.list` shows a user: no custom fields."""
    names = ("_id", "username", "name", "emails", "roles", "status", "active", "avatarETag", "lastLogin", "type")
    shown = user_json(user)
    return {key: shown[key] for key in names if key in shown}


def emails_json(user: User) -> list[dict[str, Any]] | None:
    return [{"address": user.email, "verified": user.is_verified}] if user.email else None


def agent_json(user: User, departments: list[str]) -> dict[str, Any]:
    """As `livechat/users/agent` lists an agent (3.5): no roles, no custom fields."""
    return defined(
        {
            "_id": user.id,
            "username": user.username,
            "name": user.name,
            "status": user.status,
            "statusLivechat": user.status_livechat or None,
            "emails": emails_json(user),
            "livechatCount": user.open_chats,
            "livechat": {"maxNumberSimultaneousChat": user.max_chats},
            "departments": departments,
        }
    )


def department_json(department: Department) -> dict[str, Any]:
    return {
        "enabled": True,
        "email": "support@example.test",
        "showOnRegistration": True,
        "showOnOfflineForm": True,
        **department.options,
        "_id": department.id,
        "name": department.name,
        "numAgents": len(department.agents),
    }
