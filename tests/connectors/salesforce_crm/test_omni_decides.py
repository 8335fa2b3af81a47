"""Salesforce decides who serves: the whole relay, hub, bridge and org on sockets."""

from __future__ import annotations

from tests.conftest import MakeWorld
from tests.connectors.salesforce_crm.omnis import FIELDS, Omni


async def test_conversation_gets_the_agent_whom_salesforce_chose(omni: Omni, make_world: MakeWorld) -> None:
    queue, alice = omni.org.queue("chats"), omni.person("alice")
    world = await omni.bridge(make_world, f'queue = "{queue[:15]}"{FIELDS}')
    visitor = await world.visitor("Vera")
    await omni.served(visitor.rid, "alice")
    (case,), (work,) = omni.all("Case"), omni.all("AgentWork")

    assert (case["Subject"], case["Origin"], case["OwnerId"]) == ("Chat with Vera", "Chat", alice)
    assert (work["WorkItemId"], work["UserId"], work["Status"]) == (case["Id"], alice, "Opened")
    assert omni.all("PendingServiceRouting") == [] and len(omni.org.made) == 1
    assert await omni.decided(visitor.rid, f"decider:omni wants salesforce:{alice}")
    await visitor.close()
    await omni.until(lambda: omni.all("Case")[0].get("Status") == "Closed")
    await omni.until(lambda: world.rows("SELECT count(*) FROM routing_questions") == [(0,)])


async def test_who_declines_is_followed_by_the_next(omni: Omni, make_world: MakeWorld) -> None:
    queue = omni.org.queue("chats")
    omni.person("alice", capacity=9, then="decline")
    bob = omni.person("bob", capacity=1)
    world = await omni.bridge(make_world, f'queue = "{queue}"')
    visitor = await world.visitor()
    await omni.served(visitor.rid, "bob")

    assert [each["Status"] for each in omni.all("AgentWork")] == ["Declined", "Opened"]
    assert omni.all("AgentWork")[1]["UserId"] == bob
    assert len(omni.org.made) == 1


async def test_nobody_there_leads_to_the_next_step_and_the_routing_is_taken_back(
    omni: Omni, make_world: MakeWorld
) -> None:
    queue = omni.org.queue("chats")
    omni.person("bob", online=False)
    world = await omni.bridge(make_world, f'queue = "{queue}"\nticket_timeout_ms = 400{FIELDS}')
    visitor = await world.visitor()
    await omni.until(lambda: omni.all("PendingServiceRouting"))
    assert "people are looked for" in await omni.decided(visitor.rid, "omni did not decide in time")
    await omni.served(visitor.rid, "alice")
    await omni.until(lambda: not omni.all("PendingServiceRouting"))
    await omni.until(lambda: omni.all("Case")[0].get("Status") == "Closed")

    assert omni.all("AgentWork") == []


async def test_closed_while_it_waits_takes_the_routing_away(omni: Omni, make_world: MakeWorld) -> None:
    queue = omni.org.queue("chats")
    omni.person("alice", then="wait")
    world = await omni.bridge(make_world, f'queue = "{queue}"')
    visitor = await world.visitor()
    await omni.until(lambda: [each["Status"] for each in omni.all("AgentWork")] == ["Assigned"])
    await visitor.close()
    await omni.until(lambda: not omni.all("PendingServiceRouting"))
    await world.quiet()

    assert [each["Status"] for each in omni.all("AgentWork")] == ["Canceled"]
    await omni.until(lambda: world.rows("SELECT count(*) FROM routing_questions") == [(0,)])


async def test_taken_by_somebody_else_takes_the_routing_away(omni: Omni, make_world: MakeWorld) -> None:
    queue = omni.org.queue("chats")
    omni.person("bob", then="wait")
    world = await omni.bridge(make_world, f'queue = "{queue}"')
    visitor = await world.visitor()
    await omni.until(lambda: omni.all("AgentWork"))
    await world.alice.take(visitor.rid)
    await omni.until(lambda: not omni.all("PendingServiceRouting"))
    await omni.served(visitor.rid, "alice")


