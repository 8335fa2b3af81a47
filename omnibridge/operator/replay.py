"""Making recorded decisions again, from nothing but what was recorded, and comparing them byte for byte.

Reads events with their decisions, and the snapshots of rules and directory that they name: not the
configuration, not the rules file, not the clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from omnibridge.domain.conversation import Conversation
from omnibridge.domain.directory import Directory
from omnibridge.domain.stored_events import read_event
from omnibridge.routing.decision import Fact, StoredDecision, decode_decision, encode_decision, state_after
from omnibridge.routing.router import route
from omnibridge.routing.rules import RuleSet

_state = msgspec.json.Decoder(Conversation)
_encode = msgspec.json.Encoder(order="deterministic").encode
SHOWN = 20
"""Differing decisions that are described; all are counted."""


class Difference(msgspec.Struct, frozen=True):
    """A decision that came out otherwise. facts: name -> (recorded value, value now); parts: what else differs."""

    event_id: int
    room: str
    kind: str
    recorded: str
    now: str
    facts: dict[str, tuple[Any, Any]] = {}
    parts: tuple[str, ...] = ()


class Report(msgspec.Struct):
    """incomplete: decisions of conversations of which the beginning was purged. unreadable: of another version's
    form. states: conversations of which the last decision does not lead to the stored state."""

    decisions: int = 0
    differing: int = 0
    missing_snapshots: int = 0
    incomplete: int = 0
    unreadable: int = 0
    states: int = 0
    differences: list[Difference] = []

    @property
    def is_clean(self) -> bool:
        return not (self.differing or self.missing_snapshots or self.unreadable or self.states)


class Row(msgspec.Struct, frozen=True):
    """An event with its decision as stored."""

    id: int
    conversation_id: int
    kind: str
    data: bytes
    at: int
    rules_hash: str
    directory_hash: str
    reason: str
    decision: bytes


class Replay:
    """reader: a DBAPI connection, read only. flip: fact name -> value it shall have had.

    only: the one event that is flipped; None = each.
    """

    def __init__(self, reader: Any, flip: Mapping[str, Any] | None = None, only: int | None = None) -> None:
        self._reader, self._flip, self._only = reader, dict(flip or {}), only
        self._snapshots: dict[str, Any] = {}
        self._states: dict[int, Conversation | None] = {}
        self.report = Report()

    def run(self, conversation_id: int | None = None, since_ms: int = 0) -> Report:
        """All decisions, or those of one conversation. since_ms: compare those made later; earlier ones only lead
        to their states."""
        for row in self._rows(conversation_id):
            self._one(row, compare=row.at >= since_ms)
        for identity, state in self._states.items():
            found = self._reader.execute("SELECT state FROM conversations WHERE id = ?", (identity,)).fetchone()
            # As values: equal states may leave out other defaults.
            if state is not None and not self._flip and (found is None or _state.decode(found[0]) != state):
                self.report.states += 1
        return self.report

    def _rows(self, conversation_id: int | None) -> Iterator[Row]:
        columns = ", ".join(Row.__struct_fields__)
        where = "" if conversation_id is None else " WHERE conversation_id = ?"
        sql = f"SELECT {columns} FROM events{where} ORDER BY id"  # noqa: S608 - fixed names
        for row in self._reader.execute(sql, () if conversation_id is None else (conversation_id,)):
            yield Row(*row)

    def _one(self, row: Row, *, compare: bool) -> None:
        report = self.report
        report.decisions += compare
        before = self._before(row)
        if before is None:
            report.incomplete += compare
            return
        try:
            event, stored = read_event(row.data), decode_decision(row.decision)
            after = state_after(before, stored)
        except msgspec.DecodeError:
            report.unreadable += 1
            self._states[row.conversation_id] = None
            return
        self._states[row.conversation_id] = after
        rules, directory = self._snapshot(row.rules_hash, RuleSet), self._snapshot(row.directory_hash, Directory)
        if rules is None or directory is None:
            report.missing_snapshots += compare
            return
        if not compare:
            return
        flipped = self._flip if self._only in (None, row.id) else {}
        again = route(before, event, rules, directory, row.at, {name: _as_flipped(at) for name, at in flipped.items()})
        body = encode_decision(again, before)
        if body != row.decision or again.reason != row.reason:
            report.differing += 1
            if len(report.differences) < SHOWN:
                report.differences.append(_difference(row, before, stored, again.reason, decode_decision(body)))

    def _before(self, row: Row) -> Conversation | None:
        """The state that a decision was made on; None when its beginning is not there any more."""
        if row.conversation_id not in self._states:
            found = self._reader.execute(
                "SELECT workspace, room FROM conversations WHERE id = ?", (row.conversation_id,)
            ).fetchone()
            begins = row.kind in ("ConversationStarted", "OfflineMessageLeft")
            self._states[row.conversation_id] = Conversation(*found) if found and begins else None
        return self._states[row.conversation_id]

    def _snapshot(self, digest: str, kind: type[Any]) -> Any:
        if digest not in self._snapshots:
            found = self._reader.execute("SELECT body FROM snapshots WHERE hash = ?", (digest,)).fetchone()
            self._snapshots[digest] = msgspec.json.decode(found[0], type=kind) if found else None
        return self._snapshots[digest]


def _as_flipped(value: Any) -> Fact:
    return Fact(value, "flipped for a replay", "ours")


def _difference(row: Row, before: Conversation, old: StoredDecision, reason: str, new: StoredDecision) -> Difference:
    facts: dict[str, tuple[Any, Any]] = {}
    for name in sorted({*old.facts, *new.facts}):
        was, is_now = old.facts.get(name), new.facts.get(name)
        values = (was.value if was else None, is_now.value if is_now else None)
        if values[0] != values[1]:
            facts[name] = values
    parts = [
        name for name in ("changed", "commands", "considered", "rule", "refuse_spoken") if _differs(old, new, name)
    ]
    return Difference(row.id, before.room, row.kind, row.reason, reason, facts, tuple(parts))


def _differs(old: StoredDecision, new: StoredDecision, name: str) -> bool:
    return bool(_encode(getattr(old, name)) != _encode(getattr(new, name)))
