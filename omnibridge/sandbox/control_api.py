"""`/_sandbox/`: the hub's own ledger, switches for its faults, and ways to wait. See README.md beside this."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from omnibridge.sandbox.http import Api
from omnibridge.sandbox.state import Message, Room

_SENDER = ("http_timeout_ms", "duplicate_rate", "swap_rate", "swap_hold_ms")
_HUB = ("bot_first", "requeue_to_bot", "routing_method", "accept_with_no_agents")


class ControlApi:
    """Not part of Rocket.Chat: for tests, the demo, and people who play with it."""

    def __init__(self, api: Api) -> None:
        self._api, self._hub = api, api.hub

    def routes(self) -> list[Route]:
        return [
            Route("/_sandbox/ledger", self._ledger),
            Route("/_sandbox/control", self._control, methods=["POST"]),
            Route("/_sandbox/pending", self._pending),
            Route("/_sandbox/wait", self._wait),
            Route("/_sandbox/wait_event", self._wait_event),
        ]

    async def _ledger(self, request: Request) -> Response:
        rid = request.query_params.get("rid")
        rooms = [each for each in self._hub.rooms.values() if rid in (None, each.id)]
        sender = self._hub.sender
        return JSONResponse(
            {
                "rooms": [_room(each) for each in rooms],
                "webhooks": [each for each in sender.log if rid in (None, each["rid"])],
                "duplicates_sent": sender.duplicates_sent,
                "reordered_sent": sender.reordered_sent,
                "save_ms": self._hub.save_ms,
                "rest_calls": dict(self._hub.rest_calls),
            }
        )

    async def _control(self, request: Request) -> Response:
        wish = await request.json()
        sender = self._hub.sender
        sender.url = wish.get("webhook_url", sender.url)
        sender.token = wish.get("webhook_token", sender.token)
        for name in _SENDER:
            setattr(sender, name, wish.get(name, getattr(sender, name)))
        for name in _HUB:
            setattr(self._hub, name, wish.get(name, getattr(self._hub, name)))
        if "seed" in wish:
            sender.reseed(int(wish["seed"]))
        for username, available in (wish.get("available") or {}).items():
            user = self._hub.user_named(username)
            if user:
                user.status_livechat = "available" if available else "not-available"
        self._api.fail_next += wish.get("fail_next", [])
        self._api.delay_ms = int(wish.get("rest_delay_ms", self._api.delay_ms))
        return JSONResponse({"ok": True})

    async def _pending(self, request: Request) -> Response:
        """How many webhooks are neither answered 200 nor given up."""
        wait_ms = int(request.query_params.get("wait_ms", "0"))
        if wait_ms:
            self._hub.sender.on_settled = lambda: self._hub.changed("")
            await self._hub.wait("", lambda: self._hub.sender.unsettled == 0, wait_ms)
        return JSONResponse({"pending": self._hub.sender.unsettled})

    async def _wait(self, request: Request) -> Response:
        """Until a room has `count` messages of an author (visitor, bot, agent, system, any)."""
        query = request.query_params
        author, count = query.get("author", "any"), int(query.get("count", "1"))
        room = self._hub.rooms.get(query["rid"])
        if room is None:
            return JSONResponse({"ok": False, "messages": []}, 404)

        def matching() -> list[Message]:
            return [each for each in room.messages if each.kind == author or (author == "any" and not each.system_type)]

        ok = await self._hub.wait(room.id, lambda: len(matching()) >= count, int(query.get("timeout_ms", "10000")))
        return JSONResponse({"ok": ok, "messages": [_message(each) for each in matching()]})

    async def _wait_event(self, request: Request) -> Response:
        """Until something happened in a room: assigned, unassigned, queued, closed; `by` names who."""
        query = request.query_params
        room, what, who = self._hub.rooms[query["rid"]], query["event"], query.get("by")

        def happened() -> bool:
            return any(each["what"] == what and who in (None, each["who"]) for each in room.log)

        ok = await self._hub.wait(room.id, happened, int(query.get("timeout_ms", "10000")))
        return JSONResponse({"ok": ok, "log": room.log})


def _room(room: Room) -> dict[str, Any]:
    return {
        "rid": room.id,
        "open": room.open,
        "visitor": room.visitor.username,
        "served_by": room.served_by.username if room.served_by else None,
        "log": room.log,
        "messages": [_message(each) for each in room.messages],
    }


def _message(message: Message) -> dict[str, Any]:
    return {
        "id": message.id,
        "text": message.text,
        "ts": message.ts,
        "seq": message.seq,
        "author": message.author_username,
        "kind": message.kind,
        "t": message.system_type,
        "attachments": message.attachments,
    }
