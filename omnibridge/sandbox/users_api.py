"""Users over REST: made, changed, switched off, deleted. Source: rocketchat-api 3.1, 3.2, 3.6.

Order of the checks, and the texts of the errors, as in the server's `users.ts` and `validateUserData.ts`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.requests import Request
from starlette.routing import Route

from omnibridge.sandbox import custom_fields, licences, passwords
from omnibridge.sandbox.find_users_api import find_user
from omnibridge.sandbox.http import Api, body_of, maybe, need, text_of
from omnibridge.sandbox.permissions import may
from omnibridge.sandbox.shapes import user_json
from omnibridge.sandbox.state import HubError, User, new_id, now_ms

_TEXTS = ("bio", "nickname", "statusText")
_CREATE_KEYS = (
    "email", "name", "password", "username", "active", *_TEXTS, "roles", "joinDefaultChannels", "requirePasswordChange",
    "setRandomPassword", "sendWelcomeEmail", "verified", "customFields", "fields", "freeSwitchExtension",
)  # fmt: skip
_UPDATE_KEYS = (*_CREATE_KEYS, "status")
_EMAIL = re.compile(r"[^\s@<>]+@[^\s@<>]+\.[^\s@<>.]+")


class UsersApi:
    """Routes users.*, but for pictures, tokens and searches."""

    def __init__(self, api: Api) -> None:
        self._api, self._hub, self._accounts = api, api.hub, api.hub.accounts

    def routes(self) -> list[Route]:
        route = self._api.route
        return [
            route("POST", "users.create", self._create),
            route("POST", "users.update", self._update, two_factor=True),
            route("POST", "users.updateOwnBasicInfo", self._update_own),
            route("POST", "users.delete", self._delete),
            route("POST", "users.setActiveStatus", self._set_active),
        ]

    # -- making -----------------------------------------------------------------------------------------

    async def _create(self, request: Request) -> dict[str, Any]:
        """User, then custom fields, then the switch: three writes, between which a server can die.

        Mailed codes are on for every new user by default; they are asked for once his address is verified.
        `livechat-agent` among the roles leaves `statusLivechat` not-available, for a new user is offline (3.6).
        """
        caller = self._api.user(request)
        wish = await body_of(request)
        self._api.only_keys(wish, *_CREATE_KEYS)
        name, username, email, password = (need(wish, key, str) for key in ("name", "username", "email", "password"))
        self._check_name(name)
        fields = maybe(wish, "customFields", dict[str, Any]())
        if fields:
            self._check_fields(fields)
        if not may(caller, "create-user"):
            raise HubError("error-action-not-allowed", "Adding user is not allowed")
        roles = self._roles(caller, wish)
        self._check_username(username)
        self._check_free(username, email)
        if maybe(wish, "setRandomPassword", False):
            password = passwords.random_password()
        else:
            self._check_password(password)
        if not _EMAIL.fullmatch(email):
            raise HubError("error-invalid-email", f"Invalid email {email}")
        licences.check_seat(self._hub, roles)
        if self._api.create_race_ms:  # between the look and the insertion, as the real one has it
            await asyncio.sleep(self._api.create_race_ms / 1000)
        user = User(new_id(), username, name, password, roles, email=email, status="offline", created_at=now_ms())
        user.is_verified = maybe(wish, "verified", False)
        user.has_email_codes = self._hub.settings["Accounts_TwoFactorAuthentication_By_Email_Auto_Opt_In"]
        user.texts = {key: str(wish[key]) for key in _TEXTS if wish.get(key)}
        user.must_change_password = maybe(wish, "requirePasswordChange", False) or "setRandomPassword" in wish
        user.status_livechat = "not-available" if user.is_agent else ""
        self._accounts.add(user)
        self._accounts.note("created", caller, user, roles=sorted(roles), email=email, route="users.create")
        if getattr(request.state, "is_half", False):
            raise HubError("Internal server error", status=500, coded=False)
        self._save_fields(caller, user, fields)
        if not maybe(wish, "active", True):
            self._activate(caller, user, False)
        return {"user": user_json(user)}

    async def _update(self, request: Request) -> dict[str, Any]:
        """`roles` replaces the list, custom fields are merged (3.2)."""
        caller = self._api.user(request)
        wish = await body_of(request)
        self._api.only_keys(wish, "userId", "data", "confirmRelinquish")
        user = self._hub.users.get(need(wish, "userId", str))
        data = need(wish, "data", dict)
        self._api.only_keys(data, *_UPDATE_KEYS)
        if user is not caller and not may(caller, "edit-other-user-info"):
            raise HubError("error-action-not-allowed", "Editing user is not allowed")
        if user is None:
            raise HubError("error-invalid-user", "Invalid user")
        if "verified" in data and user is caller:
            raise HubError("error-action-not-allowed", "Editing email verification is not allowed")
        self._check_name(maybe(data, "name", user.name))
        roles = self._roles(caller, data) if data.get("roles") else user.roles
        if roles != user.roles and not may(caller, "assign-roles"):
            raise HubError("error-action-not-allowed", "Assign roles is not allowed")
        if data.get("password") and user is not caller and not may(caller, "edit-other-user-password"):
            raise HubError("error-action-not-allowed", "Edit user password is not allowed")
        fields = maybe(data, "customFields", dict[str, Any]())
        if fields:
            self._check_fields({**user.custom_fields, **fields})
        self._change_profile(user, data)
        if roles != user.roles:
            self._change_roles(caller, user, roles)
        changed = sorted(set(data) - {"customFields", "roles", "active"})
        if changed:
            self._accounts.note("updated", caller, user, keys=changed)
        self._save_fields(caller, user, fields)
        if "active" in data:
            self._activate(caller, user, need(data, "active", bool))
        return {"user": user_json(user)}

    async def _update_own(self, request: Request) -> dict[str, Any]:
        """Everybody may write his own custom fields, whatever they mean to others; a new address or password wants a
        second factor, for which the old password may stand."""
        user = self._api.user(request)
        wish = await body_of(request)
        self._api.only_keys(wish, "data", "customFields")
        data, fields = need(wish, "data", dict), maybe(wish, "customFields", dict[str, Any]())
        self._api.only_keys(
            data, "email", "name", "username", *_TEXTS, "statusType", "currentPassword", "newPassword", "language"
        )
        self._check_name(maybe(data, "name", user.name))
        if fields:
            self._check_fields({**user.custom_fields, **fields})
        if data.get("email") or data.get("newPassword"):
            self._hub.two_factor.check(request, user, text_of(data, "currentPassword"))
        self._change_profile(user, {**data, "password": data.get("newPassword")})
        if data:
            self._accounts.note("updated", user, user, keys=sorted(data))
        self._save_fields(user, user, fields)
        return {"user": user_json(user)}

    # -- switching off ----------------------------------------------------------------------------------

    async def _set_active(self, request: Request) -> dict[str, Any]:
        caller = self._api.permitted_any(request, "edit-other-user-active-status", "manage-moderation-actions")
        wish = await body_of(request)
        self._api.only_keys(wish, "userId", "activeStatus", "confirmRelinquish")
        user = self._hub.users.get(need(wish, "userId", str))
        is_active = need(wish, "activeStatus", bool)
        if user is None:
            raise HubError("error-invalid-user", "Invalid user")
        self._activate(caller, user, is_active)
        return {"user": {"_id": user.id, "active": user.active}}

    async def _delete(self, request: Request) -> dict[str, Any]:
        caller = self._api.permitted(request, "delete-user")
        user = find_user(self._api, await body_of(request))
        self._must_not_be_last_admin(user)
        for department in self._hub.departments.values():
            department.agents.discard(user.id)
        self._accounts.note("deleted", caller, user)
        self._accounts.remove(user)
        return {"deletedRooms": []} if self._hub.version >= (8, 0) else {}

    def _activate(self, caller: User, user: User, is_active: bool) -> None:
        """Off: every token of his is gone, and an agent is no longer available. On: takes a seat."""
        if user.active == is_active:
            return
        if is_active:
            licences.check_seat(self._hub, user.roles)
        else:
            self._must_not_be_last_admin(user)
            self._accounts.drop_tokens(user)
            user.status = "offline"
            user.status_livechat = "not-available" if user.is_agent else ""
        user.active = is_active
        self._accounts.note("activated" if is_active else "deactivated", caller, user)

    # -- what several need ------------------------------------------------------------------------------

    def _roles(self, caller: User, wish: Mapping[str, Any]) -> set[str]:
        given = set(maybe(wish, "roles", list[str]()))
        if given - set(self._hub.rules.roles):
            raise HubError("error-action-not-allowed", "The field Roles consist invalid role id")
        if "admin" in given and not may(caller, "assign-admin-role"):
            raise HubError("error-action-not-allowed", "Assigning admin is not allowed")
        return given or {"user"}

    def _change_roles(self, caller: User, user: User, roles: set[str]) -> None:
        was_agent, added, removed = user.is_agent, sorted(roles - user.roles), sorted(user.roles - roles)
        if "admin" in removed:
            self._must_not_be_last_admin(user)
        user.roles = roles
        if user.is_agent and not was_agent:
            user.status_livechat = "not-available" if user.status == "offline" else "available"
        elif was_agent and not user.is_agent:
            user.status_livechat = ""
            for department in self._hub.departments.values():
                department.agents.discard(user.id)
        self._accounts.note("roles", caller, user, added=added, removed=removed, route="users.update")

    def _change_profile(self, user: User, data: Mapping[str, Any]) -> None:
        """Everything is checked before anything is written."""
        username, email = maybe(data, "username", user.username), maybe(data, "email", user.email)
        password = maybe(data, "password", "")
        if username != user.username:
            self._check_username(username)
            self._check_free(username if username.lower() != user.username.lower() else "", "")
        if email != user.email:
            self._check_free("", email)
        if password:
            self._check_password(password)
        if username != user.username:
            self._accounts.rename(user, username)
        if email != user.email:
            self._accounts.change_email(user, email)
        user.name, user.password = maybe(data, "name", user.name), password or user.password
        user.is_verified = maybe(data, "verified", user.is_verified)
        user.status = maybe(data, "status", maybe(data, "statusType", user.status))
        user.must_change_password = maybe(data, "requirePasswordChange", user.must_change_password)
        user.texts |= {key: str(data[key]) for key in _TEXTS if key in data}
        user.updated_at = now_ms()

    def _save_fields(self, caller: User, user: User, fields: Mapping[str, Any]) -> None:
        kept = custom_fields.save(self._accounts, user, fields)
        if fields:
            dropped = sorted(set(fields) - set(kept))
            self._accounts.note("custom_fields", caller, user, kept=kept, dropped=dropped)

    def _check_fields(self, fields: Mapping[str, Any]) -> None:
        custom_fields.validate(fields, custom_fields.declared(self._hub.settings["Accounts_CustomFields"]))

    def _check_name(self, name: str) -> None:
        """No markup, and nothing that is no valid escape either: `100%` is refused (7.x)."""
        if self._hub.version < (7, 0):
            return
        text = unquote_to_bytes(name).decode("utf-8", "replace")
        is_escaped_well = not re.search(r"%(?![0-9A-Fa-f]{2})", name) and "\ufffd" not in text
        if re.search(r"[<>\\/]", name + text) or not is_escaped_well:
            raise HubError("Name contains invalid characters", coded=False)

    def _check_username(self, username: str) -> None:
        if not re.fullmatch(self._hub.settings["UTF8_User_Names_Validation"], username):
            raise HubError("error-input-is-not-a-valid-field", f"{username} is not a valid username")

    def _check_free(self, username: str, email: str) -> None:
        for text, taken in ((username, self._accounts.find(username)), (email, self._accounts.with_email(email))):
            if text and taken:
                raise HubError("error-field-unavailable", f"{text} is already in use :(")

    def _check_password(self, password: str) -> None:
        passwords.check(password, is_enforced=self._hub.settings["Accounts_Password_Policy_Enabled"])

    def _must_not_be_last_admin(self, user: User) -> None:
        if (
            "admin" in user.roles
            and sum("admin" in each.roles and each.active for each in self._hub.users.values()) < 2
        ):
            raise HubError("error-action-not-allowed", "Leaving the app without admins is not allowed")
