"""Live Agent in a soak: sessions, polls, the service's faults.

Only a session in which something was posted after its beginning is moved to another server. One that was never
answered cannot be resumed there (reference 1.9: without an offset a new session is begun), and what becomes of it is
for tests/connectors/salesforce_live_agent.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from connectors.salesforce_live_agent.simulated.service import Session
from connectors.salesforce_live_agent.simulator import Simulator
from tests.soak.desk_side import DeskSide, Ended

CONNECTION_TIMEOUT_S, POLL_S = 40.0, 15.0
"""The shortest that anybody has seen (reference 1.7); polls of 30 or 40 s would hardly ever end with 204 here."""
TROUBLES: dict[str, dict[str, Any]] = {
    "poll_cut": {"on": "poll", "cut": True},
    "poll_cut_after_effect": {"on": "poll", "cut": True, "after_effect": True},
    "poll_204": {"on": "poll", "status": 204},
    "poll_500": {"on": "poll", "status": 500},
    "post_500": {"on": "post", "status": 500},
    "post_500_after_effect": {"on": "post", "status": 500, "after_effect": True},
    "post_cut_after_effect": {"on": "post", "cut": True, "after_effect": True},
    "session_500": {"on": "session", "status": 500},
    "reconnect_cut_after_effect": {"on": "reconnect", "cut": True, "after_effect": True},
}
"""Of one request, each."""


class LiveAgentSide(DeskSide):
    name = "live_agent"
    grace_s = CONNECTION_TIMEOUT_S
    CHAT, TROUBLES = "session", TROUBLES
    OTHERS = ("move", "move", "move", "doubled", "resent_otherwise")

    def __init__(self, seed: int) -> None:
        simulator = Simulator()
        super().__init__(seed, simulator)
        self._service = simulator.service
        options = {"poll_s": POLL_S, "connection_timeout_s": CONNECTION_TIMEOUT_S}
        self._simulator.wish({"echoes": True, "options": options})
        self._service.requested.append(self._requested)

    def connection(self) -> str:
        return f"""
kind = "salesforce_live_agent"
endpoint = "{self.url}/chat/rest/"
{self._simulator.SETTINGS}
details = [{{ label = "Room", fact = "room" }}]
"""

    def _requested(self, found: Session) -> None:
        self.offered(found.id, _room_of(found))

    def is_live(self, chat: str) -> bool:
        found = self._service.sessions[chat]
        return not found.is_dead and found.state in ("waiting", "established")

    def is_served(self, chat: str) -> bool:
        return self.is_live(chat) and self._service.sessions[chat].state == "established"

    def is_followed(self, chat: str) -> bool:
        return self._service.sessions[chat].poll is not None

    def trouble(self) -> str:
        self._service.options.double = False
        return super().trouble()

    def other(self, name: str) -> None:
        options = self._service.options
        match name:
            case "move":
                chats = [self._service.sessions[each] for each in self.live if self.is_served(each)]
                chats = [each for each in chats if each.expected > 2]
                if chats:
                    self._service.move(self.random.choice(chats))
            case "doubled":
                options.double = True
            case "resent_otherwise":
                options.resend = "grown" if options.resend == "same" else "same"
                options.reconnect_replays = not options.reconnect_replays

    def calm(self) -> None:
        super().calm()
        self._service.options.double = False

    def told(self) -> dict[str, list[str]]:
        found: defaultdict[str, list[str]] = defaultdict(list)
        for chat, room in self.rooms.items():
            lines = self._service.sessions[chat].lines
            found[room] += [each["content"] for each in lines if each["type"] == "Agent"]
        return found

    def over(self) -> list[Ended]:
        """Nobody looks after a session that is silent until it is asked for something: so ask."""
        for each in list(self._service.sessions.values()):
            self._service.find(each.key)
        why: dict[str, str] = {}
        for row in self._service.desk:
            if row["kind"] in ("end", "left"):
                why.setdefault(row["session"], f"{row['kind']} {row['reason']}")
        ended = [each for each in self.rooms if not self.is_live(each)]
        return [Ended(self.rooms[each], why.get(each, "agent")) for each in ended]

    def counts(self) -> dict[str, int]:
        return dict(self._service.counts)


def _room_of(found: Session) -> str:
    details = {each["label"]: each["value"] for each in found.init["prechatDetails"]}
    return str(details["Room"])
