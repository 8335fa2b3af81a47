"""What the ledgers of hub and desk say about chats: each thing once and in order, both ways. Nothing is a matter of
what the bridge says of itself, besides counts of its outbox.

What is excused, and nothing else:

- Two things of a visitor in the other order, if the first was reported by the hub so much later than the second that
  nobody could have known of it (verdict.py): the window of reordering is 150 ms.
- A chat that the desk's server gave up because nobody asked for news of it, if our process was away for longer than the
  server waits (reference 1.7). With restarts of a few seconds and 40 s this never is.
- What was given up because its chat was over, if an agent read it: its post had failed after it took effect, and the
  agent ended the chat before it could be repeated. `refused` counts what no agent read.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pysqlite3.dbapi2 as sqlite

from omnibridge.sandbox.hub import SimulatedHub
from omnibridge.sandbox.ledger import ledger
from tests.soak.desk_load import tags_of
from tests.soak.desk_side import DeskSide
from tests.soak.verdict import SLACK_MS, WINDOW_MS, acknowledged

Excused = Callable[[str, str], bool]
HISTORY, VISITOR = "Conversation so far:", "Visitor: "
WRONG = (
    "lost",
    "doubled",
    "out_of_order",
    "duplicate_polls",
    "sequence_gaps",
    "early_posts",
    "ended_by_us",
    "left_open",
    "buried",
    "refused",
    "unsettled",
)
"""Fields that have to be 0, of each protocol and in all."""


def judge(
    side: DeskSide, hub: SimulatedHub, database: Path, names: dict[str, str], ended: set[str], away_s: float
) -> dict[str, Any]:
    """names: room -> `c17`. ended: rooms that visitor or agent has ended. away_s: the longest we were not there."""
    details: list[str] = []
    asked, shown = _said(hub)
    reached = {room: _read(texts) for room, texts in side.reached().items()}
    told = {room: [tag for each in texts for tag in tags_of(each)] for room, texts in side.told().items()}
    counts, excused = Counter[str](), _excuses(ledger(hub), database)
    for room, name in names.items():
        compare(f"{name} to the agent", asked[room], reached.get(room, []), counts, details, excused)
        compare(f"{name} to the visitor", told.get(room, []), shown[room], counts, details)
    counts["doubled"] += sum(count - 1 for count in Counter(side.rooms.values()).values())
    by_us = [each for each in side.over() if each.room not in ended or each.why.startswith("left")]
    if side.grace_s and away_s > side.grace_s:
        by_us = [each for each in by_us if each.why != "left timeout"]
    details += [f"{names.get(each.room)} was ended: {each.why}" for each in by_us]
    still_open = left_open(side, ended)
    details += [f"{names.get(side.rooms[each])} is still open at the desk" for each in still_open]
    return {
        "lost": counts["lost"],
        "doubled": counts["doubled"],
        "out_of_order": counts["out_of_order"],
        "ended_by_us": len(by_us),
        "left_open": len(still_open),
        "messages": sum(map(len, asked.values())),
        "echoes_told": sum(map(len, told.values())),
        "conversations": len(names),
        **side.counts(),
        **_outbox(database, {tag for tags in reached.values() for tag in tags}),
        "details": details,
    }


def left_open(side: DeskSide, ended: set[str]) -> list[str]:
    """Chats that are over for the visitor, and not at the desk."""
    return [chat for chat in side.live if side.rooms[chat] in ended and side.is_live(chat)]


def unread(side: DeskSide, hub: SimulatedHub) -> set[str]:
    """What visitors said and no agent has read."""
    said = {tag for each in hub.messages.values() if each.kind == "visitor" for tag in tags_of(each.text)}
    return said - {tag for texts in side.reached().values() for tag in _read(texts)}


def _said(hub: SimulatedHub) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Room -> what the visitor said, and what he was shown of his agents' echoes, in order."""
    asked: defaultdict[str, list[str]] = defaultdict(list)
    shown: defaultdict[str, list[str]] = defaultdict(list)
    for each in sorted(hub.messages.values(), key=lambda message: message.seq):
        if each.kind == "visitor":
            asked[each.rid] += tags_of(each.text)
        elif "echo " in each.text:
            shown[each.rid] += tags_of(each.text.partition("echo ")[2])
    return asked, shown


def _read(texts: list[str]) -> list[str]:
    """What agents read: also what was said before they came, one message with a title."""
    found: list[str] = []
    for text in texts:
        lines = text.splitlines()
        lines = [each.removeprefix(VISITOR) for each in lines[1:]] if lines[:1] == [HISTORY] else lines
        found += tags_of("\n".join(lines))
    return found


def _never(first: str, second: str) -> bool:
    return False


def compare(
    name: str,
    wanted: list[str],
    got: list[str],
    counts: Counter[str],
    details: list[str],
    excused: Excused = _never,
) -> None:
    """excused: (first, second) may have come the other way round."""
    times, place = Counter(got), {each: at for at, each in enumerate(got)}
    for each in wanted:
        counts["lost"] += times[each] == 0
        counts["doubled"] += times[each] > 1
        if times[each] != 1:
            details.append(f"{name}: {each} {times[each]} times")
    counts["doubled"] += sum(each not in wanted for each in got)
    once = [each for each in wanted if times[each] == 1]
    for at, first in enumerate(once):
        for second in once[at + 1 :]:
            if place[first] > place[second] and not excused(first, second):
                counts["out_of_order"] += 1
                details.append(f"{name}: {first} came after {second}")


def _excuses(hub: dict[str, Any], database: Path) -> Excused:
    """As verdict.py has it: the first of two was reported so much later than the second that nobody could know."""
    done, begun = acknowledged(hub), acknowledged(hub, also_cut=True)
    sql = "SELECT received_at, body FROM observations WHERE source = 'webhook' AND kind = 'Message' ORDER BY id DESC"
    with contextlib.closing(sqlite.connect(str(database))) as reader:
        received = {json.loads(body)["messages"][0]["_id"]: at for at, body in reader.execute(sql)}
    ids = {each["text"]: each["id"] for room in hub["rooms"] for each in room["messages"] if each["kind"] == "visitor"}

    def excused(first: str, second: str) -> bool:
        one, other = ids[first], ids[second]
        if one not in done or other not in begun:
            return one not in done  # found by the reconciler
        apart = [done[one] - begun[other]]
        if one in received and other in received:
            apart.append(received[one] - received[other])
        return max(apart) > WINDOW_MS - SLACK_MS

    return excused


def _outbox(database: Path, read: set[str]) -> dict[str, int]:
    """read: what agents have read."""
    counts = "SELECT sum(uncertain), sum(state = 3), sum(state = 0 AND stream NOT LIKE 'timer:%') FROM deliveries"
    given_up = "SELECT json_extract(body, '$.text') FROM deliveries WHERE state = 2 AND command = 'SendToParty'"
    with contextlib.closing(sqlite.connect(str(database))) as reader:
        uncertain, buried, due = (int(each or 0) for each in reader.execute(counts).fetchone())
        refused = sum(not set(tags_of(text)) <= read for (text,) in reader.execute(given_up))
    return {"uncertain": uncertain, "buried": buried, "unsettled": due, "refused": refused}
