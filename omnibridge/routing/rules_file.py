"""Rules text (TOML) -> RuleSet, with every problem at once and the line it stands on.

default = "bot:assistant"

[[rule]]
name = "sales go to people"
when = { department = "sales", "visitor.tier" = ["gold", "platinum"] }
target = "queue"

[[rule]]
name = "asks for a person"
on = "message"
when = { text = { contains = "human" } }
target = "queue"

[handover]
ladder = ["department", "agent", "queue"]

Conditions: a value, a list of values, or { equals | not | any_of | contains | starts_with | exists | at_least | at_most
= … }; the last two compare numbers. Facts: PLAIN_FACTS, `room.FIELD`, `visitor.FIELD`, and with `on = "message"` what
the bot's last answer told, `bot.NAME`.
"""

from __future__ import annotations

import difflib
import tomllib
from typing import Any, cast, get_args

import msgspec

from omnibridge.errors import RuleInvalid
from omnibridge.routing.facts import BOT, CRM, PLAIN_FACTS
from omnibridge.routing.rules import (
    Condition,
    HandoverPolicy,
    On,
    Operator,
    Rule,
    RuleSet,
    Target,
    TargetKind,
)
from omnibridge.routing.texts import Texts

OPERATORS = get_args(Operator)
TARGETS = get_args(TargetKind)


def parse_rules(text: str, name: str = "rules.toml", texts: Texts | None = None) -> RuleSet:
    """Read a whole rules file. Raises RuleInvalid with `name:line: what is wrong`, all of it."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise RuleInvalid([f"{name}: {exc}"]) from exc
    reader = _Reader(text, name)
    rule_set = reader.read(raw, texts or Texts())
    if reader.problems:
        raise RuleInvalid(reader.problems)
    return rule_set


class _Reader:
    def __init__(self, text: str, name: str) -> None:
        self.problems: list[str] = []
        self._name = name
        self._lines = text.splitlines()

    def read(self, raw: dict[str, Any], texts: Texts) -> RuleSet:
        self._unknown(raw, ("default", "rule", "handover"), "", 0)
        default = self._target(raw["default"], "default", self._line("default")) if "default" in raw else None
        listed = raw.get("rule", [])
        if not isinstance(listed, list):
            self._problem(self._line("[rule"), "rules are written as [[rule]], with two brackets")
            listed = []
        rules = [self._rule(each, number) for number, each in enumerate(listed)]
        self._no_twins([rule.name for rule in rules if rule])
        return RuleSet(tuple(rule for rule in rules if rule), default, self._handover(raw), texts)

    def _rule(self, raw: dict[str, Any], number: int) -> Rule | None:
        line = self._line("[[rule]]", number)
        before = len(self.problems)
        self._unknown(raw, ("name", "on", "when", "target"), "[[rule]] ", line)
        label = str(raw.get("name", f"rule {number + 1}"))
        on = raw.get("on", "start")
        if on not in get_args(On):
            self._problem(line, f'{label}: on must be "start" or "message", not {on!r}')
        when = raw.get("when", {})
        if not isinstance(when, dict):
            self._problem(line, f'{label}: when must be a table such as {{ department = "Sales" }}')
            when = {}
        conditions = [each for fact, wanted in when.items() for each in self._condition(fact, wanted, label, line)]
        for each in conditions:
            if on == "start" and (each.fact == "text" or each.fact.startswith((BOT, CRM))):
                self._problem(line, f'{label}: a condition on {each.fact} needs on = "message"')
        target = self._target(raw.get("target"), label, line)
        if target is None or len(self.problems) > before:
            return None
        return Rule(label, cast(On, on), tuple(conditions), target)

    def _condition(self, fact: str, wanted: Any, label: str, line: int) -> list[Condition]:
        if fact not in PLAIN_FACTS and not fact.startswith(("room.", "visitor.", BOT, CRM)):
            hint = difflib.get_close_matches(fact, PLAIN_FACTS, 1)
            self._problem(line, f"{label}: unknown fact {fact!r}" + (f"; did you mean {hint[0]!r}?" if hint else ""))
            return []
        if isinstance(wanted, list):
            return [Condition(fact, "any_of", wanted)]
        if not isinstance(wanted, dict):
            return [Condition(fact, "equals", wanted)]
        found = []
        for operator, value in wanted.items():
            if operator not in OPERATORS:
                self._problem(line, f"{label}: unknown operator {operator!r}; known: {', '.join(OPERATORS)}")
            elif operator == "any_of" and not isinstance(value, list):
                self._problem(line, f"{label}: any_of takes a list")
            elif operator in ("at_least", "at_most") and (
                isinstance(value, bool) or not isinstance(value, int | float)
            ):
                self._problem(line, f"{label}: {operator} takes a number")
            else:
                found.append(Condition(fact, cast(Operator, operator), value))
        return found

    def _target(self, raw: Any, label: str, line: int) -> Target | None:
        kind, _, name = str(raw or "").partition(":")
        if kind not in TARGETS or (kind == "queue") == bool(name):
            self._problem(
                line,
                f'{label}: target must be "bot:NAME", "department:NAME", "agent:USERNAME", "decider:NAME" or "queue"',
            )
            return None
        return Target(cast(TargetKind, kind), name)

    def _handover(self, raw: dict[str, Any]) -> HandoverPolicy:
        given = raw.get("handover", {})
        line = self._line("[handover]")
        self._unknown(given, HandoverPolicy.__struct_fields__, "[handover] ", line)
        try:
            policy = msgspec.convert(given, HandoverPolicy)
        except msgspec.ValidationError as exc:
            self._problem(line, f"[handover] {exc}")
            return HandoverPolicy()
        if not 0 <= policy.max_moves <= 3:
            self._problem(line, "[handover] max_moves must be 0 to 3")
        return policy

    def _no_twins(self, names: list[str]) -> None:
        for name in sorted({each for each in names if names.count(each) > 1}):
            self._problem(0, f"two rules are called {name!r}; names must differ, decisions refer to them")

    def _unknown(self, raw: dict[str, Any], known: tuple[str, ...], where: str, line: int) -> None:
        for key in raw:
            if key not in known:
                hint = difflib.get_close_matches(key, known, 1)
                self._problem(
                    line or self._line(key),
                    f"{where}unknown key {key!r}" + (f"; did you mean {hint[0]!r}?" if hint else ""),
                )

    def _line(self, start: str, nth: int = 0) -> int:
        found = [number for number, line in enumerate(self._lines, 1) if line.strip().startswith(start)]
        return found[nth] if nth < len(found) else 0

    def _problem(self, line: int, what: str) -> None:
        self.problems.append(f"{self._name}:{line}: {what}" if line else f"{self._name}: {what}")
