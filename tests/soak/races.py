"""Conversations that end in a race: somebody takes over, or closes, while the bot is answering. Pure, on ledgers.

In them a message may stay unanswered: control had changed. What must hold: no turn and no answer twice; the
bot says at most one thing after the takeover (the request that was under way, `overlap`). The hub refuses words
of a bot that does not serve any more, but takes words for a closed room: so after a close counts what was said
after the bridge had answered 200 for it and the reorder window was over (a close waits for messages before it),
and that may be one request that was under way.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.soak.verdict import WINDOW_MS

TAKEOVER, CLOSE = "t", "x"
"""First letter of the words in such conversations; `c` is the others'."""


def judge_races(hub: dict[str, Any], bot: dict[str, Any]) -> dict[str, Any]:
    """Fields races, overlap, max_overlap_per_race, posts_after_close, max_posts_after_close, race_doubled."""
    turns = Counter(each["message"][5:] for each in bot["turns"] if each.get("outcome") == "answered")
    closes = {each["rid"]: each["ok_at"] for each in hub["webhooks"] if each["type"] == "LivechatSession"}
    overlaps: list[int] = []
    after_close: list[int] = []
    doubled = 0
    for room in hub["rooms"]:
        kind = race_of(room)
        if not kind:
            continue
        said = [each for each in room["messages"] if each["kind"] == "bot" and each["text"].startswith(f"{kind}")]
        words = Counter(each["text"] for each in said)
        # Only what is asked in no other conversation: "thank you" is said in each, and may overtake the takeover.
        asked = {each["text"][5:] for each in room["messages"] if each["text"].startswith(f"echo {kind}")}
        doubled += sum(n - 1 for n in words.values()) + sum(max(0, turns[tag] - 1) for tag in asked)
        if kind == TAKEOVER:
            taken = (each["seq"] for each in room["log"] if each["what"] == "assigned" and each["who"] == "alice")
            at = next(taken, None)
            overlaps.append(sum(each["seq"] > at for each in said) if at is not None else 0)
        else:
            known = closes.get(room["rid"])
            after_close.append(sum(each["ts"] > known + WINDOW_MS for each in said) if known is not None else 0)
    return {
        "races": len(overlaps) + len(after_close),
        "overlap": sum(overlaps),
        "max_overlap_per_race": max(overlaps, default=0),
        "posts_after_close": sum(after_close),
        "max_posts_after_close": max(after_close, default=0),
        "race_doubled": doubled,
    }


def race_of(room: dict[str, Any]) -> str:
    """TAKEOVER, CLOSE or empty."""
    first = next((each["text"] for each in room["messages"] if each["kind"] == "visitor"), "")
    kind = first[5:6] if first.startswith("echo ") else ""
    return kind if kind in (TAKEOVER, CLOSE) else ""
