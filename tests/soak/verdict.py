"""What the ledgers of hub and bot say about a run. Pure; the bridge's own tables only add counts.

Conversations that end in a race are judged by races.py. In all others each visitor message
`echo X` must be one answered turn at the bot and one post `X` of the bot in its room.
Two messages may reach the bot in another order than they were written only if the first was acknowledged
later than the second by more than the reorder window: then nobody could have known. An attempt of the second
that was cut off counts as well: the process may have died after it had journalled, before it answered.

A bot that cannot tell what it answered gives way to people when a call of it broke (`gives_up`): in such a room what
is unanswered is not lost, if it is the end of what the visitor said and a person got the room, once. It must not be
worked on twice there either.

Both times are the hub's. On a machine without a free core they tell little, an answer may be read half a second
after it was given; so when the bridge received the two, by its journal, is the other measure.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from omnibridge.routing.texts import Texts

WINDOW_MS = 150
GAVE_WAY = Texts().bot_down
SLACK_MS = 25
"""A webhook is received a little before its 200 is; half of it on either side."""


NEVER: Mapping[str, int] = MappingProxyType({})


def judge(
    hub: dict[str, Any], bot: dict[str, Any], received: Mapping[str, int] = NEVER, *, gives_up: bool = False
) -> dict[str, Any]:
    """Fields lost, doubled, out_of_order, late, messages, conversations; `details` names offenders."""
    asked = _asked(hub, received)
    turns = _turns(bot)
    posts = _posts(hub)
    details: list[str] = []
    lost = doubled = 0
    given_up = 0
    people_have = _given_to_people(hub, asked, posts) if gives_up else set()
    for tag in asked:
        n_turns, n_posts = len(turns.get(tag, [])), len(posts.get(tag, []))
        if asked[tag]["ok_at"] is None:
            given_up += 1  # the hub's retries ended before the bridge was up: never acknowledged
        elif (not n_turns or not n_posts) and tag not in people_have:
            lost += 1
            details.append(f"lost {tag}: {n_turns} turns, {n_posts} posts")
        if n_turns > 1 or n_posts > 1:
            doubled += 1
            details.append(f"doubled {tag}: {n_turns} turns, {n_posts} posts")
    strangers = [tag for tag in posts if tag not in asked]
    doubled += len(strangers)
    out_of_order, disorder = _disorder(hub, asked, turns, posts)
    lost_moves, doubled_moves, moves = _handovers(hub, acknowledged(hub))
    return {
        "lost": lost + lost_moves,
        "doubled": doubled + doubled_moves,
        "out_of_order": out_of_order,
        "unacknowledged": given_up,
        "late": sum(each["late"] for found in turns.values() for each in found),
        "messages": len(asked),
        "conversations": len(hub["rooms"]),
        "given_to_people": len(people_have),
        "duplicates_sent": hub["duplicates_sent"],
        "reordered_sent": hub["reordered_sent"],
        "details": [*details, *disorder, *moves][:40],
    }


def _asked(hub: dict[str, Any], received: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """Tag -> the visitor's message, with its room and the time of its first 200."""
    done, taken = acknowledged(hub), acknowledged(hub, also_cut=True)
    return {
        each["text"][5:]: {
            **each,
            "rid": room["rid"],
            "ok_at": done.get(each["id"]),
            "taken_at": taken.get(each["id"]),
            "received_at": received.get(each["id"]),
        }
        for room in hub["rooms"]
        for each in room["messages"]
        if each["kind"] == "visitor" and each["text"].startswith("echo c")
    }


def rooms_given_up(hub: dict[str, Any]) -> dict[str, int]:
    """Room -> how often people got it, of those whose visitor was told that the bot cannot be reached."""
    return {
        room["rid"]: sum(each["what"] == "assigned" and each["who"] != "bot" for each in room["log"])
        for room in hub["rooms"]
        if any(each["kind"] == "bot" and each["text"] == GAVE_WAY for each in room["messages"])
    }


