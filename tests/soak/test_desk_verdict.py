"""The verdict on chats, on ledgers that a test writes: what it must see, and what it excuses."""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from connectors.salesforce_live_agent.simulated.service import Session
from omnibridge.sandbox.hub import SimulatedHub
from omnibridge.sandbox.server import SandboxOptions, create_hub
from tests.soak.desk_side import AGENTS
from tests.soak.desk_verdict import WRONG, compare, judge, unread
from tests.soak.live_agent import CONNECTION_TIMEOUT_S, LiveAgentSide

TABLES = """
CREATE TABLE observations (id, source, kind, received_at, body);
CREATE TABLE deliveries (state, stream, command, uncertain, body);
"""


class Ledgers:
    """One chat of one room, `c1`. Its visitor's words are `c1-m001` and so on."""

    def __init__(self, folder: Path) -> None:
        self.hub: SimulatedHub = create_hub(SandboxOptions())[0]
        self.side = LiveAgentSide(1)
        self.database = folder / "soak.db"
        self.tables = sqlite3.connect(self.database)
        self.tables.executescript(TABLES)
        self.ended: set[str] = set()
        self.session = self.chat()

    def chat(self) -> Session:
        found = self.side._service.begin()
        found.init = {"prechatDetails": [{"label": "Room", "value": "r1"}], "visitorName": "V"}
        found.state = "waiting"
        self.side.rooms[found.id] = "r1"
        self.side.live[found.id] = None
        self.side.accept(found.id, *AGENTS[0])
        return found

    def wrong(self, away_s: float = 1.0) -> dict[str, int]:
        found = judge(self.side, self.hub, self.database, {"r1": "c1"}, self.ended, away_s)
        return {name: found[name] for name in WRONG if found[name]}

    def deliver(self, **row: Any) -> None:
        wish = {"state": 1, "stream": "hub", "command": "SendToParty", "uncertain": 0, "body": '{"text": "c1-m001"}'}
        self.tables.execute("INSERT INTO deliveries VALUES (?, ?, ?, ?, ?)", tuple((wish | row).values()))
        self.tables.commit()


@pytest.fixture
def ledgers(tmp_path: Path) -> Ledgers:
    return Ledgers(tmp_path)


def test_chat_that_goes_on_is_all_right(ledgers: Ledgers) -> None:
    assert ledgers.wrong() == {}


def test_chat_that_the_server_gave_up_is_our_doing_unless_we_were_away(ledgers: Ledgers) -> None:
    ledgers.ended.add("r1")
    ledgers.session.last_seen_s -= CONNECTION_TIMEOUT_S + 1

    assert ledgers.wrong(away_s=CONNECTION_TIMEOUT_S - 1) == {"ended_by_us": 1}
    assert ledgers.wrong(away_s=CONNECTION_TIMEOUT_S + 1) == {}


def test_chat_that_ended_though_nobody_wanted_it(ledgers: Ledgers) -> None:
    ledgers.side._service.reached_desk(ledgers.session, "end", reason="client")
    ledgers.side._service.end(ledgers.session, "client")
    assert ledgers.wrong() == {"ended_by_us": 1}
    ledgers.ended.add("r1")
    assert ledgers.wrong() == {}


def test_chat_that_is_over_for_its_visitor_only(ledgers: Ledgers) -> None:
    ledgers.ended.add("r1")

    assert ledgers.wrong() == {"left_open": 1}


def test_room_that_was_offered_twice_and_polls_that_were_second_ones(ledgers: Ledgers) -> None:
    ledgers.chat()
    ledgers.side._service.counts["duplicate_polls"] += 1

    assert ledgers.wrong() == {"doubled": 1, "duplicate_polls": 1}


def test_what_was_given_up_counts_unless_an_agent_read_it(ledgers: Ledgers) -> None:
    ledgers.deliver(state=2)
    ledgers.deliver(state=3)
    ledgers.deliver(state=0, stream="timer:offer")
    assert ledgers.wrong() == {"buried": 1, "refused": 1}
    assert unread(ledgers.side, ledgers.hub) == set()

    ledgers.side._service.reached_desk(ledgers.session, "message", text="c1-m001")
    assert ledgers.wrong() == {"buried": 1, "doubled": 1}  # nobody said it at the hub


def test_verdict_sees_what_is_lost_doubled_and_swapped() -> None:
    wanted = ["c1-m001", "c1-m002", "c1-m003"]

    def judged(got: list[str]) -> dict[str, int]:
        counts = Counter[str]()
        compare("c1", wanted, got, counts, [])
        return {key: n for key, n in counts.items() if n}

    assert judged(wanted) == {}
    assert judged(wanted[:2]) == {"lost": 1}
    assert judged([*wanted, wanted[0]]) == {"doubled": 1}
    assert judged([wanted[1], wanted[0], wanted[2]]) == {"out_of_order": 1}
    assert judged([*wanted, "c9-m001"]) == {"doubled": 1}
