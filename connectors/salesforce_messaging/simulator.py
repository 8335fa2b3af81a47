"""A stand-in for Messaging for In-App and Web v2: REST, tokens and the event stream, over real sockets.

Faults are switched on, agents are driven and ledgers are read under `/_sandbox/`, or from Python. As the reference
says (salesforce.md, section 2); what it marks as uncertain is in README.md, with the reading taken here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.salesforce_messaging.simulated.api import Api
from connectors.salesforce_messaging.simulated.desk import Desk
from connectors.salesforce_messaging.simulated.feeds import StreamFaults
from connectors.salesforce_messaging.simulated.org import DEVELOPER_NAME, ORG_ID, Options, Org
from connectors.salesforce_messaging.simulated.tokens import Keyset
from omnibridge.connector.simulating import Cuttable, Faults, files_of

ROOT = "/iamessage/api/v2"
DESK_CALLS = (
    "accept",
    "say",
    "say_as_bot",
    "say_as_system",
    "ask",
    "ask_form",
    "send_file",
    "typing",
    "receipt",
    "transfer",
    "end",
    "inactive",
    "queue_position",
    "fail_routing",
)


class Simulator:
    """org: what it knows. desk: its agents. faults: of the endpoints, by the names in `app`."""

    def __init__(self) -> None:
        self._begin()
        self.faults = Faults()

    def _begin(self) -> None:
        self.org = Org()
        self.desk = Desk(self.org)
        self.api = Api(self.org)

    def app(self) -> Cuttable:
        guarded = {
            ("token", f"{ROOT}/authorization/unauthenticated/access-token", "POST"): "guest_token",
            ("token", f"{ROOT}/authorization/authenticated/access-token", "POST"): "verified_token",
            ("revoke", f"{ROOT}/authorization/authenticated/access-token", "DELETE"): "revoke",
            ("continuation", f"{ROOT}/authorization/continuation-access-token", "GET"): "continuation",
            ("create", f"{ROOT}/conversation", "POST"): "create",
            ("list", f"{ROOT}/conversation/list", "GET"): "listing",
            ("show", f"{ROOT}/conversation/{{cid}}", "GET"): "show",
            ("close", f"{ROOT}/conversation/{{cid}}", "DELETE"): "close",
            ("entries", f"{ROOT}/conversation/{{cid}}/entries", "GET"): "entries",
            ("message", f"{ROOT}/conversation/{{cid}}/message", "POST"): "message",
            ("file", f"{ROOT}/conversation/{{cid}}/file", "POST"): "file",
            ("typing", f"{ROOT}/conversation/{{cid}}/entry", "POST"): "entry",
            ("receipts", f"{ROOT}/conversation/{{cid}}/acknowledge-entries", "POST"): "acknowledge",
            ("end_session", f"{ROOT}/conversation/{{cid}}/session", "DELETE"): "end_session",
            ("stream", "/eventrouter/v1/sse", "GET"): "stream",
            ("download", "/_files/{fid}", "GET"): "download",
            ("hours", "/embeddedservice/v1/businesshours", "GET"): "business_hours",
        }
        routes = [
            Route(path, self.faults.guard(name, self._call(handler)), methods=[method])
            for (name, path, method), handler in guarded.items()
        ]
        routes += [
            Route("/_sandbox/ledger", self.show_ledger),
            Route("/_sandbox/control", self.control, methods=["POST"]),
            Route("/_sandbox/agent", self.act, methods=["POST"]),
            Route("/_sandbox/reset", self.reset, methods=["POST"]),
        ]
        app = Starlette(routes=routes, exception_handlers={HTTPException: _refused})
        app.state.connection_settings = f'org_id = "{ORG_ID}"\nes_developer_name = "{DEVELOPER_NAME}"'
        return Cuttable(app)

    def _call(self, name: str) -> Callable[[Request], Any]:
        """The handler of the org that there is now: `reset` makes another."""

        async def call(request: Request) -> Response:
            self.org.url = f"{request.url.scheme}://{request.url.netloc}"
            try:
                answer: Response = await getattr(self.api, name)(request)
            except HTTPException as exc:
                return await _refused(request, exc)
            return answer

        return call

    def ledger(self) -> dict[str, Any]:
        """desk: what reached the agents. limited: what was over a limit. visitor: events that were written to
        streams, in order, repeats too.

        streams: by subject; most_open is how many there were at one time.
        """
        org = self.org
        return {
            "desk": org.desk,
            "visitor": [{"subject": who, "event_id": number, "event": name} for who, number, name in org.feeds.written],
            "calls": self.api.calls,
            "tokens": self.api.issued,
            "limited": self.api.limited,
            "streams": {
                who: {"open": feed.open, "most_open": feed.most_open, "opened": feed.opened}
                for who, feed in org.feeds.by_subject.items()
            },
            "conversations": {each.id: conversation_of(each) for each in org.conversations.values()},
            "files": files_of(org.files),
            "waiting": self.desk.waiting(),
        }

    async def show_ledger(self, _: Request) -> Response:
        return JSONResponse(self.ledger())

    async def control(self, request: Request) -> Response:
        """fail_next [Fault], clear_failures, down, stream {StreamFaults}, cut (all streams, now), options {Options},
        advance_s, keysets [{issuer, kid, public_pem}], all_are_guests, guest_ttl_s, verified_ttl_s, revoke_all,
        accepts, echoes. An unknown key is an error.
        """
        wish = await request.json()
        try:
            self.wish(wish)
        except (TypeError, ValueError, msgspec.ValidationError) as exc:
            return JSONResponse({"error": str(exc)}, 400)
        return JSONResponse({"ok": True})

    def wish(self, wish: dict[str, Any]) -> None:
        """See `control`. Raises ValueError or msgspec.ValidationError."""
        org, tokens, rest = self.org, self.org.tokens, dict(wish)
        if rest.pop("clear_failures", False):
            self.faults.clear()
            org.feeds.faults = StreamFaults()
        self.faults.add(rest.pop("fail_next", []))
        self.faults.down = bool(rest.pop("down", self.faults.down))
        _set(org.feeds.faults, rest.pop("stream", {}))
        _set(org.options, rest.pop("options", {}))
        tokens.keysets += [Keyset(**each) for each in rest.pop("keysets", [])]
        for key in ("all_are_guests", "guest_ttl_s", "verified_ttl_s"):
            setattr(tokens, key, rest.pop(key, getattr(tokens, key)))
        for key in ("accepts", "echoes"):
            setattr(self.desk, key, rest.pop(key, getattr(self.desk, key)))
        org.clock.ahead_s += float(rest.pop("advance_s", 0))
        if rest.pop("revoke_all", False):
            tokens.revoke_all()
        if rest.pop("cut", False) or self.faults.down:
            org.feeds.cut_all()
        org.feeds.wake_all()
        if rest:
            raise ValueError(f"unknown: {', '.join(sorted(rest))}")

    async def act(self, request: Request) -> Response:
        """{"do": one of DESK_CALLS, "conversation": id, ...} -> {"id": of the message, or null}."""
        wish = await request.json()
        name = wish.pop("do", "")
        if name not in DESK_CALLS:
            return JSONResponse({"error": f"do is one of {', '.join(DESK_CALLS)}"}, 400)
        try:
            return JSONResponse({"id": getattr(self.desk, name)(**wish)})
        except (KeyError, TypeError, ValueError) as exc:
            return JSONResponse({"error": str(exc)}, 400)

    async def reset(self, _: Request) -> Response:
        self.org.feeds.cut_all()
        self.faults.clear()
        self._begin()
        return JSONResponse({"ok": True})


def conversation_of(conversation: Any) -> dict[str, Any]:
    """For the ledger."""
    return {
        "subject": conversation.subject,
        "is_closed": conversation.is_closed,
        "routing_status": conversation.routing_status,
        "sessions": [
            {
                "id": each.id,
                "status": each.status,
                "attributes": each.attributes,
                "is_routed": each.is_routed,
                "agent": each.agent.subject if each.agent else None,
            }
            for each in conversation.sessions
        ],
        "entries": conversation.entries,
    }


def create_simulator() -> Cuttable:
    """Entry point of `omnibridge.simulators`."""
    return Simulator().app()


def _set(options: Options | StreamFaults, wish: dict[str, Any]) -> None:
    known = {each.name for each in fields(options)}
    if set(wish) - known:
        raise ValueError(f"unknown: {', '.join(sorted(set(wish) - known))}")
    for key, value in wish.items():
        setattr(options, key, value)


async def _refused(_: Request, exc: Exception) -> Response:
    """The shape of the real body is not known (reference, section 6)."""
    assert isinstance(exc, HTTPException)
    return JSONResponse({"message": exc.detail, "code": exc.status_code}, exc.status_code, exc.headers)
