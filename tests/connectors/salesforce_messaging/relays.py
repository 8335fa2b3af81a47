"""A world with a bot that hands over to the simulated org."""

from __future__ import annotations

from typing import Any

from connectors.salesforce_messaging.connector import SalesforceMessagingConnector
from omnibridge.sandbox.visitor import Visitor
from tests.connectors.salesforce import relays
from tests.connectors.salesforce_messaging.orgs import org as running  # noqa: F401 - by name, for tests of both chats

TOLD = 'facts = ["workspace", "room", "visitor.*", "room.*", "bot.*", "department"]'


class Relay(relays.Relay):
    KIND = "salesforce_messaging"
    CONNECTOR = SalesforceMessagingConnector
    ADDRESS = f'url = "{{}}"\n{TOLD}'

    @property
    def chat(self) -> str:
        """There is no other."""
        (found,) = self.sf.org.conversations
        return found

    def conversation(self) -> Any:
        return self.sf.org.conversations[self.chat]

    def session(self) -> Any:
        return self.conversation().sessions[-1]

    def repeats(self) -> int:
        return sum(each.get("repeats", 0) for each in self.sf.org.desk)

    def streams(self) -> int:
        """The most that one user had at a time."""
        return max((each.most_open for each in self.sf.org.feeds.by_subject.values()), default=0)


GIVEN = 'routing_attributes = { Room_Id = "room", Visitor_Name = "visitor_name" }'


def check_given(relay: Relay, visitor: Visitor) -> None:
    assert relay.session().attributes["Room_Id"] == visitor.rid


def is_over(relay: Relay) -> bool:
    return bool(relay.conversation().is_closed)


def check_once(relay: Relay) -> None:
    """One chat, one stream at a time, and nothing sent twice."""
    assert (len(relay.sf.org.conversations), relay.streams(), relay.repeats()) == (1, 1, 0)
