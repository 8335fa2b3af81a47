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
from omnibridge.rocketchat.webhook import check_depth, peek
from omnibridge.storage.journal import Observation
from omnibridge.web.errors import send_problem

_log = structlog.get_logger("omnibridge.webhooks")

LARGEST = 16 * 1024 * 1024
DEEPEST = 64
_any_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
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
        try:
            workspace = self._authenticate(scope)
            body = await read_body(scope, receive)
            check_json(body)
            await self._commit(workspace, body)
        except IntakeError as exc:
            self._counters.add("intake_refused", 1, str(exc.status))
            await send_problem(send, exc)
            return
        self._faults.reach("commit_to_200")
        await send_ok(send)

    def _authenticate(self, scope: Scope) -> str:
        if scope["method"] != "POST":
            raise IntakeError(405, "Method not allowed", "Rocket.Chat sends its webhooks as POST.")
        workspace = str(scope["path_params"]["workspace"])
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

    async def _commit(self, workspace: str, body: bytes) -> None:
        kind, room = peek(body)
        row = Observation(self._ids.next(), workspace, room, "webhook", kind, self._clock.now_ms(), body)
        await commit(self._lanes, row, self._commit_timeout_s)


async def commit(lanes: Lanes, row: Observation, timeout_s: float) -> None:
    """Journal an observation. Raises IntakeError 503 when that fails, or is not known to be done in time."""
    task = asyncio.ensure_future(lanes.take_in(row))
    try:
        # Shielded: a commit that comes late is a harmless duplicate, a cancelled one would be unknown.
        await asyncio.wait_for(asyncio.shield(task), timeout_s)
    except TimeoutError:
        task.add_done_callback(_swallow_late)
        _unavailable("The journal did not commit in time; send it again.")
    except Exception as exc:
        _log.error("intake_failed", room=row.room, kind=row.kind, reason=f"{type(exc).__name__}: {exc}")
        _unavailable("The journal could not be written; send it again.")


async def send_ok(send: Send) -> None:
    """200 with two letters."""
    await send(_OK_START)
    await send(_OK_BODY)


def check_json(body: bytes) -> None:
    """Raises IntakeError 413 for too deep, 400 for what is not a JSON object."""
    if not check_depth(body, DEEPEST):
        raise IntakeError(413, "Nested too deep", f"At most {DEEPEST} levels are read.")
    try:
        _any_object.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Stricter than the standard in places (lone surrogates): what Python can read is journalled.
        try:
            value = json.loads(body, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            raise IntakeError(400, "Not JSON", "Send one JSON object, as Rocket.Chat's webhooks do.") from None
        if not isinstance(value, dict):
            raise IntakeError(400, "Not an object", "Send one JSON object, as Rocket.Chat's webhooks do.") from None


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


def _unavailable(detail: str) -> NoReturn:
    raise IntakeError(503, "Not stored", detail)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _swallow_late(task: asyncio.Future[None]) -> None:
    if not task.cancelled() and task.exception():
        _log.error("intake_failed_late", reason=type(task.exception()).__name__)
