"""Rules that ask for a department: by id or by name, and what is noted of it."""

from __future__ import annotations

from typing import Any

import pytest

from omnibridge.domain import events as ev
from omnibridge.domain.conversation import Conversation
from omnibridge.domain.directory import Directory
from omnibridge.routing.decision import Decision, encode_decision
from omnibridge.routing.router import route
from omnibridge.routing.rules_file import parse_rules
from omnibridge.web.external import ExternalRouting
from tests.unit.routing.test_router import DIRECTORY, NOW

ORDERS, RETURNS = "b8Qs5dkQ3pbq2BZkM", "c9Rt6elR4qcr3CAlN"
NAMES = {"main": {ORDERS: "Orders", RETURNS: "Returns"}, "other": {ORDERS: "Something else"}}


def decided(when: str, names: dict[str, dict[str, str]] | None = NAMES, department: str = ORDERS) -> Decision:
    rules = parse_rules(f'default = "bot:helper"\n[[rule]]\nname = "it"\nwhen = {{ {when} }}\ntarget = "queue"\n', "r")
    directory = Directory(DIRECTORY.connections, departments=names)
    event = ev.ConversationStarted(visitor_name="Vera", department=department)
    return route(Conversation("main", "room1"), event, rules, directory, NOW)


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ('department = "Orders"', True),
        ('department = " oRDERS "', True),
        (f'department = "{ORDERS}"', True),
        ('department = ["Returns", "orders"]', True),
        ('department = { starts_with = "ord" }', True),
        ('department = { contains = "der" }', True),
        ("department = { exists = true }", True),
        ('department_name = "orders"', True),
        ('department = "Returns"', False),
        ('department = "Something else"', False),  # of another workspace
        ('department = { not = "orders" }', False),
        (f'department = {{ not = "{ORDERS}" }}', False),
        ('department = { not = "Returns" }', True),
        ("department = { exists = false }", False),
        (f'department_name = "{ORDERS}"', False),
    ],
)
def test_name_and_id_both_count(when: str, holds: bool) -> None:
    assert bool(decided(when).rule) is holds


def test_what_was_compared_is_noted() -> None:
    facts = decided('department = "Orders"').facts
    assert {name: fact and (fact.value, fact.trust) for name, fact in facts.items()} == {
        "department": (ORDERS, "visitor"),
        "department_name": ("Orders", "visitor"),
    }


def test_a_name_that_is_not_known_is_said() -> None:
    decision = decided('department = "Orders"', {"main": {}})
    assert not decision.rule
    assert decision.considered[0].why == (
        f"department equals does not hold; the hub has not told the name of department {ORDERS!r}"
    )
    assert decided(f'department = "{ORDERS}"', {}).rule == "it"


def test_no_department_is_no_gap() -> None:
    decision = decided('department = "Orders"', department="")
    assert decision.considered[0].why == "department equals does not hold"
    assert decision.facts == {"department": None}


def test_of_before_there_were_names_it_is_decided_as_it_was() -> None:
    """Directories of old decisions have no departments: nothing more is noted then, so they replay byte for byte."""
    decision = decided('department = "Orders"', None)
    body = encode_decision(decision, Conversation("main", "room1"))
    assert b"department_name" not in body and b"has not told" not in body
    assert not decision.rule and list(decision.facts) == ["department"]


@pytest.mark.parametrize(
    ("department", "username"),
    [(ORDERS, "hold.orders"), (RETURNS, "hold.returns"), ("x", "hold"), ("", "hold")],
)
def test_holding_bots_by_name_or_id(department: str, username: str) -> None:
    holders: dict[str, str] = {"": "hold", " orders": "hold.orders", RETURNS: "hold.returns", "returns": "nobody"}
    names: dict[str, Any] = NAMES["main"]
    assert ExternalRouting("token", holders, lambda each: names.get(each, "")).holder(department) == username
