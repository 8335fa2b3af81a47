"""Departments that the configuration names, in rules and for holding bots: one of a workspace must be meant.

A name is compared as rules compare it: without regard to case and outer blanks; an id does as well.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from omnibridge.doctor.finding import HUB, OURS, Finding, problem
from omnibridge.doctor.view import DEPARTMENTS_SHOWN, HubView
from omnibridge.rocketchat.leaves import text_of
from omnibridge.routing.rules import RuleSet

CREATE = "create it in Omnichannel > Departments, or correct the rule"
COMPARED = ("equals", "any_of", "not")
"""Operators that take a whole name."""


def named(rules: RuleSet | None, views: list[HubView]) -> list[Finding]:
    """Names that no department has; said only when all departments of all workspaces could be read."""
    if rules is None or not views or not all(_is_complete(each) for each in views):
        return []
    names = sorted({text_of(row.get("name")) for each in views for row in each.departments})
    known = {_plain(text_of(row.get(key))) for each in views for row in each.departments for key in ("_id", "name")}
    targets = [(each.name, each.target) for each in rules.rules] + [("default", rules.default)]
    found: list[Finding] = []

    def missing(check: str, rule: str, name: str) -> None:
        if _plain(name) not in known:
            why = f"rule {rule}: no workspace has a department {name!r}{_near(name, names)}"
            found.append(problem(check, HUB, why, CREATE))

    for rule, target in targets:
        if target and target.kind == "department":
            missing("rule targets", rule, target.name)
    for rule, name in _conditions(rules):
        missing("rule conditions", rule, name)
    return [*found, *(each for view in views for each in _holding(view))]


def _conditions(rules: RuleSet) -> Iterator[tuple[str, str]]:
    """(rule, name or id that it compares with)."""
    for rule in rules.rules:
        for each in rule.when:
            if each.fact in ("department", "department_name") and each.operator in COMPARED:
                values = each.value if isinstance(each.value, list | tuple) else (each.value,)
                yield from ((rule.name, value) for value in values if isinstance(value, str))


def _holding(view: HubView) -> Iterator[Finding]:
    names = sorted(text_of(row.get("name")) for row in view.departments)
    known = {_plain(text_of(row.get(key))) for row in view.departments for key in ("_id", "name")}
    where = f"[[workspace]] {view.settings.name} holding_bots"
    for department in view.settings.holding_bots:
        if _plain(department) not in known:
            why = f"{where}: there is no department {department!r}{_near(department, names)}"
            yield problem("holding bots", OURS, why, "write its name as in Omnichannel > Departments, or its id")


def _is_complete(view: HubView) -> bool:
    """A workspace with more than one page of them is not judged by the first."""
    return view.probes.get("departments", view.info).is_ok and len(view.departments) < DEPARTMENTS_SHOWN


def _near(name: str, names: list[str]) -> str:
    plain = {_plain(each): each for each in names}
    near = difflib.get_close_matches(_plain(name), list(plain), 3)
    return f"; nearest: {', '.join(repr(plain[each]) for each in near)}" if near else ""


def _plain(text: str) -> str:
    return text.strip().casefold()
