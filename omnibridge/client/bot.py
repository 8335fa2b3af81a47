"""A bot's calls. The token goes in a header, not in the address, so no log of a proxy gets it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Any, Self

import httpx2
import msgspec

from omnibridge.client.errors import BotApiError
from omnibridge.client.shapes import Button, Message, Update, User, keyboard

LONGEST_POLL_S = 50


class _Parameters(msgspec.Struct):
    retry_after: int = 0


class _Answer(msgspec.Struct):
    ok: bool
    result: msgspec.Raw = msgspec.Raw(b"null")
    error_code: int = 0
    description: str = ""
    parameters: _Parameters = msgspec.field(default_factory=_Parameters)


class BotClient:
    """url: of the bridge. token: of `omnibridge bots create`. timeout_s: of a call; polls have their own on top."""

    def __init__(
        self, url: str, token: str, *, timeout_s: float = 10.0, http: httpx2.AsyncClient | None = None
    ) -> None:
        self._url, self._timeout_s = f"{url.rstrip('/')}/bot", timeout_s
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._http = http or httpx2.AsyncClient()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._http.aclose()

    async def call(self, method: str, **parameters: Any) -> bytes:
        """Any method: its result as JSON. Parameters that are None are left out. Raises BotApiError."""
        return await self._call(method, parameters, self._timeout_s)

    async def _call(self, method: str, parameters: dict[str, Any], timeout_s: float) -> bytes:
        given = {name: value for name, value in parameters.items() if value is not None}
        try:
            found = await self._http.post(
                f"{self._url}/{method}",
                content=msgspec.json.encode(given),
                headers=self._headers,
                timeout=timeout_s,
            )
            answer = msgspec.json.decode(found.content, type=_Answer)
        except httpx2.HTTPError as exc:
            raise BotApiError(0, f"no answer ({type(exc).__name__})") from exc
        except msgspec.DecodeError as exc:
            raise BotApiError(found.status_code, "the answer is not one of the bot API") from exc
        if not answer.ok:
            raise BotApiError(answer.error_code, answer.description, answer.parameters.retry_after)
        return bytes(answer.result)

    async def me(self) -> User:
        return msgspec.json.decode(await self.call("getMe"), type=User)

    async def updates(
        self, *, wait_s: int = LONGEST_POLL_S, kinds: Sequence[str] | None = None
    ) -> AsyncIterator[Update]:
        """For ever, in order. An update is confirmed once the loop asks for the one behind it: what your code fails at
        comes again after a restart. kinds: `message`, `callback_query`, `my_chat_member`; None = as before.

        Raises BotApiError: 409 when another process polls for this bot, or a webhook is set.
        """
        offset = 0
        while True:
            allowed = list(kinds) if kinds is not None else None
            wish = {"offset": offset, "timeout": wait_s, "limit": 100, "allowed_updates": allowed}
            body = await self._call("getUpdates", wish, self._timeout_s + wait_s)
            for each in msgspec.json.decode(body, type=list[Update]):
                yield each
                offset = each.update_id + 1

    async def send(self, chat_id: int, text: str, buttons: Sequence[Button] = ()) -> Message:
        markup = keyboard(list(buttons)) if buttons else None
        return _message(await self.call("sendMessage", chat_id=chat_id, text=text, reply_markup=markup))

    async def edit(self, message: Message, text: str, buttons: Sequence[Button] = ()) -> Message:
        """Another text, and these buttons or none. Raises BotApiError 400 when nothing would change."""
        markup = keyboard(list(buttons)) if buttons else None
        place = {"chat_id": message.chat.id, "message_id": message.message_id}
        return _message(await self.call("editMessageText", text=text, reply_markup=markup, **place))

    async def answer(self, query_id: str, text: str = "", *, alert: bool = False) -> None:
        """Acknowledge a callback query. text: said in the chat if alert, else nobody is shown it."""
        await self.call("answerCallbackQuery", callback_query_id=query_id, text=text or None, show_alert=alert)

    async def typing(self, chat_id: int) -> None:
        await self.call("sendChatAction", chat_id=chat_id, action="typing")

    async def hand_over(self, chat_id: int, department: str = "", reason: str = "") -> None:
        """Ask for a person."""
        await self.call("leaveChat", chat_id=chat_id, department=department, reason=reason)

    async def end(self, chat_id: int) -> None:
        """Close the conversation."""
        await self.call("endChat", chat_id=chat_id)

    async def set_webhook(
        self, url: str, *, secret_token: str = "", interaction_url: str = "", certificate: str = ""
    ) -> None:
        """url: '' = poll again. certificate: PEM, for an address that signed its own."""
        more = {"secret_token": secret_token, "interaction_url": interaction_url, "certificate": certificate}
        await self._call(
            "setWebhook", {"url": url, **{name: value or None for name, value in more.items()}}, self._timeout_s
        )


def _message(body: bytes) -> Message:
    return msgspec.json.decode(body, type=Message)
