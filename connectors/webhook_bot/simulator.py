"""A stand-in for a webhook bot, with faults to switch on, and a ledger of its own under `/_sandbox/`.

Verifies signatures by its own reading of Standard Webhooks 1.0.0. Folds requests of one `webhook-id`: the first
is worked on to its end even if the caller hangs up, the others get the same answer.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from typing import Any

import httpx2
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.webhook_bot.dialogue import answer
from omnibridge.connector.simulating import next_failure, now_ms

SECRET = "whsec_c2FuZGJveC1zZWNyZXQtb2YtdGhlLXNpbXVsYXRvciE="  # noqa: S105 - published: for the sandbox alone
TOLERANCE_S = 300


class Simulator:
    """State and handlers. ledger: one entry per turn, in order of arrival; repeats are counted in it."""

    def __init__(self) -> None:
        self.ledger: list[dict[str, Any]] = []
        self.refused: list[str] = []
        self.work: dict[str, asyncio.Task[dict[str, Any]]] = {}
        self.entries: dict[str, dict[str, Any]] = {}
        self.delay_ms = 0
        self.down = False
        self.fail_next: list[dict[str, Any]] = []
        self.answers: dict[str, dict[str, Any]] = {}

    def app(self) -> Starlette:
        app = Starlette(
            routes=[
                Route("/", self.receive, methods=["POST"]),
                Route("/health", self.health),
                Route("/_sandbox/ledger", self.show_ledger),
                Route("/_sandbox/control", self.control, methods=["POST"]),
                Route("/_sandbox/reset", self.reset, methods=["POST"]),
            ]
        )
        app.state.connection_settings = f'secret = "{SECRET}"'
        return app

    async def receive(self, request: Request) -> Response:
        try:
            raw = await request.body()
        except ClientDisconnect:
            return Response(status_code=400)
        problem = why_not_genuine(request.headers.get, raw, time.time())
        if problem:
            self.refused.append(problem)
            return JSONResponse({"error": problem}, 401)
        if self.down:
            return Response(status_code=503)
        body, key = await request.json(), request.headers["webhook-id"]
        failure = next_failure(self.fail_next)
        if key in self.work:
            self.entries[key]["repeats"] += 1
        elif failure and not failure.get("after_effect"):
            self._enter(key, body)["outcome"] = "failed"
        else:
            self.entries[key] = self._enter(key, body)
            self.work[key] = asyncio.create_task(self._turn(body, self.entries[key]))
        if failure and not failure.get("after_effect"):
            return _fail(failure)
        found = await asyncio.shield(self.work[key])
        if failure:
            return _fail(failure)
        return JSONResponse(found) if found else Response(status_code=204)

    async def _turn(self, body: dict[str, Any], entry: dict[str, Any]) -> dict[str, Any]:
        if body["event"] in ("closed", "edited", "deleted"):
            entry["outcome"] = body["event"]
            return {}
        entry["files"] = [await _fetched(each) for each in body.get("files", ())]
        if self.delay_ms:
            await asyncio.sleep(self.delay_ms / 1000)
        entry.update(outcome="answered", finished_at=now_ms())
        if entry["files"] and not body["text"]:
            return {"text": "\n".join(f"Got {each['name']}, {each['bytes']} bytes." for each in entry["files"])}
        said = body.get("choice") or body["text"]
        if said in self.answers:
            return _filled_in(self.answers[said], body.get("interaction") or {})
        found = answer(said)
        return {**found, "intent": "order_status", "confidence": 0.75} if body["event"] == "suggest" else found

    def _enter(self, key: str, body: dict[str, Any]) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "n": len(self.ledger),
            "delivery_id": key,
            "event": body["event"],
            "session": body["session"],
            "message": body.get("choice") or body.get("text") or "",
            "late": bool(body.get("late")),
            "facts": body.get("facts", {}),
            "interaction": body.get("interaction"),
            "message_id": body.get("message_id", ""),
            "repeats": 0,
            "started_at": now_ms(),
            "outcome": "started",
        }
        self.ledger.append(entry)
        return entry

    async def health(self, _: Request) -> Response:
        return JSONResponse({"status": "down"}, 503) if self.down else JSONResponse({"status": "ok"})

    async def show_ledger(self, _: Request) -> Response:
        return JSONResponse({"turns": self.ledger, "refused": self.refused})

    async def control(self, request: Request) -> Response:
        """delay_ms, down, fail_next [{status, count, after_effect, html, body, headers}], clear_failures, answers:
        what is said to a text or choice; `$message` and `$block` in it are those that were used."""
        wish = await request.json()
        if wish.get("clear_failures"):
            self.fail_next.clear()
        self.delay_ms = int(wish.get("delay_ms", self.delay_ms))
        self.down = bool(wish.get("down", self.down))
        self.fail_next += wish.get("fail_next", [])
        self.answers |= wish.get("answers", {})
        return JSONResponse({"ok": True})

    async def reset(self, _: Request) -> Response:
        for each in (self.ledger, self.refused, self.work, self.entries, self.fail_next, self.answers):
            each.clear()
        self.delay_ms, self.down = 0, False
        return JSONResponse({"ok": True})


def create_simulator() -> Starlette:
    """Entry point of `omnibridge.simulators`."""
    return Simulator().app()


def why_not_genuine(header: Any, raw: bytes, now_s: float) -> str:
    """What is wrong with a request's signature; empty = nothing. header: name -> value or None."""
    named = [header(f"webhook-{each}") or "" for each in ("id", "timestamp", "signature")]
    webhook_id, timestamp, signatures = named
    if not all(named):
        return "a webhook header is missing"
    if not timestamp.isdecimal() or abs(int(timestamp[:20]) - now_s) > TOLERANCE_S:
        return "the timestamp is too old, too new or none"
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    expected = hmac.new(key, f"{webhook_id}.{timestamp}.".encode() + raw, hashlib.sha256).digest()
    wanted = b"v1," + base64.b64encode(expected)
    if not any(hmac.compare_digest(wanted, each.encode()) for each in signatures.split(" ")):
        return "no signature fits"
    return ""


def _filled_in(said: dict[str, Any], interaction: dict[str, Any]) -> dict[str, Any]:
    used = (interaction.get("actions") or [{}])[0]
    text = json.dumps(said).replace("$message", str((interaction.get("original_message") or {}).get("_id", "")))
    return dict(json.loads(text.replace("$block", str(used.get("block_id", "")))))


async def _fetched(file: dict[str, Any]) -> dict[str, Any]:
    """As a bot does that looks at files: bytes counted and hashed, not kept."""
    seen, n_bytes = hashlib.sha256(), 0
    status, why = 0, ""
    try:
        async with httpx2.AsyncClient(trust_env=False) as client, client.stream("GET", file["url"]) as found:
            status = found.status_code
            async for piece in found.aiter_bytes():
                seen.update(piece)
                n_bytes += len(piece)
            why = found.headers.get("content-disposition", "")
    except httpx2.HTTPError as exc:
        why = type(exc).__name__
    kept = {name: file.get(name) for name in ("id", "name", "media_type", "size", "url")}
    return {**kept, "status": status, "bytes": n_bytes, "sha256": seen.hexdigest(), "note": why}


def _fail(failure: dict[str, Any]) -> Response:
    status = int(failure.get("status", 500))
    if failure.get("html"):
        return Response("<html>please sign in</html>", status, media_type="text/html")
    return Response(failure.get("body", ""), status, failure.get("headers"))
