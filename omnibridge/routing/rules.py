"""Rules: ordered, first match wins, an explicit default. Plain data; `matches` is the only behaviour.

The seam for a richer language: the router only calls `RuleSet.first_match`.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any, Literal, Protocol

import msgspec

from omnibridge.routing.decision import Considered
from omnibridge.routing.texts import Texts

Operator = Literal["equals", "any_of", "contains", "starts_with", "exists", "not", "at_least", "at_most"]
On = Literal["start", "message"]
TargetKind = Literal["bot", "department", "agent", "queue", "decider"]
Rung = Literal["department", "agent", "queue"]
DEPARTMENTS = ("department", "department_name")
"""Facts of which the hub tells an id and people write names. Of all others nothing more is asked: a message may be
compared with hundreds of conditions."""


def plain(value: object) -> object:
    """Texts without outer blanks and case; anything else as it is."""
    return value.strip().casefold() if isinstance(value, str) else value


def _number(found: Any) -> float | None:
    """Of a fact; fields of a form are texts. None = it is no number: no comparison holds then."""
    if isinstance(found, bool) or not isinstance(found, int | float | str):
        return None
    try:
        number = float(found)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


class Readable(Protocol):
    """Facts by name, as rules read them."""

    def plain(self, name: str) -> Any:
        """In the form in which it is compared: see `plain`. None when there is no such fact."""

    def other(self, name: str) -> Any:
        """What may be compared instead, in the same form: a department's name. None = nothing else."""

    def gap(self, name: str) -> str:
        """What was not known of it, in words; empty = nothing."""


class Condition(msgspec.Struct, frozen=True):
    """One fact compared with a value. Texts are compared without regard to case and outer blanks.

    A department is compared by id and by name: one of them is enough, and `not` wants neither.
    """

    fact: str
    operator: Operator
    value: Any

    def holds(self, facts: Readable) -> bool:
        found = facts.plain(self.fact)
        other = facts.other(self.fact) if self.fact in DEPARTMENTS else None
        if other is None:
            return self._holds(found)
        both = self._holds(found), self._holds(other)
        return all(both) if self.operator == "not" else any(both)

    def _holds(self, found: Any) -> bool:
        value = self.value
        match self.operator:
            case "exists":
                return (found is not None) is bool(value)
            case "equals":
                return bool(found == plain(value))
            case "any_of":
                return any(found == plain(each) for each in value)
            case "not":
                return bool(found != plain(value))
            case "contains":
                return found is not None and str(plain(value)) in str(found)
            case "starts_with":
                return found is not None and str(found).startswith(str(plain(value)))
            case "at_least":
                return (number := _number(found)) is not None and number >= value
            case "at_most":
                return (number := _number(found)) is not None and number <= value


class Target(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who should be in control. name: connection, department id or name, agent's user name, decider;
    queue: empty."""

    kind: TargetKind
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.name else self.kind


class Rule(msgspec.Struct, frozen=True, omit_defaults=True):
    """All conditions must hold. `on`: looked at when a conversation starts, or at each visitor message."""

    name: str
    on: On
    when: tuple[Condition, ...]
    target: Target


class HandoverPolicy(msgspec.Struct, frozen=True):
    """How a bot gives way to people.

    ladder: moves to try, in order. max_moves: per handover. A conversation that came back to the bot
    `max_handovers` times within `window_s` seconds is in a loop: no further move is made.
    queue_when_nobody: leave it in the queue although nobody is online, instead of keeping the bot.
    decider: the external system that is asked first when a bot gives way; empty = none.
    """

    ladder: tuple[Rung, ...] = ("department", "agent", "queue")
    max_moves: int = 3
    max_handovers: int = 3
    window_s: int = 60
    queue_when_nobody: bool = False
    decider: str = ""


class RuleSet(msgspec.Struct, frozen=True):
    """Everything that steers decisions besides facts and directory; identified by its hash."""

    rules: tuple[Rule, ...] = ()
    default: Target | None = None
    """None = the first connection of the workspace, else the queue."""
    handover: HandoverPolicy = HandoverPolicy()
    texts: Texts = Texts()

    def encode(self) -> bytes:
        """Canonical JSON; `msgspec.json.decode(…, type=RuleSet)` gives an equal value."""
        return msgspec.json.encode(self, order="deterministic")

    def hash(self) -> str:
        """First 16 hex digits of SHA-256 over `encode()`."""
        return hashlib.sha256(self.encode()).hexdigest()[:16]

    @property
    def names_departments(self) -> bool:
        """Whether a rule asks for a room's department, and so may mean its name."""
        return any(each.fact in DEPARTMENTS for rule in self.rules for each in rule.when)

    @property
    def asked_at_start(self) -> dict[str, str]:
        """Decider that is asked about new conversations -> the rule that says so, the first."""
        targets = [(rule.name, rule.target) for rule in self.rules if rule.on == "start"]
        targets += [("default", self.default)] if self.default else []
        return {target.name: name for name, target in reversed(targets) if target.kind == "decider"}

    def first_match(self, on: On, facts: Readable) -> tuple[Rule | None, tuple[Considered, ...]]:
        """The first rule whose conditions all hold, and what was looked at on the way."""
        considered: list[Considered] = []
        for rule in self.rules:
            if rule.on != on:
                continue
            for each in rule.when:
                if not each.holds(facts):
                    gap = facts.gap(each.fact) if each.fact in DEPARTMENTS else ""
                    why = f"{each.fact} {each.operator} does not hold{gap}"
                    considered.append(Considered(rule.name, False, why))
                    break
            else:
                considered.append(Considered(rule.name, chosen=True))
                return rule, tuple(considered)
        return None, tuple(considered)
