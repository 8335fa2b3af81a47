"""Rules text: what is wrong is said with its line, all of it."""

from __future__ import annotations

import msgspec
import pytest

from omnibridge.errors import RuleInvalid
from omnibridge.routing.rules import Condition, RuleSet, Target, plain
from omnibridge.routing.rules_file import parse_rules


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[[rule]]\nname = 'a'\ntarget = 'boot:x'\n", "rules.toml:1: a: target must be"),
        ("[[rule]]\nname = 'a'\ntarget = 'queue'\nwhn = {}\n", "did you mean 'when'?"),
        (
            "[[rule]]\ntarget = 'queue'\nwhen = { departmnt = 'x' }\n",
            "unknown fact 'departmnt'; did you mean 'department'?",
        ),
        ("[[rule]]\ntarget = 'queue'\nwhen = { text = 'x' }\n", 'needs on = "message"'),
        ("[[rule]]\ntarget = 'queue'\nwhen = { room = { like = 'x' } }\n", "unknown operator 'like'"),
        ("[[rule]]\nname='a'\ntarget='queue'\n[[rule]]\nname='a'\ntarget='queue'\n", "two rules are called 'a'"),
        ("default = 'queue:x'\n", "rules.toml:1: default: target must be"),
        ("[handover]\nmax_moves = 9\n", "rules.toml:1: [handover] max_moves"),
        ("[handover]\nladder = ['moon']\n", "[handover]"),
        ("x = ", "rules.toml"),
    ],
)
def test_problem_names_line_and_cure(text: str, problem: str) -> None:
    with pytest.raises(RuleInvalid) as caught:
        parse_rules(text)

    assert problem in str(caught.value)


def test_all_problems_at_once() -> None:
    with pytest.raises(RuleInvalid) as caught:
        parse_rules("default = 'x'\n[[rule]]\ntarget='y'\n[[rule]]\ntarget='z'\n")

    assert len(caught.value.problems) == 3


@pytest.mark.parametrize(
    ("operator", "value", "found", "holds"),
    [
        ("equals", "Sales ", "sales", True),
        ("equals", 3, 3, True),
        ("any_of", ["a", "b"], "B", True),
        ("any_of", ["a"], None, False),
        ("contains", "HUM", "a human", True),
        ("contains", "x", None, False),
        ("starts_with", "a", "Abc", True),
        ("exists", True, None, False),
        ("exists", False, None, True),
        ("not", "a", "b", True),
    ],
)
def test_operators(operator: str, value: object, found: object, holds: bool) -> None:
    class Known:
        def plain(self, name: str) -> object:
            return plain(found) if name == "f" else None

        def other(self, name: str) -> object:
            return None

        def gap(self, name: str) -> str:
            return ""

    assert Condition("f", operator, value).holds(Known()) is holds  # type: ignore[arg-type]


def test_rule_set_survives_storage() -> None:
    rules = parse_rules("default='bot:a'\n[[rule]]\nname='r'\nwhen={room='x'}\ntarget='department:d'\n")
    again = msgspec.json.decode(rules.encode(), type=RuleSet)

    assert (again.default, again.rules[0].target, again.hash()) == (
        Target("bot", "a"),
        Target("department", "d"),
        rules.hash(),
    )
