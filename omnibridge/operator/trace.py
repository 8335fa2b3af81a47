"""The time line of one conversation, from the database alone: what came, what was decided and why, what left."""

from __future__ import annotations

from typing import Any

import msgspec

from omnibridge.domain.conversation import Conversation
from omnibridge.routing.decision import StoredDecision, decode_decision, state_after
from omnibridge.storage import crm
from omnibridge.storage.tables import BURIED, DONE, DUE, HANDLED, PENDING, QUARANTINED, REFUSED, SKIPPED

OBSERVATION = {PENDING: "waits", HANDLED: "", SKIPPED: "recorded only", QUARANTINED: "cannot be read"}
DELIVERY = {DUE: "waits", DONE: "done", REFUSED: "refused", BURIED: "buried"}
SLACK_MS = 86_400_000
"""Rows of a conversation are looked for in the ids of its life, and of a day after it."""


class Item(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line. at: ms. kind: observation, event, control, delivery or record. detail: further lines."""

    at: int
    id: int
    kind: str
    text: str
    detail: tuple[str, ...] = ()


def time_line(reader: Any, conversation_id: int, workspace: str, room: str) -> list[Item]:
    """Everything that is known of a conversation, oldest first."""
    updated = reader.execute("SELECT updated_at FROM conversations WHERE id = ?", (conversation_id,)).fetchone()[0]
    first, last = conversation_id - (SLACK_MS << 20), (updated + SLACK_MS) << 20
    items = [
        *_observations(reader, workspace, room, first, last),
        *_events(reader, conversation_id, workspace, room),
        *_deliveries(reader, conversation_id, first, last),
        *_records(reader, conversation_id),
    ]
    return sorted(items, key=lambda item: (item.at, item.id))


def _observations(reader: Any, workspace: str, room: str, first: int, last: int) -> list[Item]:
    rows = reader.execute(
        "SELECT id, received_at, source, kind, state, note, length(body), "
        "CASE source WHEN 'operator' THEN body END FROM observations "
        "WHERE id BETWEEN ? AND ? AND workspace = ? AND room = ? AND source <> 'engine' ORDER BY id",
        (first, last, workspace, room),
    )
    items = []
    for row_id, at, source, kind, state, note, size, order in rows:
        if order is not None:
            found = msgspec.json.decode(order)
            done = ", ".join(
                f"{each['id']} as {each['new_id']}" if "new_id" in each else str(each["id"]) for each in found["rows"]
            )
            items.append(Item(at, row_id, "observation", f"operator {found['by']}: {kind} {done}"))
            continue
        more = ", ".join(each for each in (OBSERVATION.get(state, str(state)), note) if each)
        items.append(Item(at, row_id, "observation", f"{source} {kind}, {size} bytes" + (f": {more}" if more else "")))
    return items


def _events(reader: Any, conversation_id: int, workspace: str, room: str) -> list[Item]:
    state: Conversation | None = Conversation(workspace, room)
    items = []
    rows = reader.execute(
        "SELECT id, at, kind, data, reason, decision FROM events WHERE conversation_id = ? ORDER BY id",
        (conversation_id,),
    ).fetchall()
    for row_id, at, kind, data, reason, decision in rows:
        try:
            stored = decode_decision(decision)
            after = state_after(state, stored) if state else None
        except msgspec.DecodeError as exc:
            items.append(Item(at, row_id, "event", f"{kind}: {reason}", (f"its decision cannot be read: {exc}",)))
            state = None
            continue
        items.append(Item(at, row_id, "event", f"{kind}: {reason}", _why(stored, msgspec.json.decode(data))))
        if state and after and after.control != state.control:
            text = f"{state.control.party} -> {after.control.party}, epoch {after.control.epoch}"
            items.append(Item(at, row_id, "control", text))
        state = after
    return items


def _why(stored: StoredDecision, event: Any) -> tuple[str, ...]:
    lines = []
    event = event if isinstance(event, dict) else {}
    if event.get("text"):
        lines.append(f"text: {event['text']}")
    facts = event.get("facts")
    if intent := event.get("intent") or (facts.get("intent") if isinstance(facts, dict) else ""):
        lines.append(f"intent: {intent}")
    told = event.get("facts")
    lines += [f"told bot.{name}: {value!r}" for name, value in told.items()] if isinstance(told, dict) else []
    not_shown = [*event.get("losses", ()), *_custom(event.get("parts", ()))]
    if not_shown:
        lines.append(f"not shown as the bot meant it: {', '.join(not_shown)}")
    if stored.rule:
        lines.append(f"rule: {stored.rule}")
    for name, fact in stored.facts.items():
        known = f"{fact.value!r} ({fact.origin}, trust: {fact.trust})" if fact else "not known"
        lines.append(f"fact {name}: {known}")
    for each in stored.considered:
        why = f": {each.why}" if each.why else ""
        lines.append(f"{'chosen' if each.chosen else 'not chosen'}: {each.name}{why}")
    return tuple(lines)


class _Shown(msgspec.Struct, frozen=True):
    """Of a message of the hub, the one leaf that is told here."""

    lost: tuple[str, ...] = ()


def _lost_in(body: bytes) -> tuple[str, ...]:
    try:
        return msgspec.json.decode(body, type=_Shown).lost
    except msgspec.DecodeError:  # written by another version: the delivery itself is worth its line
        return ()


def _custom(parts: Any) -> list[str]:
    """One word for each part that is shown to nobody."""
    return ["custom" for each in parts if isinstance(each, dict) and each.get("kind") == "custom"]


def _records(reader: Any, conversation_id: int) -> list[Item]:
    """Where systems of records have something of it, as last written."""
    return [
        Item(each.at, conversation_id, "record", f"{name}: {each.what} is {each.object} {each.record_id}"
             + ("" if each.made else ", found"))
        for name, each in crm.listed(reader, conversation_id)
        if each.record_id  # else it is kept that there is none
    ]  # fmt: skip


def _deliveries(reader: Any, conversation_id: int, first: int, last: int) -> list[Item]:
    rows = reader.execute(
        "SELECT id, created_at, stream, command, connection, state, attempts, uncertain, code, settled_at, epoch, "
        "CASE WHEN command IN ('SendToVisitor', 'UpdateMessage') THEN body END "
        "FROM deliveries WHERE id BETWEEN ? AND ? AND conversation_id = ? ORDER BY id",
        (first, last, conversation_id),
    )
    items = []
    for row_id, at, stream, command, connection, state, attempts, uncertain, code, settled_at, epoch, body in rows:
        parts = [f"{command} to {stream}" + (f" as {connection}" if connection and stream == "hub" else "")]
        took = f" after {settled_at - at} ms" if settled_at else ""
        parts.append(f"{DELIVERY.get(state, state)}{took}" + (f" ({code})" if code else ""))
        if attempts > 1 or uncertain:
            parts.append(f"{attempts} attempts" + (f", {uncertain} of unknown outcome" if uncertain else ""))
        if epoch is not None:
            parts.append(f"epoch {epoch}")
        lost = _lost_in(body) if body else ()
        detail = (f"delivery {row_id}", *([f"not shown as the bot meant it: {', '.join(lost)}"] if lost else ()))
        items.append(Item(at, row_id, "delivery", ", ".join(parts), detail))
    return items
