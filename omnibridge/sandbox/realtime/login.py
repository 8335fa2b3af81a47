"""Logging in over DDP. Source: rocketchat-api 8.1, sandbox-conformance 1."""

from __future__ import annotations

import hashlib
from typing import Any

from omnibridge.sandbox.hub import SimulatedHub
from omnibridge.sandbox.shapes import user_json
from omnibridge.sandbox.state import HubError, User

LIFE_MS = 90 * 24 * 3600 * 1000
"""`Accounts_LoginExpiration`: 90 days."""


def log_in(hub: SimulatedHub, wish: Any) -> tuple[User, str, str]:
    """(user, token, type). By a token to resume, or by name or e-mail and a password, plain or as digest.

    Raises HubError 403, as the hub does whatever is wrong.
    """
    if not isinstance(wish, dict):
        raise HubError("400", "Match failed")
    if isinstance(wish.get("totp"), dict):  # no account here has a second factor; the code is not looked at
        return log_in(hub, wish["totp"].get("login"))
    if "resume" in wish:
        token = str(wish["resume"])
        user = hub.by_token.get(token)
        if user is None or not user.active:
            raise HubError("403", "You've been logged out by the server. Please log in again.")
        return user, token, "resume"
    user = _named(hub, wish.get("user"))
    if user is None:
        raise HubError("403", "User not found" if hub.version < (7, 0) else "Unauthorized")
    if not _is_password(user, wish.get("password")):
        raise HubError("403", "Incorrect password" if hub.version < (7, 0) else "Unauthorized")
    if not user.active:
        raise HubError("error-user-is-not-activated", "User is not activated")
    return user, hub.issue_token(user), "password"


def _named(hub: SimulatedHub, given: Any) -> User | None:
    if not isinstance(given, dict):
        return hub.by_name.get(str(given))
    if "username" in given:
        return hub.by_name.get(str(given["username"]))
    if "id" in given:
        return hub.users.get(str(given["id"]))
    email = str(given.get("email", "")).lower()
    for user in hub.users.values():
        if any(each["address"].lower() == email for each in user_json(user).get("emails", [])):
            return user
    return None


def _is_password(user: User, given: Any) -> bool:
    if isinstance(given, dict):
        return given.get("digest") == hashlib.sha256(user.password.encode()).hexdigest()
    return isinstance(given, str) and given == user.password
