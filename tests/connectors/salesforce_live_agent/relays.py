"""A world with a bot that hands over to the simulated service."""

from __future__ import annotations

from typing import Any

from connectors.salesforce_live_agent.connector import SalesforceLiveAgentConnector
from omnibridge.sandbox.visitor import Visitor
from tests.connectors.salesforce import relays
from tests.connectors.salesforce_live_agent.services import checked as running  # noqa: F401 - for tests of both chats


class Relay(relays.Relay):
    KIND = "salesforce_live_agent"
    CONNECTOR = SalesforceLiveAgentConnector
    ADDRESS = 'endpoint = "{}/chat/rest/"'

    @property
    def chat(self) -> str:
        return list(self.sf.service.sessions)[-1]

    @property
    def counts(self) -> dict[str, int]:
        return self.sf.service.counts

    def session(self) -> Any:
        return self.sf.service.sessions[self.chat]


GIVEN = """
details = [
    { label = "Room", fact = "room", transcript_fields = ["Rocket_Room__c"] },
    { label = "E-mail", fact = "visitor_email" },
    { label = "Origin", value = "rocketchat", display = false },
]
entities = [{ name = "Contact", save_to_transcript = "ContactId", fields = [
    { field = "Email", label = "Room", find = true, exact = true, create = true } ] }]
"""


def check_given(relay: Relay, visitor: Visitor) -> None:
    init = relay.session().init
    assert [init["prechatDetails"][0][each] for each in ("label", "value")] == ["Room", visitor.rid]
    assert init["prechatDetails"][-1]["displayToAgent"] is False
    assert init["prechatEntities"][0]["entityFieldsMaps"][0]["fieldName"] == "Email"
    assert init["visitorName"] == "Vera"


def is_over(relay: Relay) -> bool:
    return relay.session().state == "ended"


def check_once(relay: Relay) -> None:
    """One chat, and nothing posted twice."""
    assert (len(relay.sf.service.sessions), relay.counts["repeated_posts"]) == (1, 0)
