"""A stand-in for Live Agent's Chat REST API over real sockets: the long poll, moves between servers, files.

Faults are switched on, agents are driven and ledgers are read under `/_sandbox/`, or from Python. As the reference
says (salesforce.md, section 1); what it marks as uncertain is in README.md, with the reading taken here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from connectors.salesforce_live_agent.simulated.api import Api
from connectors.salesforce_live_agent.simulated.desk import Desk
from connectors.salesforce_live_agent.simulated.service import BUTTON_ID, DEPLOYMENT_ID, ORG_ID, Options, Service
from omnibridge.connector.simulating import Cuttable, Faults, files_of

ROOT = "/chat/rest"
DESK_CALLS = (
    "accept",
    "say",
    "typing",
    "transfer",
    "transfer_to_button",
    "confer",
    "disconnect",
    "end",
    "fail",
    "queue_position",
    "custom_event",
    "request_file",
    "cancel_file",
    "push",
    "move",
    "kill",
)


class Simulator:
    """service: what it knows. desk: its agents. faults: of the endpoints, by the names in `app`."""

    def __init__(self) -> None:
        self._begin()
        self.faults = Faults()

    def _begin(self) -> None:
        self.service = Service()
        self.desk = Desk(self.service)
        self.api = Api(self.service)

    def app(self) -> Cuttable:
        guarded = {
            ("session", f"{ROOT}/System/SessionId", "GET"): "session_id",
            ("delete", f"{ROOT}/System/SessionId/{{key}}", "DELETE"): "delete",
            ("poll", f"{ROOT}/System/Messages", "GET"): "messages",
            ("reconnect", f"{ROOT}/System/ReconnectSession", "GET"): "reconnect",
            ("post", f"{ROOT}/System/MultiNoun", "POST"): "multi_noun",
            ("post", f"{ROOT}/Chasitor/{{noun}}", "POST"): "post",
            ("visitor", f"{ROOT}/Visitor/Breadcrumb", "POST"): "visitor",
            ("visitor", f"{ROOT}/Visitor/{{noun}}", "GET"): "visitor",
            ("upload", "/_upload", "POST"): "upload",
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
        app.state.connection_settings = (
            f'org_id = "{ORG_ID}"\ndeployment_id = "{DEPLOYMENT_ID}"\nbutton_id = "{BUTTON_ID}"'
        )
        return Cuttable(app)

    def _call(self, name: str) -> Callable[[Request], Any]:
        """The handler of the service that there is now: `reset` makes another."""

        async def call(request: Request) -> Response:
            self.service.url = f"{request.url.scheme}://{request.url.netloc}"
            try:
                answer: Response = await getattr(self.api, name)(request)
            except HTTPException as exc:
                return await _refused(request, exc)
            return answer

        return call

    def ledger(self) -> dict[str, Any]:
        """desk: what reached the agents. visitor: batches that polls got, in order. counts: see `Service`."""
        service = self.service
        sessions = {
            each.id: {
                "state": each.state,
                "is_dead": each.is_dead,
                "agent": each.agent[0],
                "lines": each.lines,
                "init": each.init,
            }
            for each in service.sessions.values()
        }
        return {
            "desk": service.desk,
            "visitor": service.visitor,
            "calls": self.api.calls,
            **service.counts,
            "sessions": sessions,
            "files": files_of(service.files),
            "waiting": self.desk.waiting(),
        }

    async def show_ledger(self, _: Request) -> Response:
        return JSONResponse(self.ledger())

    async def control(self, request: Request) -> Response:
        """fail_next [Fault], clear_failures, down, options {Options}, advance_s, move_all, accepts, echoes. An unknown
        key is an error.
        """
        try:
            self.wish(await request.json())
        except (TypeError, ValueError, msgspec.ValidationError) as exc:
            return JSONResponse({"error": str(exc)}, 400)
        return JSONResponse({"ok": True})

    def wish(self, wish: dict[str, Any]) -> None:
        """See `control`. Raises ValueError or msgspec.ValidationError."""
        rest, options = dict(wish), self.service.options
        if rest.pop("clear_failures", False):
            self.faults.clear()
        self.faults.add(rest.pop("fail_next", []))
        self.faults.down = bool(rest.pop("down", self.faults.down))
        wanted = rest.pop("options", {})
        if set(wanted) - {each.name for each in fields(Options)}:
            raise ValueError("unknown option")
        for key, value in wanted.items():
            setattr(options, key, value)
        for key in ("accepts", "echoes"):
            setattr(self.desk, key, rest.pop(key, getattr(self.desk, key)))
        self.service.clock.ahead_s += float(rest.pop("advance_s", 0))
        is_moved = rest.pop("move_all", False)
        for each in self.service.sessions.values():
            if is_moved and not each.is_dead:
                self.service.move(each)
            each.wake.set()
        if rest:
            raise ValueError(f"unknown: {', '.join(sorted(rest))}")

    async def act(self, request: Request) -> Response:
        """{"do": one of DESK_CALLS, "session": id, ...}"""
        wish = await request.json()
        name = wish.pop("do", "")
        if name not in DESK_CALLS:
            return JSONResponse({"error": f"do is one of {', '.join(DESK_CALLS)}"}, 400)
        try:
            return JSONResponse({"result": getattr(self.desk, name)(**wish)})
        except (KeyError, TypeError, ValueError) as exc:
            return JSONResponse({"error": str(exc)}, 400)

    async def reset(self, _: Request) -> Response:
        for each in self.service.sessions.values():
            self.service.kill(each, "reset")
        self.faults.clear()
        self._begin()
        return JSONResponse({"ok": True})


def create_simulator() -> Cuttable:
    """Entry point of `omnibridge.simulators`."""
    return Simulator().app()


async def _refused(_: Request, exc: Exception) -> Response:
    """Error bodies repeat code and text (reference 1.3)."""
    assert isinstance(exc, HTTPException)
    return PlainTextResponse(f"{exc.status_code} {exc.detail}", exc.status_code)
