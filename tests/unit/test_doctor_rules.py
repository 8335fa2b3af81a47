"""What doctor says of rules, by what a workspace has: departments, and who chooses agents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from omnibridge.doctor import deciders, departments
from omnibridge.doctor.probe import Probe
from omnibridge.doctor.view import HubView
from omnibridge.rocketchat.calls import Answer
from omnibridge.routing.rules_file import parse_rules
from tests.unit.test_config_deciders import DECIDER, WORKSPACE, read

RULES = """
default = "decider:crm"
[[rule]]
name = "orders"
when = { department = ["ORDERS", "b8Q"], department_name = { not = "Retruns" } }
target = "department:orders"
[[rule]]
name = "later"
on = "message"
target = "decider:other"
"""


def view(folder: Path, lines: str = "", method: str = "Auto_Selection", **body: Any) -> HubView:
    settings = read(folder, f"{WORKSPACE}{lines}\n{DECIDER}")
    rows = [{"_id": "b8Q", "name": "Orders"}, {"_id": "c9R", "name": "Returns"}]
    probes = {
        "departments": _answered({"departments": rows, **body}),
        "public": _answered({"settings": [{"_id": "Livechat_Routing_Method", "value": method}]}),
    }
    return HubView(settings.workspace[0], _answered({}), 0, probes=probes)


def _answered(body: dict[str, Any]) -> Probe:
    return Probe("GET x", Answer(200, {"success": True, **body}, {}))


def test_department_that_is_not_there_is_named_with_the_nearest(tmp_path: Path) -> None:
    hub = view(tmp_path, 'holding_bots = { "orders" = "h", "Return" = "h" }')
    conditions, holding = departments.named(parse_rules(RULES), [hub])

    assert conditions.found == "rule orders: no workspace has a department 'Retruns'; nearest: 'Returns', 'Orders'"
    assert (conditions.status, holding.status) == ("problem", "problem")
    assert holding.found == "[[workspace]] main holding_bots: there is no department 'Return'; nearest: 'Returns'"


def test_departments_are_judged_only_by_the_whole_list(tmp_path: Path) -> None:
    rows = [{"_id": f"d{n}", "name": f"n{n}"} for n in range(100)]
    assert departments.named(parse_rules(RULES), [view(tmp_path, departments=rows)]) == []


@pytest.mark.parametrize(
    ("method", "over", "status"),
    [
        ("Auto_Selection", "true", "look"),
        ("Load_Balancing", "false", "problem"),
        ("Manual_Selection", "false", ""),
        ("External", "false", ""),
    ],
)
def test_rule_that_asks_in_vain(tmp_path: Path, method: str, over: str, status: str) -> None:
    hub = view(tmp_path, method=method)
    settings = read(tmp_path, f"{WORKSPACE}{DECIDER}over_auto_selection = {over}\n")
    found = deciders.outvoted(settings, parse_rules(RULES), [hub])

    assert [each.status for each in found] == [status] * bool(status)
    if status == "problem":
        (one,) = found
        assert one.found.startswith("rule default asks decider:crm, but by Load_Balancing")
        assert "over_auto_selection = true of crm" in one.do and "setup --external" in one.do
