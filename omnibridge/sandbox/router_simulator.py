"""A simulated external router: answers who serves a conversation, with a ledger of its own and faults.

POST / takes the questions of the bridge. `/_sandbox/control`: agents {department or "": [external ids]}, people
{external id: {name, avatar_url, ...}} for what is said of them, mode
(agent, nobody, ticket, garbage, error, unknown), delay_ms, callback_ms, expires_in_ms, bridge_url, and fail_next: that
many 500s. `/_sandbox/ledger`: decisions, questions, cancellations, presence. A question that is repeated
under its `webhook-id` gets the same answer and is no new decision.
`/faces/RRGGBB.png` is a picture of that colour. Imports nothing of the bridge: signatures are checked by its own code.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import itertools
import re
import struct
import time
import zlib
from typing import Any

import aiohttp
import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from omnibridge.sandbox.http import reply
from omnibridge.sandbox.state import new_id

MODES = ("agent", "nobody", "ticket", "garbage", "error", "unknown")


def _sign(secret: str, request_id: str, stamp: str, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{request_id}.{stamp}.".encode() + body, "sha256")
    return f"v1,{base64.b64encode(digest).decode()}"


def _picture(colour: bytes) -> bytes:
    """8 x 8 points of one colour, as PNG."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    points = zlib.compress((b"\0" + colour * 8) * 8)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", points) + chunk(b"IEND", b"")


class RouterSimulator:
    """secret: `whsec_...`, of the decider in the configuration."""

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self.agents: dict[str, list[str]] = {"": ["0055"]}
        self.people: dict[str, dict[str, Any]] = {}
        self.mode, self.delay_ms, self.callback_ms, self.expires_in_ms, self.fail_next = "agent", 0, 0, 0, 0
        self.bridge_url = ""
        self.questions: list[dict[str, Any]] = []
        self.decisions: list[dict[str, Any]] = []
        self.cancelled: list[dict[str, Any]] = []
        self.callbacks: list[int] = []
        self.presence: list[dict[str, Any]] = []
        self._answers: dict[str, tuple[Any, int]] = {}
        self._turns = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/", self._decide, methods=["POST"]),
                Route("/faces/{colour}.png", self._face),
                Route("/_sandbox/control", self._control, methods=["POST"]),
                Route("/_sandbox/ledger", self._ledger),
            ]
        )

    async def _decide(self, request: Request) -> Response:
        body, headers = await request.body(), request.headers
        request_id, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if headers.get("webhook-signature") != _sign(self.secret, request_id, stamp, body):
            return reply({"error": "not signed"}, 401)
        question = msgspec.json.decode(body)
        if question["type"] == "decision.cancelled":
            self.cancelled.append(question)
            return reply({})
        if question["type"] == "agent.presence":
            if self.fail_next:
                self.fail_next -= 1
                return reply({"error": "injected"}, 500)
            self.presence.append({"id": request_id, **question})
            return reply({})
        self.questions.append({"id": request_id, **question})
        if self.fail_next:
            self.fail_next -= 1
            return reply({"error": "injected"}, 500)
        if request_id not in self._answers:
            self._answers[request_id] = self._answer(request_id, question)
        if self.delay_ms:
            await asyncio.sleep(self.delay_ms / 1000)
        answer, status = self._answers[request_id]
        if answer is None:
            return Response(b"<html>not what was asked for", status, media_type="text/html")
        return reply(answer, status)

    def _answer(self, request_id: str, question: dict[str, Any]) -> tuple[Any, int]:
        match self.mode:
            case "garbage":
                return None, 200
            case "error":
                return {"error": "no"}, 400
            case "nobody":
                return {"external_id": None, "reason": "all are busy"}, 200
            case "unknown":
                return {"external_id": "never-heard-of"}, 200
        named = self._named(question)
        ticket = f"T-{request_id}" if self.mode == "ticket" else ""
        self.decisions.append(
            {"id": request_id, "conversation": question["conversation"], "ticket": ticket, **named, "at": time.time()}
        )
        if not ticket:
            return named, 200
        later = self._call_back(question["callback"], {**named, "ticket": ticket})
        task = asyncio.get_running_loop().create_task(later)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return {"ticket": ticket, "expires_in_ms": self.expires_in_ms}, 202

    def _named(self, question: dict[str, Any]) -> dict[str, Any]:
        """The next one in turn of the department's agents who were not excluded."""
        department = question["facts"].get("department", "")
        able = self.agents.get(department) or self.agents[""]
        able = [each for each in able if each not in question["excluded"]] or [""]
        chosen = able[next(self._turns) % len(able)]
        return {"external_id": chosen or None, "cause": f"department {department}", **self.people.get(chosen, {})}

    async def _face(self, request: Request) -> Response:
        colour = request.path_params["colour"]
        if not re.fullmatch(r"[0-9a-f]{6}", colour):
            return reply({"error": "RRGGBB"}, 404)
        return Response(_picture(bytes.fromhex(colour)), media_type="image/png")

    async def _call_back(self, path: str, answer: dict[str, Any]) -> None:
        await asyncio.sleep(self.callback_ms / 1000)
        self.callbacks.append(await self.post_back(path, answer))

    async def post_back(self, path: str, answer: dict[str, Any], request_id: str = "", secret: str = "") -> int:
        """Status of the bridge's answer. secret: another one than is right."""
        body = msgspec.json.encode(answer)
        request_id, stamp = request_id or new_id(), str(int(time.time()))
        headers = {
            "webhook-id": request_id,
            "webhook-timestamp": stamp,
            "webhook-signature": _sign(secret or self.secret, request_id, stamp, body),
        }
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.bridge_url + path, data=body, headers=headers) as found,
        ):
            return found.status

    async def _control(self, request: Request) -> Response:
        wish = msgspec.json.decode(await request.body())
        known = {"agents", "people", "mode", "delay_ms", "callback_ms", "expires_in_ms", "bridge_url", "fail_next"}
        if set(wish) - known or wish.get("mode", "agent") not in MODES:
            return reply({"ok": False, "error": f"there are {', '.join(sorted(known))}; modes {', '.join(MODES)}"}, 400)
        for key, value in wish.items():
            setattr(self, key, value)
        return reply({"ok": True})

    async def _ledger(self, _: Request) -> Response:
        return reply(
            {
                "questions": self.questions,
                "decisions": self.decisions,
                "cancelled": self.cancelled,
                "callbacks": self.callbacks,
                "presence": self.presence,
            }
        )
