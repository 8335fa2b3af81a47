"""POST from Rocket.Chat: journalled raw, then 200 with a tiny body. A plain ASGI endpoint: the hot path.

An authenticated JSON object is never refused: what we cannot use is recorded all the same, because on 8.x
every status but 200, 429 and 5xx drops the event for good. The answer's body is stored on the room by the
hub, hence two letters. Source: rocketchat-api, section 2.6.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Mapping
from typing import Any, NoReturn

import msgspec
import structlog
from starlette.types import Receive, Scope, Send

from omnibridge.clock import Clock
from omnibridge.engine.counters import Counters
from omnibridge.engine.faults import Faults
from omnibridge.engine.ids import IdSequence
from omnibridge.engine.lanes import Lanes
from omnibridge.errors import IntakeError
from omnibridge.rocketchat.webhook import check_depth, peek, peek_strictly
from omnibridge.storage.journal import Observation
from omnibridge.web.errors import send_problem

_log = structlog.get_logger("omnibridge.webhooks")

PREFIX = "/webhooks/rocketchat/"
"""Then the workspace's name."""

LARGEST = 16 * 1024 * 1024
DEEPEST = 64
_OK_START: dict[str, Any] = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain"), (b"content-length", b"2")],
}
_OK_BODY: dict[str, Any] = {"type": "http.response.body", "body": b"ok"}


class WebhookEndpoint:
    """tokens: workspace name -> the secret its hub sends. commit_timeout_s: then 503, and the hub repeats."""

    def __init__(
        self,
        tokens: Mapping[str, str],
        lanes: Lanes,
        ids: IdSequence,
        clock: Clock,
        counters: Counters,
        faults: Faults,
        commit_timeout_s: float,
    ) -> None:
        self._tokens = {name: token.encode() for name, token in tokens.items()}
        self._lanes, self._ids, self._clock = lanes, ids, clock
        self._counters, self._faults, self._commit_timeout_s = counters, faults, commit_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = Once(send, self._counters)
        try:
            workspace = self._authenticate(scope)
            body = await read_body(scope, receive)
            kind, room = check_json(body)
            await self._commit(workspace, kind, room, body, answer)
        except IntakeError as exc:
            await answer.refuse(exc)
            return
        if not answer.is_given:
            self._faults.reach("commit_to_200")
            await send_ok(send)

    def _authenticate(self, scope: Scope) -> str:
        if scope["method"] != "POST":
            raise IntakeError(405, "Method not allowed", "Rocket.Chat sends its webhooks as POST.")
        workspace: str = scope["path"].removeprefix(PREFIX)
        token = self._tokens.get(workspace)
        if token is None:
            raise IntakeError(
                404,
                "Unknown workspace",
                "Use the name of a [[workspace]] of the configuration as the last part of the URL.",
            )
        given = next((value for key, value in scope["headers"] if key == b"x-rocketchat-livechat-token"), b"")
        if not hmac.compare_digest(given, token):
            raise IntakeError(
                401,
                "Wrong token",
                "Set Omnichannel > Webhooks > Secret Token in Rocket.Chat to the workspace's webhook_token.",
            )
        return workspace

    async def _commit(self, workspace: str, kind: str, room: str, body: bytes, answer: Once) -> None:
        row = Observation(self._ids.next(), workspace, room, "webhook", kind, self._clock.now_ms(), body)
        await commit(self._lanes, row, self._commit_timeout_s, answer)


async def commit(lanes: Lanes, row: Observation, timeout_s: float, answer: Once) -> None:
    """Journal an observation; 503 is given by itself when that takes too long. Raises IntakeError 503 when it fails."""
    # Not cancelled when it is late: it becomes a harmless duplicate then, a cancelled one would be unknown.
    timer = asyncio.get_running_loop().call_later(timeout_s, answer.give_up)
    try:
        await lanes.take_in(row)
    except Exception as exc:
        _log.error("intake_failed", room=row.room, kind=row.kind, reason=f"{type(exc).__name__}: {exc}")
        raise IntakeError(503, "Not stored", "The journal could not be written; send it again.") from exc
    finally:
        timer.cancel()
        answer.keep()


async def send_ok(send: Send) -> None:
    """200 with two letters."""
    await send(_OK_START)
    await send(_OK_BODY)


async def send_json(send: Send, what: Any, *more: tuple[bytes, bytes]) -> None:
    """200. more: headers."""
    body = msgspec.json.encode(what)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *more]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Once:
    """One request is answered once: by its end, or by the time limit before it."""

    def __init__(self, send: Send, counters: Counters) -> None:
        self._send, self._counters = send, counters
        self.is_given = False
        self._task: asyncio.Task[None] | None = None

    async def refuse(self, why: IntakeError) -> None:
        if not self.is_given:
            self.is_given = True
            self._counters.add("intake_refused", 1, str(why.status))
            await send_problem(self._send, why)

    def give_up(self) -> None:
        late = IntakeError(503, "Not stored", "The journal did not commit in time; send it again.")
        self._task = asyncio.ensure_future(self.refuse(late))

    def keep(self) -> None:
        """The work was done in the moment in which it was given up: its own answer is the one."""
        if self._task is not None and not self.is_given:
            self._task.cancel()


def check_json(body: bytes) -> tuple[str, str]:
    """(type, room id), empty where there is none. Raises IntakeError 413 for too deep, 400 for no JSON object."""
    if not check_depth(body, DEEPEST):
        raise IntakeError(413, "Nested too deep", f"At most {DEEPEST} levels are read.")
    try:
        return peek_strictly(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Stricter than the standard in places (lone surrogates): what Python can read is journalled.
        try:
            value = json.loads(body, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            raise IntakeError(400, "Not JSON", "Send one JSON object, as Rocket.Chat's webhooks do.") from None
        if not isinstance(value, dict):
            raise IntakeError(400, "Not an object", "Send one JSON object, as Rocket.Chat's webhooks do.") from None
        return peek(body)


async def read_body(scope: Scope, receive: Receive) -> bytes:
    """All of it. Raises IntakeError 413 beyond `LARGEST`, 400 when it was cut off."""
    declared = next((value for key, value in scope["headers"] if key == b"content-length"), b"0")
    if declared.isdigit() and int(declared) > LARGEST:
        raise IntakeError(413, "Too large", "A body may have 16 MB at most.")
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise IntakeError(400, "Cut off", "The connection was closed before the body was complete.")
        chunk = message.get("body", b"")
        chunks.append(chunk)
        size += len(chunk)
        if size > LARGEST:
            raise IntakeError(413, "Too large", "A body may have 16 MB at most.")
        if not message.get("more_body"):
            return b"".join(chunks) if len(chunks) > 1 else chunks[0]


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