def _given_to_people(hub: dict[str, Any], asked: dict[str, Any], posts: dict[str, Any]) -> set[str]:
    """Tags without an answer that a person has in front of him: after the last that was answered."""
    rooms = {rid for rid, count in rooms_given_up(hub).items() if count == 1}
    found: set[str] = set()
    for rid in rooms:
        tags = sorted((tag for tag in asked if asked[tag]["rid"] == rid), key=lambda tag: asked[tag]["seq"])
        while tags and not posts.get(tags[-1]):
            found.add(tags.pop())
    return found


def acknowledged(hub: dict[str, Any], *, also_cut: bool = False) -> dict[str, int]:
    """Message id -> when one of its webhooks was first answered 200. also_cut: or was sent and cut off."""
    found: dict[str, int] = {}
    for each in hub["webhooks"]:
        times = [ended for _, status, ended, _ in each["attempts"] if status == 200 or (also_cut and status == 0)]
        if each["message"] and times:
            found[each["message"]] = min(times)
    return found


def _turns(bot: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Tag -> turns that the bot answered; cancelled ones never happened for it."""
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for each in bot["turns"]:
        if each.get("outcome") == "answered" and each["message"].startswith("echo c"):
            for tag in tags_of(each["message"]):
                found[tag].append(each)
    return found


def tags_of(text: str) -> list[str]:
    """Several messages that were found after a gap are one turn, a line each, and have one answer."""
    return [line.removeprefix("echo ") for line in text.split("\n")]


def _posts(hub: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for room in hub["rooms"]:
        for each in room["messages"]:
            if each["kind"] == "bot" and each["text"].startswith("c") and "-m" in each["text"]:
                for tag in tags_of(each["text"]):
                    found[tag].append({**each, "rid": room["rid"]})
    return found


def _disorder(
    hub: dict[str, Any], asked: dict[str, Any], turns: dict[str, Any], posts: dict[str, Any]
) -> tuple[int, list[str]]:
    per_room: defaultdict[str, list[str]] = defaultdict(list)
    for tag, message in sorted(asked.items(), key=lambda item: item[1]["seq"]):
        if len(turns.get(tag, [])) == 1 and len(posts.get(tag, [])) == 1:
            per_room[message["rid"]].append(tag)
    count, details = 0, []
    for tags in per_room.values():
        by_turn = {tag: turns[tag][0]["n"] for tag in tags}
        by_post = {tag: posts[tag][0]["seq"] for tag in tags}
        for at, first in enumerate(tags):
            for second in tags[at + 1 :]:
                if (by_turn[first] > by_turn[second]) != (by_post[first] > by_post[second]):
                    count += 1
                    details.append(f"answers of {first} and {second} were posted in another order than given")
                if by_turn[first] > by_turn[second] and not _excused(asked[first], asked[second], turns[first][0]):
                    count += 1
                    details.append(
                        f"{first} reached the bot after {second}: {asked[first]['ok_at']}, {asked[second]['taken_at']}"
                    )
    return count, details


def _excused(first: dict[str, Any], second: dict[str, Any], turn: dict[str, Any]) -> bool:
    if second["taken_at"] is None or not turn["late"]:
        return False
    if first["ok_at"] is None:  # no webhook told it: found by the reconciler
        return True
    apart = [first["ok_at"] - second["taken_at"]]
    if first["received_at"] and second["received_at"]:
        apart.append(first["received_at"] - second["received_at"])
    return max(apart) > WINDOW_MS - SLACK_MS


def _handovers(hub: dict[str, Any], acknowledged: dict[str, int]) -> tuple[int, int, list[str]]:
    """Rooms in which the visitor asked for a person: served by one exactly once."""
    lost = doubled = 0
    details = []
    for room in hub["rooms"]:
        if not any(each["text"] == "talk to a human" and each["id"] in acknowledged for each in room["messages"]):
            continue
        people = Counter(each["who"] for each in room["log"] if each["what"] == "assigned")
        people.pop("bot", None)
        if people.total() != 1:
            lost += people.total() == 0
            doubled += people.total() > 1
            details.append(f"handover of {room['rid']}: {dict(people)}")
    return lost, doubled, details
