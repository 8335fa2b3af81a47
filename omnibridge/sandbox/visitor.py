"""Clients of the simulated hub, as tests, the demo and the soak use it: a visitor, a person of the staff."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import aiohttp


class SandboxClient:
    """One pooled session for any number of visitors and agents."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session: aiohttp.ClientSession | None = None

    async def call(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, **query: str
    ) -> dict[str, Any]:
        """The JSON answer, whatever its status; `_status` holds that."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # The server closes idle ones after 5 s, as it sees it: both may be late.
                connector=aiohttp.TCPConnector(limit=512, keepalive_timeout=1),
                timeout=aiohttp.ClientTimeout(total=120),
            )
        async with self._session.request(method, self.url + path, json=body, headers=headers, params=query) as answer:
            found = await answer.json()
            return {**found, "_status": answer.status} if isinstance(found, dict) else {"_status": answer.status}

    async def ledger(self, rid: str = "") -> dict[str, Any]:
        """All of it, or one room's part."""
        return await self.call("GET", "/_sandbox/ledger", None, None, **({"rid": rid} if rid else {}))

    async def control(self, **wish: Any) -> None:
        """Raises RuntimeError for a switch that does not exist."""
        _check(await self.call("POST", "/_sandbox/control", wish))

    async def reset(self) -> None:
        _check(await self.call("POST", "/_sandbox/reset"))

    async def settled(self, wait_ms: int = 30_000) -> bool:
        """Until every webhook was answered 200 or given up."""
        return bool((await self.call("GET", "/_sandbox/pending", wait_ms=str(wait_ms)))["pending"] == 0)

    async def aclose(self) -> None:
        if self._session:
            await self._session.close()


class Visitor:
    """Speaks through the public livechat API. rid: of the room that `open_room` made."""

    def __init__(self, client: SandboxClient, name: str = "Visitor", token: str = "") -> None:
        self._client, self.name = client, name
        self.token = token or secrets.token_hex(12)
        self.rid = ""

    async def register(self, name: str = "", email: str = "", **profile: Any) -> dict[str, Any]:
        """profile: phone, department, customFields. Goes on with the token that the hub answers (4.1)."""
        self.name = name or self.name
        wish = {"token": self.token, "name": self.name, **({"email": email} if email else {}), **profile}
        found = _check(await self._client.call("POST", "/api/v1/livechat/visitor", {"visitor": wish}))["visitor"]
        self.token = str(found["token"])
        return dict(found)

    async def open_room(self, **profile: Any) -> str:
        """Register and open a room; returns its id."""
        await self.register(**profile)
        room = _check(await self._client.call("GET", "/api/v1/livechat/room", token=self.token))
        self.rid = room["room"]["_id"]
        return self.rid

    async def say(self, text: str, message_id: str = "") -> str:
        """Post; returns the message id."""
        body = {"token": self.token, "rid": self.rid, "msg": text, **({"_id": message_id} if message_id else {})}
        return str(_check(await self._client.call("POST", "/api/v1/livechat/message", body))["message"]["_id"])

    async def edit(self, message_id: str, text: str) -> None:
        body = {"token": self.token, "rid": self.rid, "msg": text}
        _check(await self._client.call("PUT", f"/api/v1/livechat/message/{message_id}", body))

    async def upload(
        self, name: str, content: bytes, media_type: str = "application/octet-stream", text: str = ""
    ) -> None:
        """Send a file. text: what is written beside it. Raises RuntimeError when it is refused."""
        form = aiohttp.FormData(quote_fields=False)
        form.add_field("file", content, filename=name, content_type=media_type)
        if text:
            form.add_field("description", text)
        url, headers = f"{self._client.url}/api/v1/livechat/upload/{self.rid}", {"x-visitor-token": self.token}
        async with aiohttp.ClientSession() as session, session.post(url, data=form, headers=headers) as answer:
            if answer.status != 200:
                raise RuntimeError(f"the hub refused the file: {answer.status} {await answer.text()}")

    async def history(self, limit: int = 0) -> list[dict[str, Any]]:
        """As the widget sees it, newest first; all without a limit."""
        query = {"token": self.token, "limit": str(limit)}
        found = await self._client.call("GET", f"/api/v1/livechat/messages.history/{self.rid}", None, None, **query)
        return list(_check(found)["messages"])

    async def close(self) -> None:
        _check(await self._client.call("POST", "/api/v1/livechat/room.close", {"token": self.token, "rid": self.rid}))

    async def wait_for(self, author: str, count: int, timeout_ms: int = 30_000) -> list[dict[str, Any]]:
        """Messages of `author` (bot, agent, any) once there are `count`. Raises TimeoutError."""
        found = await self._client.call(
            "GET", "/_sandbox/wait", rid=self.rid, author=author, count=str(count), timeout_ms=str(timeout_ms)
        )
        if not found.get("ok"):
            raise TimeoutError(f"{author} has not said {count}: {found}")
        return list(found["messages"])

    async def wait_event(self, event: str, by: str = "", timeout_ms: int = 30_000) -> list[dict[str, Any]]:
        """Until something happened in the room (assigned, queued, closed). Raises TimeoutError."""
        query = {"rid": self.rid, "event": event, "timeout_ms": str(timeout_ms), **({"by": by} if by else {})}
        found = await self._client.call("GET", "/_sandbox/wait_event", None, None, **query)
        if not found.get("ok"):
            raise TimeoutError(f"no {event} by {by or 'anybody'}: {found}")
        return list(found["log"])


