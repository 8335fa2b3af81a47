"""Pictures of users: set over REST, shown to everybody. Source: rocketchat-api 3.2.

Headers as in the server's `routes/avatar`: no ETag header; the answer may be kept `Accounts_AvatarCacheTime` seconds
by whoever asked, so clients add the user's `avatarETag` to the address. Pictures are kept as they come, not resized.
"""

from __future__ import annotations

import html
import ipaddress
import re
from email.utils import formatdate
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from omnibridge.sandbox.find_users_api import find_user
from omnibridge.sandbox.forms import is_multipart, upload_of
from omnibridge.sandbox.http import Api, body_of, forbidden, text_of
from omnibridge.sandbox.permissions import may
from omnibridge.sandbox.state import Avatar, HubError, User, new_id, now_ms

FALLBACK_MODIFIED = "Thu, 01 Jan 2015 00:00:00 GMT"
"""Of the letters that are shown for who has no picture."""


class AvatarsApi:
    """users.setAvatar, users.resetAvatar, users.getAvatar, /avatar/."""

    def __init__(self, api: Api) -> None:
        self._api, self._hub = api, api.hub

    def routes(self) -> list[Route]:
        route = self._api.route
        return [
            route("POST", "users.setAvatar", self._set),
            route("POST", "users.resetAvatar", self._reset),
            route("GET", "users.getAvatar", self._redirect, is_public=True),
            Route("/avatar/uid/{id}", self._by_id),
            Route("/avatar/{name:path}", self._by_name),
        ]

    async def _set(self, request: Request) -> dict[str, Any]:
        """A file in the field `image`, or an `avatarUrl` to fetch; `userId` or `username` says whose."""
        caller = self._api.user(request)
        may_others = may(caller, "edit-other-user-avatar")
        if not self._hub.settings["Accounts_AllowUserAvatarChange"] and not may_others:
            raise HubError("error-not-allowed", "Change avatar is not allowed")
        if not is_multipart(request):
            wish = await body_of(request)
            user = find_user(self._api, wish) if any(wish.get(key) for key in ("userId", "username")) else caller
            if user is not caller and not may_others:
                raise forbidden()
            if not wish.get("avatarUrl"):
                raise HubError("The 'image' param is required", coded=False)
            content, media_type = await self._fetch(user, text_of(wish, "avatarUrl"))
        else:
            upload = await upload_of(request, "image")
            if upload is None:
                raise HubError("The 'image' param is required", coded=False)
            if len(upload.content) > self._hub.settings["FileUpload_MaxFileSize"]:
                raise HubError("error-file-too-large", bracketed=False)
            user = self._named(upload.fields) or caller
            if user is not caller and not may_others:
                raise HubError("error-not-allowed", "Not allowed")
            content, media_type = upload.content, upload.media_type
        user.avatar = Avatar(content, media_type, now_ms(), new_id())
        user.updated_at = now_ms()
        self._hub.accounts.note("avatar", caller, user, etag=user.avatar.etag, size=len(content))
        return {}

    async def _reset(self, request: Request) -> dict[str, Any]:
        caller, wish = self._api.user(request), await body_of(request)
        user = find_user(self._api, wish) if wish else caller
        is_own = user is caller and self._hub.settings["Accounts_AllowUserAvatarChange"]
        if not is_own and not may(caller, "edit-other-user-avatar"):
            raise HubError("error-not-allowed", "Reset avatar is not allowed")
        user.avatar = None
        self._hub.accounts.note("avatar", caller, user, etag="", size=0)
        return {}

    async def _redirect(self, request: Request) -> Response:
        user = find_user(self._api, request.query_params)
        url = str(request.base_url) + f"avatar/{user.username}"
        return Response(url, 307, {"Location": url}, "application/json")

    async def _by_id(self, request: Request) -> Response:
        user = self._hub.users.get(request.path_params["id"])
        if user is None:
            return Response(status_code=404, headers=self._headers(request))
        return self._picture(request, user.username, user.avatar)

    async def _by_name(self, request: Request) -> Response:
        """`@name` always gives the letters. No log-in, whoever the name belongs to."""
        name = request.path_params["name"]
        if not name:
            return Response(status_code=404)
        user = None if name.startswith("@") else self._hub.by_name.get(name)
        return self._picture(request, name.lstrip("@"), user.avatar if user else None)

    def _picture(self, request: Request, name: str, avatar: Avatar | None) -> Response:
        headers, known = self._headers(request), request.headers.get("if-modified-since")
        modified = formatdate(avatar.uploaded_at // 1000, usegmt=True) if avatar else FALLBACK_MODIFIED
        if avatar:
            headers["Content-Security-Policy"] = "default-src 'none'"
        if known == modified:
            return Response(status_code=304, headers={**headers, **({"Last-Modified": modified} if avatar else {})})
        headers["Last-Modified"] = modified
        if avatar:
            return Response(avatar.content, 200, {**headers, "Content-Type": avatar.media_type})
        letter = html.escape(re.sub(r"[^A-Za-z0-9]", "", name)[:1].upper())
        style = "font-family='sans-serif' font-size='125' fill='#fff' text-anchor='middle'"
        svg = (
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 200 200'>"
            "<rect width='200' height='200' fill='#1d74f5'/>"
            f"<text x='100' y='145' {style}>{letter}</text></svg>"
        )
        return Response(svg, 200, {**headers, "Content-Type": "image/svg+xml"})

    def _headers(self, request: Request) -> dict[str, str]:
        seconds = request.query_params.get("cacheTime") or self._hub.settings["Accounts_AvatarCacheTime"]
        return {"Cache-Control": f"public, max-age={seconds}", "Content-Disposition": "inline"}

    def _named(self, fields: dict[str, str]) -> User | None:
        user_id, name = fields.get("userId"), fields.get("username")
        if not user_id and not name:
            return None
        found = self._hub.users.get(user_id) if user_id else self._hub.accounts.find(name or "")
        if found is None:
            text = 'The optional "userId" or "username" param provided does not match any users'
            raise HubError("error-invalid-user", text)
        return found

    async def _fetch(self, user: User, url: str) -> tuple[bytes, str]:
        """From 8.2 private addresses are refused unless `SSRF_Allowlist` names them."""
        invalid = HubError("error-avatar-invalid-url", f"Invalid avatar URL: {url}")
        if self._hub.version >= (8, 2) and not self._is_safe(url):
            raise invalid
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session,
                session.get(url) as answer,
            ):
                content, status, kind = await answer.read(), answer.status, answer.headers.get("Content-Type", "")
        except (aiohttp.ClientError, TimeoutError, ValueError) as exc:
            raise invalid from exc
        if status not in (200, 404):
            text = f"Error while handling avatar setting from a URL ({url}) for {user.username}"
            raise HubError("error-avatar-url-handling", text)
        if status == 404 or not kind.startswith("image/"):
            raise invalid
        return content, kind

    def _is_safe(self, url: str) -> bool:
        host = urlsplit(url).hostname or ""
        listed = {each.strip() for each in str(self._hub.settings["SSRF_Allowlist"]).split(",")}
        try:
            return host in listed or ipaddress.ip_address(host).is_global
        except ValueError:  # a name, not a number; what it resolves to is not looked at here
            return host != "localhost"
