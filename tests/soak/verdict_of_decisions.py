"""What three ledgers say about external decisions: the hub's rooms, the router's decisions, our journal. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

HOLDING = "holding"
"""User name of the bot that has a room until it is decided: it serves nobody."""


def judge(
    rooms: Iterable[Any],
    decisions: list[dict[str, Any]],
    pushed: Mapping[str, tuple[str, str, list[Any]]],
    effects: Mapping[str, int],
    agents: Mapping[str, str],
    *,
    hub_chooses: bool = False,
) -> dict[str, Any]:
    """Counts, and `wrong`: what does not agree, in words.

    rooms: with id, served_by and log, as the hub has them. decisions: of the router. pushed: room -> (key, external
    id, answers). effects: room -> how often our journal has a push. agents: external id -> user name. hub_chooses: it
    gives each room to somebody first, whom the decision replaces.
    """
    decided: dict[str, list[str]] = {}
    for each in decisions:
        decided.setdefault(each["conversation"], []).append(agents[each["external_id"]])
    wrong: list[str] = []
    ways: Counter[str] = Counter()
    tickets = {each["conversation"] for each in decisions if each["ticket"]}
    chats = 0
    for room in rooms:
        chats += 1
        served = room.served_by.username if room.served_by else "nobody"
        given = [each["who"] for each in room.log if each["what"] == "assigned" and each["who"] != HOLDING]
        wanted = [agents[pushed[room.id][1]]] if room.id in pushed else decided.get(room.id, [])
        if [served] != wanted:
            wrong.append(f"{room.id}: decided {wanted}, served by {served}")
        elif given[hub_chooses and len(given) > 1 :] != wanted:
            wrong.append(f"{room.id}: decided {wanted}, given to {given}")
        if room.id in pushed:
            ways["pushed"] += 1
            if room.id in decided:
                wrong.append(f"{room.id}: was pushed and asked about")
            if effects.get(room.id) != 1:
                wrong.append(f"{room.id}: one push has {effects.get(room.id, 0)} effects")
            answers = pushed[room.id][2]
            if not answers or not isinstance(answers[0], dict) or any(each != answers[0] for each in answers):
                wrong.append(f"{room.id}: one key is answered with {answers}")
        else:
            ways["moved"] += hub_chooses and len(given) > 1
            ways["by ticket" if room.id in tickets else "asked"] += 1
            ways["held meanwhile"] += any(each["what"] == "assigned" and each["who"] == HOLDING for each in room.log)
    strangers = set(effects) - set(pushed)
    wrong += [f"{each}: a push that nobody made" for each in sorted(strangers)]
    n_decisions = len(decisions) + sum(effects.values())
    return {
        "chats": chats,
        "decisions": n_decisions,
        "decisions / chats": f"{n_decisions / chats:.3f}" if chats else "0",
        "ways": dict(ways),
        "answers_compared": sum(len(answers) for _, _, answers in pushed.values()),
        "wrong": wrong,
    }
