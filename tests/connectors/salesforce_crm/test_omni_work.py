"""We route for Salesforce: each (routing, serial) gets one AgentWork, whatever happens in between."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from connectors.salesforce_crm.omni.connector import SalesforceOmniConnector
from omnibridge.connector.routing import Standing
from tests.conftest import MakeWorld, World
from tests.connectors.salesforce_crm.omnis import Omni


def cases(omni: Omni, queue: str, n: int) -> list[str]:
    return [omni.org.create("Case", {"Subject": f"case {i}", "OwnerId": queue}) for i in range(n)]


def rows(world: World, what: str, where: str = "1 = 1") -> list[Any]:
    return world.rows(f"SELECT {what} FROM routed_work WHERE {where} ORDER BY at")  # noqa: S608 - our own words


async def all_taken(omni: Omni, n: int, timeout_s: float = 20) -> None:
    """Until somebody has each."""
    await omni.until(
        lambda: (
            not omni.all("PendingServiceRouting")
            and sum(each["Status"] in ("Opened", "Closed") for each in omni.all("AgentWork")) == n
        ),
        timeout_s,
    )


async def test_waiting_work_goes_to_the_least_busy_agent_and_the_decision_says_why(
    omni: Omni, make_world: MakeWorld
) -> None:
    queue = omni.org.queue("calls", "ExternalRouting", Weight__c=2)
    alice, bob = omni.person("alice", capacity=3), omni.person("bob", capacity=9)
    away = omni.person("carol", capacity=9)
    omni.org.update("UserServicePresence", omni.all("UserServicePresence")[2]["Id"], {"IsAway": True})
    stranger = omni.org.person("Stranger", capacity=9)
    chats = omni.person("dave", capacity=9, status=omni.org.status(omni.org.create("ServiceChannel", {})))
    world = await omni.bridge(make_world, f'routes = ["{queue[:15]}"]', rules="")
    cases(omni, queue, 3)
    await all_taken(omni, 3)
    to = Counter(each["user"] for each in omni.org.pushed_to)
    decisions = [msgspec.json.decode(each[0])["candidates"] for each in rows(world, "decision")]

    assert to == {alice: 1, bob: 2}
    assert {each["agent"]: each["why"] for each in next(each for each in decisions if "capacity" in str(each))} == {
        alice: "no capacity left: 1 of the 2 that it takes",
        bob: "taken",
        away: "he is away",
        stranger: "no agent of the directory",
        chats: "he does not take this sort of work now",
    }
    assert [each["CapacityWeight"] for each in omni.all("AgentWork")] == [2, 2, 2]
    assert omni.org.ledger()["double_pushes"] == 0


async def test_who_declines_is_followed_by_another_one(omni: Omni, make_world: MakeWorld) -> None:
    queue = omni.org.queue("calls", "ExternalRouting")
    alice, bob = omni.person("alice", then="decline"), omni.person("bob", answers=["timeout"], capacity=9)
    world = await omni.bridge(make_world, f'routes = ["{queue}"]', rules="")
    cases(omni, queue, 1)
    await all_taken(omni, 1)
    pushes = [(each["serial"], each["user"]) for each in omni.org.pushed_to]

    assert pushes in ([(1, alice), (2, bob), (3, alice), (4, bob)], [(1, bob), (2, alice), (3, bob)])
    assert rows(world, "serial, agent, stage") == [(serial, user, "pushed") for serial, user in pushes]


async def test_push_whose_answer_is_lost_is_not_repeated_although_it_was_declined_meanwhile(
    omni: Omni, make_world: MakeWorld
) -> None:
    queue = omni.org.queue("calls", "ExternalRouting")
    omni.person("alice", answers=["decline"]), omni.person("bob", answers=["decline"])
    omni.simulator.fail_next = [{"status": 502, "html": True, "match": "POST AgentWork", "after_effect": True}]
    world = await omni.bridge(make_world, f'routes = ["{queue}"]', rules="")
    cases(omni, queue, 1)
    await omni.until(lambda: rows(world, "1", "stage = 'pushed' AND serial = 2"))
    pushes = [(each["serial"], each["user"], each["work"]) for each in omni.org.pushed_to][:2]

    assert rows(world, "serial, agent, push")[:2] == pushes and pushes[0][1] != pushes[1][1]
    assert omni.org.pushes[omni.org.made[0], 1] == 1


async def test_push_that_arrives_after_we_looked_is_found_when_its_repeat_is_refused(
    omni: Omni, make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, look = omni.org.queue("calls", "ExternalRouting"), SalesforceOmniConnector.standing
    omni.person("alice", then="wait")
    looks: list[int] = []

    async def too_early(self: SalesforceOmniConnector, ids: Sequence[str]) -> Mapping[str, Standing]:
        looks.append(len(ids))
        found = await look(self, ids)
        return {each: Standing(1, True, ()) for each in ids} if len(looks) == 1 else found

    monkeypatch.setattr(SalesforceOmniConnector, "standing", too_early)
    omni.simulator.fail_next = [{"status": 502, "html": True, "match": "POST AgentWork", "after_effect": True}]
    world = await omni.bridge(make_world, f'routes = ["{queue}"]', rules="")
    cases(omni, queue, 1)
    await omni.until(lambda: rows(world, "1", "stage = 'pushed'"))

    assert rows(world, "push, refused") == [(omni.all("AgentWork")[0]["Id"], "[]")]
    assert looks == [1, 1]


async def test_push_that_did_not_arrive_is_repeated_to_the_same_agent(omni: Omni, make_world: MakeWorld) -> None:
    queue = omni.org.queue("calls", "ExternalRouting")
    omni.person("alice"), omni.person("bob")
    omni.simulator.fail_next = [{"status": 502, "html": True, "match": "POST AgentWork"}]
    world = await omni.bridge(make_world, f'routes = ["{queue}"]', rules="")
    cases(omni, queue, 1)
    await all_taken(omni, 1)

    assert [rows(world, "serial, agent")] == [[(1, omni.org.pushed_to[0]["user"])]]
    assert len(omni.org.pushed_to) == 1


async def test_whom_salesforce_does_not_take_is_followed_by_another_one(omni: Omni, make_world: MakeWorld) -> None:
    queue = omni.org.queue("calls", "ExternalRouting")
    omni.person("alice"), omni.person("bob")
    refusal = {"status": 400, "code": "INVALID_INPUT", "match": "POST AgentWork"}
    omni.simulator.fail_next = [refusal]
    world = await omni.bridge(make_world, f'routes = ["{queue}"]', rules="")
    cases(omni, queue, 1)
    await all_taken(omni, 1)
    (row,) = rows(world, "agent, stage, refused")

    assert row[1] == "pushed" and len(msgspec.json.decode(row[2])) == 1 and row[0] not in row[2]


async def test_work_that_is_gone_lapses(omni: Omni, make_world: MakeWorld) -> None:
    queue = omni.org.queue("calls", "ExternalRouting")
    omni.person("alice")
    omni.simulator.fail_next = [{"status": 502, "html": True, "match": "POST AgentWork", "count": 1}]
    world = await omni.bridge(make_world, f'routes = ["{queue}"]\nwork_poll_s = 0.3'.replace("\nwork", "\n#"), rules="")
    cases(omni, queue, 1)
    await omni.until(lambda: rows(world, "1", "stage = 'chosen'"))
    omni.org.delete("PendingServiceRouting", omni.org.made[0])
    await omni.until(lambda: rows(world, "1", "stage = 'lapsed'"))

    assert omni.all("AgentWork") == []


async def test_nobody_online_is_written_down_once_and_looked_at_again(omni: Omni, make_world: MakeWorld) -> None:
    queue = omni.org.queue("calls", "ExternalRouting")
    alice = omni.person("alice", online=False)
    world = await omni.bridge(make_world, f'routes = ["{queue}"]', rules="")
    cases(omni, queue, 2)
    await omni.until(lambda: len(rows(world, "1", "stage = 'nobody'")) == 2)
    before = rows(world, "at")
    looks = omni.simulator.calls["GET query"]
    await omni.until(lambda: omni.simulator.calls["GET query"] > looks + 6)
    assert rows(world, "at") == before
    omni.org.create(
        "UserServicePresence",
        {
            "UserId": alice,
            "IsCurrentState": True,
            "IsAway": False,
            "ConfiguredCapacity": 5,
            "ServicePresenceStatusId": None,
        },
    )
    await all_taken(omni, 2)


async def test_hundred_with_declines_and_faults_get_one_push_each_serial(omni: Omni, make_world: MakeWorld) -> None:
    dice, org = random.Random(5), omni.org
    queue = org.queue("calls", "ExternalRouting")
    for n in range(8):
        answers = [dice.choice(["accept", "accept", "decline", "timeout"]) for _ in range(60)]
        omni.person(f"agent{n}", capacity=40, answers=answers, after_s=0.01, handles_s=0.05)
    world = await omni.bridge(make_world, f'routes = ["{queue}"]\nworkers = 8', rules="")
    org_faults = omni.simulator
    org_faults.lock_rate, org_faults.cut_rate = 0.05, 0.05
    cases(omni, queue, 100)
    await omni.until(lambda: len(omni.all("PendingServiceRouting")) < 60, 20)
    org_faults.tokens.clear()
    org_faults.fail_next = [{"status": 503, "html": True, "match": "GET", "count": 2}]
    await all_taken(omni, 100, 40)
    await omni.until(lambda: not rows(world, "1", "stage = 'chosen'"))
    journalled = rows(world, "push", "stage = 'pushed'")

    assert org.ledger()["double_pushes"] == 0 and set(org.pushes.values()) == {1}
    assert len({(each["routing"], each["serial"]) for each in org.pushed_to}) == len(org.pushed_to) > 130
    assert {each[0] for each in journalled} == {each["Id"] for each in omni.all("AgentWork")}
    assert org_faults.failures["UNABLE_TO_LOCK_ROW"] > 2 and org_faults.failures["cut"] > 2
