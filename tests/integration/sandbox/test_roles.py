"""Roles and permissions: who may what, and what is said to who may not."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Hub, Start
from .people import account_log, made, set_avatar, wish

ROOM: dict[str, Any] = {"roomId": "{rid}"}
REFUSED = "User does not have the permissions required for this action [error-unauthorized]"

GUARDED = [
    ("view-full-other-user-info", "GET", "users.info?importId=none", None, 400, "User not found."),
    ("create-user", "POST", "users.create", wish("x"), 400, "Adding user is not allowed [error-action-not-allowed]"),
    (
        "edit-other-user-info",
        "POST",
        "users.update",
        {"userId": "botId", "data": {"name": "X"}},
        400,
        "Editing user is not allowed [error-action-not-allowed]",
    ),
    (
        "assign-roles",
        "POST",
        "users.update",
        {"userId": "botId", "data": {"roles": ["user"]}},
        400,
        "Assign roles is not allowed [error-action-not-allowed]",
    ),
    (
        "edit-other-user-password",
        "POST",
        "users.update",
        {"userId": "botId", "data": {"password": "Correct-Horse-43"}},
        400,
        "Edit user password is not allowed [error-action-not-allowed]",
    ),
    (
        "assign-admin-role",
        "POST",
        "users.create",
        wish("x", roles=["admin"]),
        400,
        "Assigning admin is not allowed [error-action-not-allowed]",
    ),
    ("view-d-room", "GET", "users.list", None, 403, REFUSED),
    ("view-d-room", "GET", "users.listByStatus", None, 403, REFUSED),
    ("delete-user", "POST", "users.delete", {"username": "bot"}, 403, REFUSED),
    (
        "access-permissions",
        "POST",
        "roles.addUserToRole",
        {"username": "bot", "roleId": "guest"},
        400,
        "Accessing permissions is not allowed [error-action-not-allowed]",
    ),
    ("access-permissions", "POST", "roles.removeUserFromRole", {"username": "bot", "roleId": "bot"}, 403, REFUSED),
    ("access-permissions", "GET", "roles.getUsersInRole?role=bot", None, 403, REFUSED),
    ("access-permissions", "POST", "permissions.update", {"permissions": []}, 403, REFUSED),
    ("view-privileged-setting", "GET", "settings/Livechat_enabled", None, 403, REFUSED),
    ("edit-privileged-setting", "POST", "settings/Livechat_enabled", {"value": True}, 403, REFUSED),
    (
        "create-personal-access-tokens",
        "POST",
        "users.generatePersonalAccessToken",
        {"tokenName": "x"},
        400,
        "Not Authorized [not-authorized]",
    ),
    ("view-livechat-manager", "POST", "livechat/users/agent", {"username": "admin"}, 403, REFUSED),
    ("view-livechat-manager", "DELETE", "livechat/users/agent/botId", None, 403, REFUSED),
    ("view-livechat-manager", "POST", "omnichannel/integrations", {}, 403, REFUSED),
    ("view-livechat-manager", "GET", "livechat/integrations.settings", None, 403, REFUSED),
    ("view-livechat-manager", "GET", "livechat/inquiries.list", None, 403, REFUSED),
    ("view-livechat-webhooks", "POST", "livechat/webhook.test", {}, 403, REFUSED),
    ("manage-livechat-departments", "POST", "livechat/department", {"department": {"name": "x"}}, 403, REFUSED),
    (
        "manage-livechat-agents",
        "POST",
        "livechat/agents.saveInfo",
        {"agentId": "botId", "agentData": {}, "agentDepartments": []},
        403,
        REFUSED,
    ),
    ("manage-livechat-agents", "POST", "livechat/agent.status", {"agentId": "botId"}, 403, "unauthorized"),
    ("transfer-livechat-guest", "POST", "livechat/room.forward", {"roomId": "x", "userId": "botId"}, 403, REFUSED),
    ("close-livechat-room", "POST", "livechat/room.closeByUser", {"rid": "x", "comment": "x"}, 403, REFUSED),
    ("view-l-room", "POST", "livechat/room.saveInfo", {"guestData": {}, "roomData": {"_id": "x"}}, 403, REFUSED),
    ("view-l-room", "GET", "livechat/queue", None, 403, REFUSED),
    ("view-livechat-rooms", "GET", "livechat/transfer.history/x", None, 403, REFUSED),
    ("view-outside-room", "GET", "directory", None, 403, REFUSED),
    ("view-livechat-rooms", "GET", "livechat/rooms", None, 403, REFUSED),
    ("view-l-room", "GET", "livechat/inquiries.getOne?roomId=x", None, 403, REFUSED),
    ("view-l-room", "POST", "livechat/inquiries.take", {"inquiryId": "x"}, 403, REFUSED),
]


@pytest.mark.parametrize(("permission", "method", "path", "body", "status", "error"), GUARDED)
async def test_permission_taken_away(
    hub: Hub, permission: str, method: str, path: str, body: Any, status: int, error: str
) -> None:
    """The admin loses one permission; a personal token spares him the second factor."""
    token = hub.running.hub.accounts.issue_access_token(
        hub.running.hub.by_name["admin"], "bridge", bypasses_two_factor=True
    )
    headers = {"X-Auth-Token": token.token}
    await hub.client.control(permissions={permission: []})
    refused = await hub.admin.request(method, path, body, headers)
    await hub.client.control(permissions={permission: ["admin"]})
    allowed = await hub.admin.request(method, path, body, headers)

    assert (refused["_status"], refused["success"], refused["error"]) == (status, False, error)
    assert path.startswith("users.info") or allowed.get("error") != error


async def test_pictures_and_switches_of_others_need_permissions(hub: Hub) -> None:
    off = {"userId": "botId", "activeStatus": False}
    await hub.client.control(permissions={"edit-other-user-avatar": [], "edit-other-user-active-status": []})
    by_other = await hub.admin.post("users.setActiveStatus", off)
    picture = await set_avatar(hub, "admin", b"x", username="bot")
    await hub.client.control(permissions={"manage-moderation-actions": []})
    refused = await hub.admin.post("users.setActiveStatus", off)

    assert (by_other["_status"], refused["_status"], picture["errorType"]) == (200, 403, "error-not-allowed")


async def test_role_is_given_and_taken(hub: Hub) -> None:
    body = {"username": "alice", "roleId": "bot"}
    given = await hub.admin.post("roles.addUserToRole", body)
    again = await hub.admin.post("roles.addUserToRole", body)
    listed = await hub.admin.get("roles.getUsersInRole", role="bot")
    taken = await hub.admin.post("roles.removeUserFromRole", body)
    missing = await hub.admin.post("roles.removeUserFromRole", body)
    last = await hub.admin.post("roles.removeUserFromRole", {"username": "admin", "roleId": "admin"})

    assert (given["role"]["_id"], taken["role"]["_id"]) == ("bot", "bot")
    assert [each["username"] for each in listed["users"]] == ["alice", "bot", "omnibridge"]
    assert [each["errorType"] for each in (again, missing, last)] == [
        "error-user-already-in-role",
        "error-user-not-in-role",
        "error-admin-required",
    ]
    log = await account_log(hub, "roles")
    assert [(each["by"], each["user"], each["added"], each["removed"]) for each in log] == [
        ("admin", "alice", ["bot"], []),
        ("admin", "alice", [], ["bot"]),
    ]


async def test_own_roles_need_a_licence(start_hub: Start) -> None:
    poor, rich = await start_hub(), await start_hub(licence="enterprise")
    refused = await poor.admin.post("roles.create", {"name": "bridge"})
    role = (await rich.admin.post("roles.create", {"name": "bridge", "scope": "Users"}))["role"]
    twice = await rich.admin.post("roles.create", {"name": "bridge"})
    update = {"permissions": [{"_id": "create-user", "roles": ["admin", role["_id"]]}]}
    assert (await rich.admin.post("permissions.update", update))["_status"] == 200
    user = await made(rich, "provisioner", roles=[role["_id"]])
    used = await rich.admin.post("roles.delete", {"roleId": "bridge"})

    assert refused["error"] == "This is an enterprise feature [error-action-not-allowed]"
    assert role["_id"] != role["name"] and user["roles"] == [role["_id"]]
    assert [each["errorType"] for each in (twice, used)] == [
        "error-duplicate-role-names-not-allowed",
        "error-role-in-use",
    ]
    await rich.admin.post("users.delete", {"userId": user["_id"]})
    assert (await rich.admin.post("roles.delete", {"roleId": "bridge"}))["_status"] == 200
    assert (await rich.admin.post("roles.delete", {"roleId": "bot"}))["errorType"] == "error-role-protected"


async def test_permissions_are_listed_and_replaced(hub: Hub) -> None:
    before = {each["_id"]: each["roles"] for each in (await hub.alice.get("permissions.listAll"))["update"]}
    wishes = [{"_id": "create-user", "roles": ["admin", "bot"]}]
    found = await hub.admin.post("permissions.update", {"permissions": wishes})
    unknown = await hub.admin.post("permissions.update", {"permissions": [{"_id": "fly", "roles": []}]})
    stranger = await hub.admin.post(
        "permissions.update", {"permissions": [*wishes, {"_id": "delete-user", "roles": ["x"]}]}
    )

    assert before["create-user"] == ["admin"]
    assert {each["_id"]: each["roles"] for each in found["permissions"]}["create-user"] == ["admin", "bot"]
    assert (await hub.relay.post("users.create", wish("by.bot")))["_status"] == 200
    assert (unknown["error"], unknown["errorType"]) == ("Invalid permission", "error-invalid-permission")
    assert stranger["errorType"] == "error-invalid-role"
    assert [each["added"] for each in await account_log(hub, "permission")] == [["bot"]]


async def test_control_names_what_it_does_not_know(hub: Hub) -> None:
    for wishes in (
        {"permissions": {"fly": []}},
        {"permissions": {"create-user": ["wizard"]}},
        {"expire_tokens": ["x"]},
        {"fail_next": [{"path": "x"}]},
        {"fail_next": [{"path": "me", "x": 1}]},
        {"fail_next": [{"path": "me", "half": True}]},
    ):
        with pytest.raises(RuntimeError, match=r"unknown: (fly|wizard|x|half of me)"):
            await hub.client.control(**wishes)
