"""A stand-in for a Rasa server, with the real one's faults, and a ledger of its own under `/_sandbox/`.

As the real one: turns of a sender run one after the other; a caller that hangs up cancels the turn *after*
its side effects, and then the visitor's message never happened; nothing is idempotent; a failed turn answers
`200 []`. Source: Rasa 3.6.21, tried.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from connectors.rasa.dialogue import answer
from omnibridge.connector.simulating import gone, next_failure, now_ms

Say = Callable[[dict[str, Any]], Awaitable[None]]
"""Where one message of the bot goes."""


@dataclass
class Conversation:
    """A tracker: events in order, one lock."""

    events: list[dict[str, Any]] = field(default_factory=list)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Simulator:
    """State and handlers. ledger: one entry per turn, in order of arrival."""

    def __init__(self) -> None:
        self.ledger: list[dict[str, Any]] = []
        self.conversations: defaultdict[str, Conversation] = defaultdict(Conversation)
        self.delay_ms, self.linger_ms = 0, 0
        self.down = False
        self.fail_next: list[dict[str, Any]] = []
        self.callback_url, self.callback_token = "", ""
        self.posts: list[dict[str, Any]] = []

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/webhooks/rest/webhook", self.rest, methods=["POST"]),
                Route("/webhooks/callback/webhook", self.callback, methods=["POST"]),
                Route("/webhooks/rest/", self.health),
                Route("/", self.health),
                Route("/version", self.version),
                Route("/status", self.status),
                Route("/conversations/{sender}/tracker", self.tracker),
                Route("/conversations/{sender}/tracker/events", self.append, methods=["POST"]),
                Route("/conversations/{sender}/trigger_intent", self.trigger, methods=["POST"]),
                Route("/model/parse", self.parse, methods=["POST"]),
                Route("/_sandbox/ledger", self.show_ledger),
                Route("/_sandbox/control", self.control, methods=["POST"]),
                Route("/_sandbox/reset", self.reset, methods=["POST"]),
            ]
        )

    async def rest(self, request: Request) -> Response:
        return await self._receive(request, None)

    async def parse(self, request: Request) -> Response:
        """`POST /model/parse`: the intent alone; nothing runs, and no tracker is written."""
        if self.down:
            return JSONResponse({"status": "failure", "reason": "Down"}, 503)
        text = (await request.json())["text"]
        intent, _ = answer(text)
        return JSONResponse({"text": text, "intent": {"name": intent, "confidence": 0.9}, "entities": []})

    async def callback(self, request: Request) -> Response:
        """Metadata is dropped; each message is posted, in order, before `success` is answered. An answer that is
        not 200 loses the message; when nobody listens, it is 500 and the turn never happened."""
        return await self._receive(request, self._post)

    async def _receive(self, request: Request, say: Say | None) -> Response:
        try:
            body = await request.json()
        except (ValueError, ClientDisconnect):
            return JSONResponse({"status": "failure", "reason": "BadRequest"}, 400)
        message, metadata = body.get("message"), body.get("metadata")
        if self.down:
            return JSONResponse({"status": "failure", "reason": "Down"}, 503)
        if not isinstance(message, str) or not message.strip() or not isinstance(metadata, dict | None):
            return JSONResponse([])
        sender = body.get("sender") or "default"
        noted = [each.get("metadata") or {} for each in self.conversations[sender].events]
        marks = [each["omnibridge_turn"] for each in noted if "omnibridge_turn" in each]
        given = {} if say else metadata or {}
        entry = self._enter(sender, message, {"delivery_id": marks[-1], **given} if marks else given)
        failure = next_failure(self.fail_next)
        if failure and not failure.get("after_effect"):
            return self._fail(entry, failure)
        turn = asyncio.create_task(self._turn(sender, message, given, entry, say))
        hung_up = asyncio.create_task(gone(request.receive))
        await asyncio.wait({turn, hung_up}, return_when=asyncio.FIRST_COMPLETED)
        hung_up.cancel()
        if not turn.done():
            turn.cancel()
            await asyncio.wait({turn})
            entry.update(outcome="cancelled", finished_at=now_ms())
            return JSONResponse([])
        if failure:
            return self._fail(entry, failure)
        if turn.exception():
            return self._fail(entry, {"status": 500})
        return PlainTextResponse("success") if say else JSONResponse(turn.result())

    async def _turn(
        self, sender: str, message: str, metadata: dict[str, Any], entry: dict[str, Any], say: Say | None
    ) -> list[Any]:
        conversation = self.conversations[sender]
        async with conversation.lock:
            intent, messages = answer(message)
            entry["side_effects"] = True  # actions have run by now; what follows may still be cancelled
            if self.delay_ms:
                await asyncio.sleep(self.delay_ms / 1000)
            if say:
                for each in messages:
                    await say({"recipient_id": sender, **each})
                await asyncio.sleep(self.linger_ms / 1000)
            if intent == "restart":
                conversation.events.clear()
            conversation.events += _events(message, metadata, intent, messages)
            entry.update(outcome="answered", finished_at=now_ms(), replies=[each.get("text") for each in messages])
            return [{"recipient_id": sender, **each} for each in messages]

    async def _post(self, message: dict[str, Any]) -> None:
        """Raises ClientError when nobody listens."""
        headers = {"Authorization": f"Bearer {self.callback_token}"}
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.callback_url, json=message, headers=headers) as answer,
        ):
            self.posts.append({"message": message, "status": answer.status})

    def _enter(self, sender: str, message: str, metadata: dict[str, Any]) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "n": len(self.ledger),
            "sender": sender,
            "message": message,
            "delivery_id": metadata.get("delivery_id"),
            "room": metadata.get("room"),
            "late": bool(metadata.get("late")),
            "interaction": metadata.get("interaction"),
            "started_at": now_ms(),
            "outcome": "started",
        }
        self.ledger.append(entry)
        return entry

    def _fail(self, entry: dict[str, Any], failure: dict[str, Any]) -> Response:
        entry.setdefault("finished_at", now_ms())
        if not failure.get("after_effect"):
            entry["outcome"] = "failed"
        status = int(failure.get("status", 500))
        if failure.get("html"):
            return Response("<html>please sign in</html>", status, media_type="text/html")
        return JSONResponse([], 200) if status == 200 else JSONResponse({"status": "failure"}, status)

    async def health(self, _: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def version(self, _: Request) -> Response:
        return JSONResponse({"version": "3.6.21", "minimum_compatible_version": "3.5.0"})

    async def status(self, _: Request) -> Response:
        return JSONResponse({"model_file": "simulated.tar.gz", "model_id": "simulated", "num_active_training_jobs": 0})

    async def tracker(self, request: Request) -> Response:
        sender = request.path_params["sender"]
        conversation = self.conversations[sender]
        users = [each for each in conversation.events if each["event"] == "user"]
        latest = {**users[-1]["parse_data"], "metadata": users[-1]["metadata"]} if users else {}
        wanted = request.query_params.get("include_events", "AFTER_RESTART")
        events = None if wanted == "NONE" else conversation.events
        return JSONResponse(
            {"sender_id": sender, "paused": False, "latest_message": latest, "events": events, "slots": {}}
        )

    async def append(self, request: Request) -> Response:
        self.conversations[request.path_params["sender"]].events.append(await request.json())
        return JSONResponse({"sender_id": request.path_params["sender"]})

    async def trigger(self, request: Request) -> Response:
        """`EXTERNAL_nudge` says something; it is posted when `output_channel` is the callback."""
        sender, body = request.path_params["sender"], await request.json()
        if request.query_params.get("output_channel") == "callback" and body.get("name") == "EXTERNAL_nudge":
            await self._post({"recipient_id": sender, "text": "Are you still there?"})
        self.ledger.append(
            {"n": len(self.ledger), "sender": sender, "trigger": body.get("name"), "started_at": now_ms()}
        )
        return JSONResponse({"tracker": {}, "messages": []})

    async def show_ledger(self, _: Request) -> Response:
        return JSONResponse({"turns": self.ledger, "posts": self.posts})

    async def control(self, request: Request) -> Response:
        """delay_ms, linger_ms (after the posts of the callback channel), down, callback_url, callback_token,
        fail_next [{status, count, after_effect, html}], clear_failures.
        """
        wish = await request.json()
        self.delay_ms = int(wish.get("delay_ms", self.delay_ms))
        self.linger_ms = int(wish.get("linger_ms", self.linger_ms))
        self.down = bool(wish.get("down", self.down))
        if wish.get("clear_failures"):
            self.fail_next.clear()
        self.callback_url = str(wish.get("callback_url", self.callback_url))
        self.callback_token = str(wish.get("callback_token", self.callback_token))
        self.fail_next += wish.get("fail_next", [])
        return JSONResponse({"ok": True})

    async def reset(self, _: Request) -> Response:
        self.ledger.clear()
        self.posts.clear()
        self.conversations.clear()
        self.delay_ms, self.linger_ms, self.down = 0, 0, False
        self.fail_next.clear()
        return JSONResponse({"ok": True})


def create_simulator() -> Starlette:
    """Entry point of `omnibridge.simulators`."""
    return Simulator().app()


def _events(message: str, metadata: dict[str, Any], intent: str, messages: list[Any]) -> list[dict[str, Any]]:
    parsed = {"intent": {"name": intent, "confidence": 1.0}, "text": message}
    user = {"event": "user", "text": message, "parse_data": parsed, "metadata": metadata}
    said = [
        {"event": "bot", "text": each.get("text"), "data": {key: each[key] for key in each if key != "text"}}
        for each in messages
    ]
    return [user, *said, {"event": "action", "name": "action_listen"}]
