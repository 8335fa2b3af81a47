"""A decision: what to do, the next state, and everything it was made from, so that it can be re-run."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from omnibridge.domain.commands import Command
from omnibridge.domain.conversation import Conversation

Trust = Literal["ours", "staff", "crm", "visitor"]


class Fact(msgspec.Struct, frozen=True):
    """One value that rules may read. origin: where it was found; trust: who could have written it."""

    value: Any
    origin: str
    trust: Trust


class Considered(msgspec.Struct, frozen=True, omit_defaults=True):
    """A rule or a candidate that was looked at, and why it was chosen or not."""

    name: str
    chosen: bool = False
    why: str = ""


class Decision(msgspec.Struct, frozen=True, omit_defaults=True):
    """Result of `route()`.

    facts: those that a rule read; None = there was none of this name.
    refuse_spoken: pending words of the old party are refused, because somebody took control from it.
    When a party passes control by itself they stay: they were said before the move, in the same stream.
    """

    reason: str
    after: Conversation
    commands: tuple[Command, ...] = ()
    facts: dict[str, Fact | None] = {}
    considered: tuple[Considered, ...] = ()
    rule: str = ""
    refuse_spoken: bool = False


class StoredDecision(msgspec.Struct, frozen=True, omit_defaults=True):
    """A Decision as the journal keeps it, beside its reason: of the next state only what changed.

    The whole state in each row was two thirds of the database. The state before a decision is the states
    before it, one after the other: `state_after`.
    """

    changed: dict[str, msgspec.Raw] = {}
    commands: tuple[Command, ...] = ()
    facts: dict[str, Fact | None] = {}
    considered: tuple[Considered, ...] = ()
    rule: str = ""
    refuse_spoken: bool = False


_encode = msgspec.json.Encoder(order="deterministic").encode
_stored = msgspec.json.Decoder(StoredDecision)
_astuple = msgspec.structs.astuple
_FIELDS = Conversation.__struct_fields__


def encode_decision(decision: Decision, before: Conversation) -> bytes:
    """Canonical JSON of a StoredDecision. The same decision on the same state gives the same bytes."""
    after, changed = decision.after, {}
    if after is not before:
        for name, value, old in zip(_FIELDS, _astuple(after), _astuple(before), strict=True):
            if value is not old and value != old:
                changed[name] = msgspec.Raw(_encode(value))
    return _encode(
        StoredDecision(
            changed, decision.commands, decision.facts, decision.considered, decision.rule, decision.refuse_spoken
        )
    )


def decode_decision(body: bytes) -> StoredDecision:
    """Raises msgspec.DecodeError."""
    return _stored.decode(body)


def state_after(before: Conversation, stored: StoredDecision) -> Conversation:
    """The state that a stored decision left. Raises msgspec.ValidationError."""
    if not stored.changed:
        return before
    fields = {name: msgspec.json.decode(raw) for name, raw in stored.changed.items()}
    return msgspec.convert({**msgspec.to_builtins(before), **fields}, Conversation)
