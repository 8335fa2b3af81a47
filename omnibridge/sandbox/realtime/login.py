"""Logging in over DDP. Source: rocketchat-api 8.1, sandbox-conformance 1."""

from __future__ import annotations

from typing import Any

from omnibridge.sandbox.accounts import is_password
from omnibridge.sandbox.hub import SimulatedHub
from omnibridge.sandbox.state import HubError, User

LIFE_MS = 90 * 24 * 3600 * 1000
"""`Accounts_LoginExpiration`: 90 days."""


def log_in(hub: SimulatedHub, wish: Any, code: str = "") -> tuple[User, str, str]:
    """(user, token, type). By a token to resume, or by name or e-mail and a password, plain or as digest.

    code: of a second factor, which comes as `{totp: {login, code}}`. Raises HubError 403, as the hub does
    whatever is wrong with name or password, or what the second factor lacks.
    """
    if not isinstance(wish, dict):
        raise HubError("400", "Match failed")
    if isinstance(wish.get("totp"), dict):
        return log_in(hub, wish["totp"].get("login"), str(wish["totp"].get("code", "")))
    if "resume" in wish:
        token = str(wish["resume"])
        user = hub.by_token.get(token)
        if user is None or not user.active:
            raise HubError("403", "You've been logged out by the server. Please log in again.")
        return user, token, "resume"
    user = _named(hub, wish.get("user"))
    if user is None:
        raise HubError("403", "User not found" if hub.version < (7, 0) else "Unauthorized")
    if not is_password(user, wish.get("password")):
        raise HubError("403", "Incorrect password" if hub.version < (7, 0) else "Unauthorized")
    if problem := hub.two_factor.login_problem(user, code):
        raise problem
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
    return hub.accounts.with_email(str(given.get("email", "")))
