"""Messaging for In-App and Web in a soak: conversations, streams, the org's faults."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from connectors.salesforce_messaging.simulated.org import Conversation
from connectors.salesforce_messaging.simulator import Simulator
from tests.soak.desk_side import DeskSide, Ended

TROUBLES: dict[str, dict[str, Any]] = {
    "message_500": {"on": "message", "status": 500},
    "message_500_after_effect": {"on": "message", "status": 500, "after_effect": True},
    "message_cut_after_effect": {"on": "message", "cut": True, "after_effect": True},
    "message_429": {"on": "message", "status": 429, "headers": {"Retry-After": "1"}},
    "create_500_after_effect": {"on": "create", "status": 500, "after_effect": True},
    "stream_503": {"on": "stream", "status": 503},
    "entries_500": {"on": "entries", "status": 500},
    "token_429": {"on": "token", "status": 429, "headers": {"Retry-After": "1"}},
    "close_500_after_effect": {"on": "close", "status": 500, "after_effect": True},
}
"""Of one request, each."""
ALL_CUT = 0.03
"""So often a trouble is that every stream is reset at once."""


class MessagingSide(DeskSide):
    name = "messaging"
    CHAT, TROUBLES = "conversation", TROUBLES
    OTHERS = ("stream_cut", "stream_cut", "stream_cut_within", "doubled", "few_replayed")

    def __init__(self, seed: int) -> None:
        simulator = Simulator()
        super().__init__(seed, simulator)
        self._org = simulator.org
        self._simulator.wish({"options": {"tokens_per_minute": 0}})
        self._unread: defaultdict[str, list[str]] = defaultdict(list)
        self._org.routed.append(self._routed)
        self._org.said.append(self._said)

    def connection(self) -> str:
        return f"""
kind = "salesforce_messaging"
url = "{self.url}"
{self._simulator.SETTINGS}
routing_attributes = {{ Room_Id = "room" }}
"""

    def _routed(self, found: Conversation) -> None:
        self.offered(found.id, _room_of(found))

    def accept(self, chat: str, agent: str, name: str) -> None:
        """What was said before is there for him to read."""
        super().accept(chat, agent, name)
        for text in self._unread.pop(chat, []):
            self._desk.say(chat, f"echo {text}")

    def _said(self, found: Conversation, said: dict[str, Any]) -> None:
        text = said["staticContent"]["text"]
        if self.is_served(found.id):
            self._desk.say(found.id, f"echo {text}")
        elif self.is_live(found.id):
            self._unread[found.id].append(text)

    def is_live(self, chat: str) -> bool:
        found = self._org.conversations[chat]
        return not found.is_closed and found.session is not None

    def is_served(self, chat: str) -> bool:
        session = self._org.conversations[chat].session
        return session is not None and session.agent is not None

    def is_followed(self, chat: str) -> bool:
        return self._org.feeds.of(self._org.conversations[chat].subject).open > 0

    def trouble(self) -> str:
        streams = self._org.feeds.faults
        streams.double = streams.unknown = streams.within = False
        streams.replay = None
        if self.random.random() < ALL_CUT:
            self._org.feeds.cut_all()
            return "all_streams_cut"
        return super().trouble()

    def other(self, name: str) -> None:
        streams = self._org.feeds.faults
        match name:
            case "stream_cut" | "stream_cut_within":
                streams.cut_after, streams.within = self.random.randint(0, 5), name == "stream_cut_within"
            case "doubled":
                streams.double = streams.unknown = True
            case "few_replayed":
                streams.replay = 1
                streams.cut_after = 0

    def told(self) -> dict[str, list[str]]:
        found: defaultdict[str, list[str]] = defaultdict(list)
        for each in self._org.conversations.values():
            for entry in each.entries:
                if entry["entryType"] == "Message" and entry["sender"]["role"] == "Agent":
                    text = entry["entryPayload"]["abstractMessage"]["staticContent"]["text"]
                    found[_room_of(each)].append(text)
        return found

    def over(self) -> list[Ended]:
        ended = [each for each in self._org.conversations.values() if not self.is_live(each.id)]
        return [Ended(_room_of(each), _ended_by(each)) for each in ended]

    def counts(self) -> dict[str, int]:
        feeds = self._org.feeds.by_subject.values()
        calls = Counter(each["path"].rpartition("/")[2] for each in self._simulator.api.calls)
        return {
            "duplicate_polls": sum(each.most_open > 1 for each in feeds),
            "sequence_gaps": 0,
            "early_posts": 0,
            "streams": sum(each.opened for each in feeds),
            "entries_read": calls["entries"],
            "repeats_folded": sum(each.get("repeats", 0) for each in self._org.desk),
        }


def _room_of(found: Conversation) -> str:
    return str(found.sessions[0].attributes.get("Room_Id", ""))


def _ended_by(found: Conversation) -> str:
    for each in reversed(found.entries):
        if each["entryPayload"].get("sessionStatus") == "Ended":
            return str(each["entryPayload"]["sessionEndedByRole"])
    return "nobody"