class Staff:
    """A person or account of the workspace. account: {user_id, auth_token} as the sandbox prints it."""

    def __init__(self, client: SandboxClient, account: Mapping[str, str]) -> None:
        self._client = client
        self.user_id = account["user_id"]
        self._headers = {"X-User-Id": account["user_id"], "X-Auth-Token": account["auth_token"]}

    @classmethod
    async def login(cls, client: SandboxClient, username: str, password: str) -> Staff:
        wish = {"user": username, "password": password}
        found = _check(await client.call("POST", "/api/v1/login", wish))["data"]
        return cls(client, {"user_id": found["userId"], "auth_token": found["authToken"]})

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return await self.request("POST", path, body)

    async def request(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """headers: besides those of the log-in, such as a second factor's."""
        return await self._client.call(method, f"/api/v1/{path}", body, {**self._headers, **(headers or {})})

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        return await self._client.call("GET", f"/api/v1/{path}", None, self._headers, **query)

    async def say(self, rid: str, text: str, message_id: str = "") -> str:
        """Post into a room; returns the message id."""
        message = {"rid": rid, "msg": text, **({"_id": message_id} if message_id else {})}
        return str(_check(await self.post("chat.sendMessage", {"message": message}))["message"]["_id"])

    async def take(self, rid: str) -> None:
        """Take the waiting inquiry of a room."""
        inquiry = _check(await self.get("livechat/inquiries.getOne", roomId=rid))["inquiry"]
        _check(await self.post("livechat/inquiries.take", {"inquiryId": (inquiry or {}).get("_id", "")}))

    async def close(self, rid: str, comment: str = "Done.") -> None:
        _check(await self.post("livechat/room.closeByUser", {"rid": rid, "comment": comment}))

    async def set_available(self, is_available: bool) -> None:
        status = "available" if is_available else "not-available"
        _check(await self.post("livechat/agent.status", {"status": status}))


VisitorClient = Visitor
AgentClient = Staff
"""The names that the sandbox's README and tests use; `Visitor` and `Staff` are what the demo imports."""


def _check(body: dict[str, Any]) -> dict[str, Any]:
    if body["_status"] != 200 or body.get("success") is False:
        raise RuntimeError(f"the hub refused: {body}")
    return body
