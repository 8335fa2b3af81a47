"""When systems of records are told of a conversation. Pure. Not a decision of routing: nothing in it waits for them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from omnibridge.domain.commands import SyncRecords
from omnibridge.domain.conversation import AGENTS, QUEUE, Conversation
from omnibridge.domain.events import ConversationClosed, ConversationStarted, Event, MessagePosted

LONGEST_TAGS = 1000


class Keeper(msgspec.Struct, frozen=True):
    """One system of records. on: its triggers. live_ms: between two syncs while people talk. within_ms: how long a
    sync is tried."""

    name: str
    on: frozenset[str]
    live_ms: int = 30_000
    within_ms: int = 72 * 3_600_000


def for_keepers(
    event: Event, before: Conversation, after: Conversation, keepers: Sequence[Keeper]
) -> list[SyncRecords]:
    """One command for each that wants to know."""
    found = []
    for each in keepers:
        if isinstance(event, ConversationStarted) and "start" in each.on:
            found.append(SyncRecords(each.name, "start", 0, each.within_ms))
        if "handover" in each.on and _is_with_people(after) and not _is_with_people(before) and not after.closed:
            found.append(SyncRecords(each.name, "handover", 0, each.within_ms))
        said = isinstance(event, MessagePosted)
        if said and not before.closed and "live" in each.on:
            found.append(SyncRecords(each.name, "live", each.live_ms, each.within_ms))
        # A message whose report comes after that of the end belongs to what was said.
        if "close" in each.on and ((after.closed and not before.closed) or (said and before.closed)):
            found.append(SyncRecords(each.name, "close", 0, each.within_ms))
    return found


def end_facts(facts: dict[str, Any], event: ConversationClosed, at_ms: int) -> dict[str, Any]:
    """Facts of a conversation at its end: what the report tells, and nothing that a repeat would change."""
    told = {
        "closed_by": event.by or event.closer,
        "closed_at": datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds"),
        "tags": "; ".join(event.tags)[:LONGEST_TAGS],
    }
    fields = {
        f"room.{key}": value for key, value in event.fields.items() if isinstance(value, str | int | float | bool)
    }
    return {**facts, **{name: value for name, value in {**told, **fields}.items() if value != ""}}


def _is_with_people(conversation: Conversation) -> bool:
    return conversation.control.party in (AGENTS, QUEUE) or conversation.desk is not None
