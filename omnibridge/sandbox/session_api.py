"""Log-in and tokens over REST. Source: rocketchat-api 1.3, 1.4, 3.2."""

from __future__ import annotations

import hmac
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from omnibridge.sandbox.accounts import AccessToken
from omnibridge.sandbox.find_users_api import find_user
from omnibridge.sandbox.forms import form_or_json
from omnibridge.sandbox.http import Api, body_of, maybe, reply, text_of
from omnibridge.sandbox.permissions import may
from omnibridge.sandbox.shapes import iso, user_json
from omnibridge.sandbox.state import HubError, User, now_ms


class SessionApi:
    """Who is calling, and with what."""

    def __init__(self, api: Api) -> None:
        self._api, self._hub, self._accounts = api, api.hub, api.hub.accounts

    def routes(self) -> list[Route]:
        route = self._api.route
        return [
            Route("/api/info", self._info),
            Route("/api/v1/info", self._info),
            route("POST", "login", self._login, is_public=True),
            route("POST", "logout", self._logout),
            route("GET", "me", self._me),
            route("POST", "users.createToken", self._create_token),
            route("POST", "users.generatePersonalAccessToken", self._generate, two_factor=True),
            route("POST", "users.regeneratePersonalAccessToken", self._regenerate, two_factor=True),
            route("POST", "users.removePersonalAccessToken", self._remove, two_factor=True),
            route("GET", "users.getPersonalAccessTokens", self._tokens),
        ]

    async def _info(self, _: Request) -> Response:
        """The patch level is hidden from most callers."""
        major, minor = self._hub.version
        return reply({"version": f"{major}.{minor}", "success": True})

    async def _login(self, request: Request) -> Response:
        """Plain password, its SHA-256 digest, or a token to resume; JSON or a form; `code` for a second factor."""
        wish = await form_or_json(request)
        resumed = text_of(wish, "resume")
        user = self._hub.by_token.get(resumed)
        if user is None:
            name = text_of(wish, "user") or text_of(wish, "username") or text_of(wish, "email")
            user = self._accounts.authenticate(name, wish.get("password"))
            if user is None:
                known = self._hub.by_name.get(name) or self._accounts.with_email(name)
                # Tells which credential is wrong before 7.0.
                reason = "Unauthorized" if self._hub.version >= (7, 0) or not known else "Incorrect password"
                reason = "User not found" if self._hub.version < (7, 0) and not known else reason
                return _refused("Unauthorized", reason)
            problem = self._hub.two_factor.login_problem(user, text_of(wish, "code"))
            if problem:
                return _refused(problem.code, problem.reason, problem.details)
        if not user.active:
            return _refused("error-user-is-not-activated", "User is not activated")
        needs_mail = self._hub.settings["Accounts_EmailVerification"] and "admin" not in user.roles
        if needs_mail and not user.is_verified and not resumed:
            return _refused("error-invalid-email", "Invalid email")
        token = resumed or self._accounts.issue(user)
        user.last_login = now_ms()  # presence follows realtime connections, not this
        return reply({"status": "success", "data": {"userId": user.id, "authToken": token, "me": user_json(user)}})

    async def _logout(self, request: Request) -> Response:
        """Drops the token used."""
        self._api.user(request)
        self._accounts.drop(request.headers["x-auth-token"])
        return reply({"status": "success", "data": {"message": "You've been logged out!"}})

    async def _me(self, request: Request) -> dict[str, Any]:
        return user_json(self._api.user(request))

    # -- tokens -----------------------------------------------------------------------------------------

    async def _create_token(self, request: Request) -> dict[str, Any]:
        """8.x: whoever knows the secret of the server's environment. Before: where the environment allows it, for
        oneself, or for others with `user-generate-access-token` (3.2)."""
        caller = self._api.user(request)
        wish = await body_of(request)
        secret, is_old = self._api.create_tokens_secret, self._hub.version < (8, 0)
        if not is_old:
            self._api.only_keys(wish, "userId", "secret")
        user = find_user(self._api, wish)
        if is_old:
            is_allowed = bool(secret) and (user is caller or may(caller, "user-generate-access-token"))
        else:
            is_allowed = bool(secret) and hmac.compare_digest(text_of(wish, "secret"), secret)
        if not is_allowed:
            raise HubError("error-not-authorized", "Not authorized")
        self._accounts.note("token", caller, user, route="users.createToken")
        return {"data": {"userId": user.id, "authToken": self._accounts.issue(user)}}

    async def _generate(self, request: Request) -> dict[str, Any]:
        user, wish = self._owner(request), await body_of(request)
        name = self._token_name(wish)
        if self._find(user, name):
            raise HubError("error-token-already-exists", "A token with this name already exists")
        return self._made(user, name, maybe(wish, "bypassTwoFactor", False))

    async def _regenerate(self, request: Request) -> dict[str, Any]:
        user, wish = self._owner(request), await body_of(request)
        old = self._must_find(user, self._token_name(wish))
        self._accounts.drop(old.token)
        return self._made(user, old.name, old.bypasses_two_factor)

    async def _remove(self, request: Request) -> dict[str, Any]:
        user, wish = self._owner(request), await body_of(request)
        self._accounts.drop(self._must_find(user, self._token_name(wish)).token)
        return {}

    async def _tokens(self, request: Request) -> dict[str, Any]:
        user = self._owner(request)
        found = [each for each in self._accounts.access_tokens.values() if each.user is user]
        shown = [
            {
                "name": each.name,
                "createdAt": iso(each.created_at),
                "lastTokenPart": each.token[-6:],
                "bypassTwoFactor": each.bypasses_two_factor,
            }
            for each in found
        ]
        return {"tokens": shown}

    def _made(self, user: User, name: str, bypasses: bool) -> dict[str, Any]:
        self._accounts.note("token", user, user, name=name, route="users.generatePersonalAccessToken")
        return {"token": self._accounts.issue_access_token(user, name, bypasses_two_factor=bypasses).token}

    def _owner(self, request: Request) -> User:
        user = self._api.user(request)
        if not may(user, "create-personal-access-tokens"):
            raise HubError("not-authorized", "Not Authorized")
        return user

    def _token_name(self, wish: dict[str, Any]) -> str:
        name = text_of(wish, "tokenName")
        if not name:
            raise HubError("The 'tokenName' param is required", coded=False)
        return name

    def _find(self, user: User, name: str) -> AccessToken | None:
        mine = (each for each in self._accounts.access_tokens.values() if each.user is user and each.name == name)
        return next(mine, None)

    def _must_find(self, user: User, name: str) -> AccessToken:
        found = self._find(user, name)
        if found is None:
            raise HubError("error-token-does-not-exists", "Token does not exist")
        return found


def _refused(code: str, reason: str, details: dict[str, Any] | None = None) -> Response:
    body = {"status": "error", "error": code, "message": reason, **({"details": details} if details else {})}
    return reply(body, 401)
