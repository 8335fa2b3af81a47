"""`/bot<token>/METHOD`, and `/bot/METHOD` with `Authorization: Bearer`, for who wants no token in an address.

The token is a part of the path, so the path is taken out of the scope before anything else sees it: no log line,
trace, metric or exception of ours may hold it.
"""

from __future__ import annotations

from typing import Any

import msgspec
import structlog
from starlette.datastructures import Headers
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from omnibridge.botapi.errors import MethodError
from omnibridge.botapi.methods import Methods
from omnibridge.botapi.parameters import MOST_BYTES, read
from omnibridge.botapi.sending_files import LARGEST
from omnibridge.engine.counters import Counters
from omnibridge.storage import bots
from omnibridge.storage.database import Database

_log = structlog.get_logger("omnibridge.botapi")
WITH_FILES = ("senddocument", "sendphoto")
_encode = msgspec.json.Encoder().encode


class BotApiEndpoint:
    """Answers with Telegram's envelope, whatever happens."""

    def __init__(self, database: Database, methods: Methods, known: frozenset[str], counters: Counters) -> None:
        self._database, self._methods, self._known, self._counters = database, methods, known, counters

    def routes(self) -> list[Route]:
        return [Route("/bot/{method}", self), Route("/bot{token}/{method}", self)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = str(scope["path_params"].pop("token", ""))
        method = str(scope["path_params"]["method"])
        scope["path"] = f"/bot/{method}"
        scope["raw_path"] = b"/bot/"
        label = method if self._methods.is_known(method) else "other"
        try:
            result = await self._answer(scope, receive, token, method)
        except MethodError as exc:
            self._counters.add("bot_api", 1, label, str(exc.code))
            await _refuse(send, exc)
            return
        except Exception as exc:
            # Without its text: it may repeat what was sent.
            _log.error("bot_api_failed", method=label, reason=type(exc).__name__)
            self._counters.add("bot_api", 1, label, "500")
            await _refuse(send, MethodError(500, "Internal Server Error: not carried out; try again"))
            return
        self._counters.add("bot_api", 1, label, "200")
        await _send(send, 200, _encode({"ok": True, "result": result}))

    async def _answer(self, scope: Scope, receive: Receive, token: str, method: str) -> Any:
        if scope["method"] not in ("GET", "HEAD", "POST"):
            raise MethodError(405, "Method Not Allowed: use GET or POST")
        headers = Headers(scope=scope)
        if not token:
            scheme, _, token = headers.get("authorization", "").partition(" ")
            token = token.strip() if scheme.casefold() == "bearer" else ""
        bot = bots.find(self._database.reader, token)
        if bot is None or bot.connection not in self._known:
            raise MethodError(401, "Unauthorized")
        takes_files = method.casefold() in WITH_FILES and self._methods.is_known(method)
        body = await _body(receive, LARGEST + MOST_BYTES if takes_files else MOST_BYTES)
        query, kind = scope["query_string"].decode("latin-1"), headers.get("content-type", "")
        return await self._methods.call(bot, method, read(query, kind, body, takes_files=takes_files))


async def _body(receive: Receive, most: int) -> bytes:
    """Raises MethodError 413, 400 when it was cut off."""
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise MethodError(400, "Bad Request: the body was cut off")
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > most:
            raise MethodError(413, "Request Entity Too Large")
        if not message.get("more_body"):
            return b"".join(chunks)


async def _refuse(send: Send, exc: MethodError) -> None:
    answer: dict[str, Any] = {"ok": False, "error_code": exc.code, "description": exc.description}
    if exc.retry_after_s:
        answer["parameters"] = {"retry_after": exc.retry_after_s}
    await _send(send, exc.code, _encode(answer))


async def _send(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