async def test_agent_without_a_user_is_excluded_and_another_one_is_asked_for(omni: Omni, make_world: MakeWorld) -> None:
    queue = omni.org.queue("chats")
    ghost = omni.org.person("Ghost", capacity=9, answers=["accept", "accept"], then="decline")
    omni.person("bob", capacity=1)
    world = await omni.bridge(make_world, f'queue = "{queue}"')
    visitor = await world.visitor()
    await omni.served(visitor.rid, "bob")
    works = [(each["UserId"], each["Status"]) for each in omni.all("AgentWork")]

    assert works[:2] == [(ghost, "Transferred"), (ghost, "Transferred")]
    assert works[-1] == (omni.people["bob"], "Opened") and len(omni.all("Case")) == 1
    assert await omni.decided(visitor.rid, "omni is asked again")


async def test_skills_are_required_before_it_is_ready(omni: Omni, make_world: MakeWorld) -> None:
    omni.person("alice")
    skill = omni.org.create("Skill", {"DeveloperName": "german"})
    channel = omni.org.create("ServiceChannel", {"DeveloperName": "chats"})
    world = await omni.bridge(make_world, f'channel = "{channel}"\nskills = {{ {skill} = 5 }}\npriority = 2')
    visitor = await world.visitor()
    await omni.served(visitor.rid, "alice")
    (need,) = omni.all("SkillRequirement")
    changes = [(each["how"], each["object"], each["fields"]) for each in omni.org.changes]

    assert (need["SkillId"], need["SkillLevel"]) == (skill, 5.0)
    ready = changes.index(("update", "PendingServiceRouting", ["IsReadyForRouting"]))
    assert changes.index(("create", "SkillRequirement", ["RelatedRecordId", "SkillId", "SkillLevel"])) < ready


async def test_many_with_declines_and_faults_get_one_routing_each_and_whom_it_chose(
    omni: Omni, make_world: MakeWorld
) -> None:
    queue = omni.org.queue("chats")
    for name in ("alice", "bob", "carol"):
        omni.person(name, capacity=9, answers=["decline", "accept", "accept", "timeout"] * 6)
    world = await omni.bridge(make_world, f'queue = "{queue}"{FIELDS}')
    omni.simulator.lock_rate = omni.simulator.cut_rate = 0.1
    visitors = [await world.visitor(f"Visitor {n}") for n in range(15)]
    omni.simulator.tokens.clear()
    for each in visitors:
        await omni.until(lambda rid=each.rid: world.sandbox.hub.rooms[rid].served_by, 20)
    users = {key: name for name, key in omni.people.items()}
    served = {each.name: world.sandbox.hub.rooms[each.rid].served_by.username for each in visitors}
    taken = {each["WorkItemId"]: users[each["UserId"]] for each in omni.all("AgentWork") if each["Status"] == "Opened"}

    assert {each["Subject"].removeprefix("Chat with "): taken[each["Id"]] for each in omni.all("Case")} == served
    assert len(omni.org.made) == len(omni.all("Case")) == 15
    assert omni.simulator.failures["cut"] and omni.simulator.failures["UNABLE_TO_LOCK_ROW"]


async def test_org_that_is_down_is_asked_when_it_is_back(omni: Omni, make_world: MakeWorld) -> None:
    queue = omni.org.queue("chats")
    omni.person("alice")
    omni.simulator.down = True
    world = await omni.bridge(make_world, f'queue = "{queue}"')
    visitor = await world.visitor()
    await omni.decided(visitor.rid, "omni decides within 300 s")
    omni.simulator.down = False
    await omni.served(visitor.rid, "alice")

    assert len(omni.all("Case")) == len(omni.org.made) == 1
