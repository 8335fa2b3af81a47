"""A rule with a department's name, against a simulated hub: it holds, and another name later changes no replay."""

from __future__ import annotations

import asyncio

import pytest

from omnibridge.engine import workspaces
from omnibridge.operator.replay import Replay
from omnibridge.sandbox.visitor import Visitor
from tests.conftest import MakeWorld, World
from tests.scripted import ScriptedBot

RULES = """
default = "bot:helper"
[[rule]]
name = "people"
when = { department = "Orders" }
target = "queue"
"""


async def decided_by(world: World, department: str) -> tuple[str, str]:
    """(rule, why the rule was not chosen) of a new conversation."""
    visitor: Visitor = await world.visitor(department=department)
    sql = (
        "SELECT json_extract(e.decision, '$.rule'), json_extract(e.decision, '$.considered[0].why') FROM events e "
        "JOIN conversations c ON c.id = e.conversation_id WHERE c.room = ? AND e.kind = 'ConversationStarted'"
    )
    async with asyncio.timeout(30):
        while not (found := world.rows(sql, visitor.rid)):
            await asyncio.sleep(0.01)
    return found[0][0] or "", found[0][1] or ""


async def known(world: World, department: str, name: str) -> None:
    """Until the bridge decides by this name."""
    book = world.node.service._workspaces
    assert book
    async with asyncio.timeout(30):
        while not book.used or book.used["main"].departments.get(department) != name:
            book.look("main")
            await asyncio.sleep(0.02)


def replayed(world: World) -> int:
    database = world.node.service._database
    assert database
    report = Replay(database.reader).run()
    assert report.is_clean, report
    return report.decisions


async def test_names_hold_and_a_new_name_changes_no_replay(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspaces, "SOONEST_S", 0.02)
    told = 'facts = ["department", "department_name"]'
    world = await make_world(rules=RULES, department="Orders", licence="enterprise", connection=told)
    hub = world.sandbox.hub
    orders = next(each for each in hub.departments.values() if each.name == "Orders")
    assert await decided_by(world, orders.id) == ("people", "")

    # made a moment ago: by its id only, which the decision says; then the hub is asked
    late = hub.add_department("orders", set(orders.agents))
    rule, why = await decided_by(world, late.id)
    assert rule == "" and "has not told the name" in why
    await known(world, late.id, "orders")
    assert await decided_by(world, late.id) == ("people", "")

    orders.name = "Sales"
    before = replayed(world)
    assert before >= 3

    # the hub is down when the bridge comes back: by the names of before
    await world.hub.control(fail_next=[{"path": "livechat/department", "status": 503, "count": 1000}])
    await world.restart()
    assert await decided_by(world, orders.id) == ("people", "")
    await world.hub.reset()
    await known(world, orders.id, "Sales")
    rule, why = await decided_by(world, orders.id)
    assert rule == "" and "has not told" not in why
    visitor = await world.visitor(department=orders.id)
    await visitor.say("hello")
    await world.answered()
    assert isinstance(world.bot, ScriptedBot)
    assert world.bot.given[-1].facts == {"department": orders.id, "department_name": "Sales"}
    assert replayed(world) > before


async def test_nobody_asks_for_names_that_no_rule_needs(make_world: MakeWorld) -> None:
    world = await make_world(rules='default = "queue"')
    await world.quiet()
    book = world.node.service._workspaces
    assert book and not book.used
    body = world.rows("SELECT body FROM snapshots WHERE kind = 'directory'")[-1][0]
    assert b"departments" not in body
