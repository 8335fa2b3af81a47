"""A world with a bot that hands over to the simulated service."""

from __future__ import annotations

from typing import Any

from connectors.salesforce_live_agent.connector import SalesforceLiveAgentConnector
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
