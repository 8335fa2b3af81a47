"""The assist page: what analysers found of one conversation, live, as an external component of any agent desktop.

`/assist/WORKSPACE/ROOM` is the page, without any secret; `.../stream` its stream (server-sent events), opened with
`fetch` and `Authorization: Bearer`, because a token in an address ends in logs. The page gets its token from the page
around it, or from the form that opened it. Only the workspace's own address may frame it.
"""

from __future__ import annotations

import asyncio
import contextlib
import html
import re
from collections.abc import Mapping
from pathlib import Path
from string import Template
from urllib.parse import parse_qs, urlsplit

import msgspec
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from omnibridge.analysis.board import Board
from omnibridge.clock import Clock
from omnibridge.engine.counters import Counters
from omnibridge.engine.lanes import Lanes
from omnibridge.errors import IntakeError
from omnibridge.storage import conversations
from omnibridge.storage.database import Database
from omnibridge.web.assist import shown
from omnibridge.web.assist_tokens import Ticket, tickets
from omnibridge.web.errors import problem
from omnibridge.web.webhooks import Once, read_body

FILES = Path(__file__).parent / "assist_files"
KINDS = {"page.css": "text/css; charset=utf-8", "page.js": "text/javascript; charset=utf-8"}
HEARTBEAT_S = 15.0
RETRY_AFTER_S = 30
_TOKEN = re.compile(r"[A-Za-z0-9_.-]{1,1000}")
_encode = msgspec.json.Encoder().encode


class AssistPage:
    """origins: workspace -> the address that may frame the page. heartbeat_s: a line at least so often."""

    def __init__(
        self,
        origins: Mapping[str, str],
        board: Board,
        database: Database,
        lanes: Lanes,
        clock: Clock,
        counters: Counters,
        heartbeat_s: float | None = None,
    ) -> None:
        self._origins = {name: origin_of(url) for name, url in origins.items()}
        self._board, self._database, self._lanes, self._clock = board, database, lanes, clock
        self._counters, self._heartbeat_s = counters, heartbeat_s or HEARTBEAT_S
        self._page = Template((FILES / "page.html").read_text("utf-8"))

    async def page(self, request: Request) -> Response:
        """The same for everybody; with a POST form (`token=...`) the token is in it."""
        origin = self._origins.get(request.path_params["workspace"])
        if origin is None:
            detail = "Use the name of a [[workspace]]."
            return Response(problem(404, "Unknown workspace", detail), 404, media_type="application/problem+json")
        token = await _token_of_form(request) if request.method == "POST" else ""
        text = self._page.substitute(origin=html.escape(origin), token=html.escape(token))
        policy = (
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; "
            f"form-action 'none'; frame-ancestors {origin}"
        )
        headers = {**_PLAIN, "content-security-policy": policy, "cache-control": "no-store"}
        return Response(text, media_type="text/html", headers=headers)

    async def file(self, request: Request) -> Response:
        """Script and style."""
        name = request.path_params["name"]
        if name not in KINDS:
            return Response(problem(404, "Not found", "There is no such file."), 404)
        body = (FILES / name).read_bytes()
        return Response(body, media_type=KINDS[name], headers={**_PLAIN, "cache-control": "max-age=300"})

    async def stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`findings`: the whole list, at once and whenever it changed; `end`: closed, or the token is over."""
        answer = Once(send, self._counters)
        try:
            ticket = self._admit(scope)
        except IntakeError as exc:
            if exc.status == 503:
                await _refuse_for_now(send, exc)
            else:
                await answer.refuse(exc)
            return
        with self._board.watch((ticket.workspace, ticket.room)) as bell:
            await send({"type": "http.response.start", "status": 200, "headers": _STREAM})
            gone = asyncio.ensure_future(_disconnected(receive))
            try:
                await self._tell(ticket, bell, gone, send)
            finally:
                gone.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await gone

    async def _tell(self, ticket: Ticket, bell: asyncio.Event, gone: asyncio.Future[None], send: Send) -> None:
        last = b""
        while not gone.done():
            bell.clear()
            found = shown(self._database.reader, ticket.workspace, ticket.room, self._clock.now_ms())
            body = _encode([msgspec.structs.asdict(each) for each in found])
            if body != last:
                await _send(send, b"event: findings\ndata: " + body + b"\n\n")
                last = body
            left_s = (ticket.until - self._clock.now_ms()) / 1000
            over = "expired" if left_s <= 0 else "closed" if self._is_closed(ticket) else ""
            if self._board.is_closed:
                over = "stopping"
            if over:
                await _send(send, b'event: end\ndata: {"reason":"' + over.encode() + b'"}\n\n', more=False)
                return
            rings = asyncio.ensure_future(_rung(bell))
            await asyncio.wait(
                {rings, gone}, timeout=min(self._heartbeat_s, left_s), return_when=asyncio.FIRST_COMPLETED
            )
            if not rings.done():
                rings.cancel()
                await _send(send, b": still here\n\n")

    def _admit(self, scope: Scope) -> Ticket:
        if scope["method"] != "GET":
            raise IntakeError(405, "Method not allowed", "The stream is opened with GET.")
        scheme, _, given = Headers(scope=scope).get("authorization", "").partition(" ")
        ticket = tickets.unseal(self._database.secret, given.strip()) if scheme.lower() == "bearer" else None
        if ticket is None or ticket.until <= self._clock.now_ms():
            raise IntakeError(401, "No valid token", "Ask for another with POST /api/v1/assist-tokens.")
        asked = (scope["path_params"]["workspace"], scope["path_params"]["room"])
        if asked != (ticket.workspace, ticket.room):
            raise IntakeError(403, "Another conversation", "This token is for another room.")
        if conversations.load(self._database.reader, *asked) is None:
            raise IntakeError(404, "Unknown conversation", "This service has not heard of that room yet.")
        if self._board.is_full:
            raise IntakeError(503, "Too many", f"{self._board.most} of these streams are open; try again later.")
        return ticket

    def _is_closed(self, ticket: Ticket) -> bool:
        stored = conversations.load(self._database.reader, ticket.workspace, ticket.room)
        known = self._lanes.conversation(stored[0]) if stored else None
        return known is not None and known[1].closed


_PLAIN = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}
_STREAM = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]


def origin_of(url: str) -> str:
    """`https://chat.example.com/sub/` -> `https://chat.example.com`."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


async def _token_of_form(request: Request) -> str:
    """The field `token`, '' when it cannot be one."""
    body = await read_body(request.scope, request.receive)
    found = parse_qs(body[:4096].decode("ascii", "replace")).get("token", [""])[0]
    return found if _TOKEN.fullmatch(found) else ""


async def _rung(bell: asyncio.Event) -> None:
    await bell.wait()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


async def _send(send: Send, body: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def _refuse_for_now(send: Send, exc: IntakeError) -> None:
    body = problem(exc.status, exc.title, exc.detail)
    headers = [(b"content-type", b"application/problem+json"), (b"retry-after", str(RETRY_AFTER_S).encode())]
    await send({"type": "http.response.start", "status": exc.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
