"""A stand-in for Live Agent's Chat REST API over real sockets: the long poll, moves between servers, files.

As the reference says (salesforce.md, section 1); what it marks as uncertain is in README.md, with the reading taken
here.
"""

from __future__ import annotations

from typing import Any, ClassVar

from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response

from connectors.salesforce.simulator import ChatSimulator, Endpoints
from connectors.salesforce_live_agent.simulated.api import Api
from connectors.salesforce_live_agent.simulated.desk import Desk
from connectors.salesforce_live_agent.simulated.service import BUTTON_ID, DEPLOYMENT_ID, ORG_ID, Service
from omnibridge.connector.simulating import Cuttable, files_of

ROOT = "/chat/rest"


class Simulator(ChatSimulator):
    """service: what it knows. desk: its agents."""

    ENDPOINTS: ClassVar[Endpoints] = {
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
    ANSWER = "result"
    SETTINGS = f'org_id = "{ORG_ID}"\ndeployment_id = "{DEPLOYMENT_ID}"\nbutton_id = "{BUTTON_ID}"'

    def begin(self) -> None:
        self.service = Service()
        self.desk = Desk(self.service)
        self.api = Api(self.service)

    @property
    def vendor(self) -> Service:
        return self.service

    def release(self) -> None:
        for each in self.service.sessions.values():
            self.service.kill(each, "released")

    def refused(self, exc: HTTPException) -> Response:
        """Error bodies repeat code and text (reference 1.3)."""
        return PlainTextResponse(f"{exc.status_code} {exc.detail}", exc.status_code)

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

    def take(self, rest: dict[str, Any], *, cleared: bool) -> None:
        """move_all: every session, to another server."""
        is_moved = rest.pop("move_all", False)
        for each in self.service.sessions.values():
            if is_moved and not each.is_dead:
                self.service.move(each)
            each.wake.set()


def create_simulator() -> Cuttable:
    """Entry point of `omnibridge.simulators`."""
    return Simulator().app()
