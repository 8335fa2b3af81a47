"""A stand-in for Messaging for In-App and Web v2: REST, tokens and the event stream, over real sockets.

As the reference says (salesforce.md, section 2); what it marks as uncertain is in README.md, with the reading taken
here.
"""

from __future__ import annotations

from typing import Any, ClassVar

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from connectors.salesforce.simulator import ChatSimulator, Endpoints, set_fields
from connectors.salesforce_messaging.simulated.api import Api
from connectors.salesforce_messaging.simulated.desk import Desk
from connectors.salesforce_messaging.simulated.feeds import StreamFaults
from connectors.salesforce_messaging.simulated.org import DEVELOPER_NAME, ORG_ID, Org
from connectors.salesforce_messaging.simulated.tokens import Keyset
from omnibridge.connector.simulating import Cuttable, files_of

ROOT = "/iamessage/api/v2"


class Simulator(ChatSimulator):
    """org: what it knows. desk: its agents."""

    ENDPOINTS: ClassVar[Endpoints] = {
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
    SETTINGS = f'org_id = "{ORG_ID}"\nes_developer_name = "{DEVELOPER_NAME}"'

    def begin(self) -> None:
        self.org = Org()
        self.desk = Desk(self.org)
        self.api = Api(self.org)

    @property
    def vendor(self) -> Org:
        return self.org

    def release(self) -> None:
        self.org.feeds.cut_all()

    def refused(self, exc: HTTPException) -> Response:
        """The shape of the real body is not known (reference, section 6)."""
        return JSONResponse({"message": exc.detail, "code": exc.status_code}, exc.status_code, exc.headers)

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

    def take(self, rest: dict[str, Any], *, cleared: bool) -> None:
        """stream {StreamFaults}, cut (all streams, now), keysets [{issuer, kid, public_pem}], all_are_guests,
        guest_ttl_s, verified_ttl_s, revoke_all."""
        feeds, tokens = self.org.feeds, self.org.tokens
        if cleared:
            feeds.faults = StreamFaults()
        set_fields(feeds.faults, rest.pop("stream", {}))
        tokens.keysets += [Keyset(**each) for each in rest.pop("keysets", [])]
        for key in ("all_are_guests", "guest_ttl_s", "verified_ttl_s"):
            setattr(tokens, key, rest.pop(key, getattr(tokens, key)))
        if rest.pop("revoke_all", False):
            tokens.revoke_all()
        if rest.pop("cut", False) or self.faults.down:
            feeds.cut_all()
        feeds.wake_all()


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
