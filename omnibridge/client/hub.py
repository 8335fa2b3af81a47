"""A bot with a log-in at Rocket.Chat: it posts and changes its own messages there, without the bridge between.

Source: rocketchat-api 1.1 (`login`), 5.1 (`chat.sendMessage`, `chat.update`). Two-factor log-ins need a personal token.
"""

from __future__ import annotations

from typing import Any, Self

import httpx2
import msgspec

from omnibridge.client.errors import BotApiError


class HubUser:
    """url: of the workspace. user_id, token: of a log-in or a personal access token."""

    def __init__(self, url: str, user_id: str, token: str, *, http: httpx2.AsyncClient | None = None) -> None:
        self._url, self.user_id = url.rstrip("/"), user_id
        self._headers = {"X-User-Id": user_id, "X-Auth-Token": token}
        self._http = http or httpx2.AsyncClient(timeout=10.0)

    @classmethod
    async def log_in(cls, url: str, username: str, password: str, *, http: httpx2.AsyncClient | None = None) -> Self:
        """Raises BotApiError 401."""
        found = cls(url, "", "", http=http)
        try:
            data = (await found._post("login", {"user": username, "password": password}))["data"]
        except BaseException:
            await found.aclose()
            raise
        found.user_id = data["userId"]
        found._headers = {"X-User-Id": data["userId"], "X-Auth-Token": data["authToken"]}
        return found

    async def send(self, rid: str, msg: str, attachments: list[dict[str, Any]] | None = None) -> str:
        """The message's id."""
        message = {"rid": rid, "msg": msg, **({"attachments": attachments} if attachments else {})}
        return str((await self._post("chat.sendMessage", {"message": message}))["message"]["_id"])

    async def update(self, rid: str, message_id: str, text: str) -> None:
        await self._post("chat.update", {"roomId": rid, "msgId": message_id, "text": text})

    async def aclose(self) -> None:
        await self._http.aclose()

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        try:
            found = await self._http.post(f"{self._url}/api/v1/{path}", json=body, headers=self._headers)
            answer = msgspec.json.decode(found.content, type=dict[str, Any])
        except httpx2.HTTPError as exc:
            raise BotApiError(0, f"no answer ({type(exc).__name__})") from exc
        except msgspec.DecodeError as exc:
            raise BotApiError(found.status_code, "the answer is not one of Rocket.Chat") from exc
        if found.status_code != 200:
            raise BotApiError(found.status_code, str(answer.get("error") or answer.get("message") or ""))
        return answer
