"""Sensitive-data rules of an org: what of the visitor's words agents must not read. The client applies them. Pure.

As Salesforce's own clients do it: a rule's pattern has one regular expression a line; each is applied to the text that
the one before left, `Replace` puts the replacement in (`$1`, `$&`), `Remove` nothing; which rules changed something is
told by SensitiveDataRuleTriggered. Patterns are JavaScript's, and whoever sets up the org writes them: they are read by
`regex`, which knows nearly all of that syntax, and tried for a bounded time.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import regex

MOST_RULES, LONGEST_PATTERN, LONGEST_REPLACEMENT = 50, 1_000, 500
LONGEST_RESULT = 200_000
"""Rules one after the other could make any length of a few words."""
LARGEST = 5_000
"""Elements of a pattern with its repeats written out: what compiling it costs."""
RULE_S, MOST_SLOW = 0.1, 5
"""For one expression and one text; that it is over is noticed a little late: 0.3 s were measured. So many may take
longer, and then no other is tried."""

_REFERENCE = re.compile(r"\$(\$|&|\d{1,2})")
_REPEAT = re.compile(r"\{(\d{1,9})(?:,(\d{0,9}))?\}")


class Rule(msgspec.Struct, frozen=True, omit_defaults=True):
    """action: Remove or Replace."""

    id: str = ""
    name: str = ""
    pattern: str = ""
    action: str = ""
    replacement: str = ""


class Masked(NamedTuple):
    """hits: rules that changed something. failed: names of those that could not be applied, with why."""

    text: str
    hits: tuple[Rule, ...] = ()
    failed: tuple[str, ...] = ()


def read_rules(given: Any) -> tuple[Rule, ...]:
    """What is no rule is one that cannot be applied: nobody knows what it was to keep away."""
    rows = given if isinstance(given, list | tuple) else [given]
    keys = {"id": "id", "name": "name", "pattern": "pattern", "action": "actionType", "replacement": "replacement"}
    return tuple(
        Rule(**{ours: str(each.get(theirs) or "") for ours, theirs in keys.items()})
        if isinstance(each, dict)
        else Rule(name="unreadable")
        for each in rows
    )


def mask(text: str, rules: tuple[Rule, ...]) -> Masked:
    """Not for the event loop: see RULE_S. A rule that fails leaves the text as it was."""
    n_slow, hits, failed = 0, list[Rule](), list[str]()
    for at, rule in enumerate(rules):
        is_allowed = at < MOST_RULES and len(rule.replacement) <= LONGEST_REPLACEMENT
        expressions = compiled(rule.pattern) if is_allowed else None
        if not expressions or rule.action.lower() not in ("remove", "replace"):
            failed.append(f"{rule.name or rule.id}: cannot be read")
            continue
        before, put_in = text, rule.replacement if rule.action.lower() == "replace" else ""
        try:
            for each in expressions:
                if n_slow >= MOST_SLOW:
                    raise TimeoutError
                text = _replaced(each, put_in, text)
                if len(text) > LONGEST_RESULT:
                    raise OverflowError
        except TimeoutError:
            text, n_slow = before, n_slow + 1
            failed.append(f"{rule.name or rule.id}: takes too long")
            continue
        except (OverflowError, MemoryError):
            text = before
            failed.append(f"{rule.name or rule.id}: puts in too much")
            continue
        if text != before:
            hits.append(rule)
    return Masked(text, tuple(hits), tuple(failed))


def _replaced(expression: regex.Pattern[str], put_in: str, text: str) -> str:
    def with_groups(match: regex.Match[str]) -> str:
        def group(reference: re.Match[str]) -> str:
            which = reference[1]
            if which in "$&":
                return "$" if which == "$" else match[0]
            n = int(which)
            return match[n] or "" if 0 < n <= expression.groups else reference[0]

        return _REFERENCE.sub(group, put_in)

    found: str = expression.sub(with_groups, text, timeout=RULE_S, concurrent=True)
    return found


@lru_cache(maxsize=1_000)
def compiled(pattern: str) -> tuple[regex.Pattern[str], ...] | None:
    """One a line. None: they cannot be used."""
    if len(pattern) > LONGEST_PATTERN or size_of(pattern) > LARGEST:
        return None
    try:
        return tuple(regex.compile(each.rstrip("\r"), regex.V0) for each in pattern.split("\n") if each.strip()) or None
    except (regex.error, ValueError, LookupError, TypeError, RecursionError, OverflowError, MemoryError):
        return None


def size_of(pattern: str) -> int:
    """Elements of a regular expression with its repeats written out, about: enough to find those that would take long
    to compile."""
    totals, last, at = [0], 0, 0
    while at < len(pattern):
        repeat = _REPEAT.match(pattern, at)
        if repeat:
            most = int(repeat[2] or repeat[1])
            totals[-1] += last * max(0, most - 1)
            last, at = last * max(1, most), repeat.end()
            continue
        character, at = pattern[at], at + 1
        if character == "(":
            totals.append(0)
            continue
        if character == ")" and len(totals) > 1:
            last = totals.pop() or 1
        elif character == "[":
            end = re.compile(r"\^?\]?(?:\\.|[^\]\\])*\]").match(pattern, at)
            last, at = 1, end.end() if end else at
        else:
            last, at = 1, at + (character == "\\")
        totals[-1] += last
    return sum(totals)
