"""From an external id to a user: once, whatever runs beside it and whatever dies in between."""

from __future__ import annotations

import asyncio
import json

import msgspec
import pytest

from omnibridge.domain.agents import AgentFound, AgentRefused, ExternalAgent
from omnibridge.identity import drift
from omnibridge.identity.admin import Admin
from omnibridge.identity.making import free_name, new_user
from omnibridge.identity.requests import Link, Unlink
from omnibridge.sandbox.visitor import AgentClient
from omnibridge.storage import directory, seats
from omnibridge.storage.seats import HOUR_MS, Budget

from .conftest import OPEN, Bridge, Killed, MakeBridge


@pytest.mark.parametrize("version", ["6.14", "7.7", "8.3"])
async def test_s2_07_to_12_an_unknown_agent_becomes_a_user(make_bridge: MakeBridge, version: str) -> None:
    bridge = await make_bridge(version)
    found = await bridge.found("0055g", "Ann O'Hara <b>/%", departments=("sales",))
    again = await bridge.found("0055g", "Ann O'Hara <b>/%")
    user = bridge.user_of(found)

    assert found == again
    assert (found.mode, found.username) == ("provisioned", user.username)
    assert user.name == "Ann O'Hara b"
    assert user.roles == {"bot", "livechat-agent"} and user.status_livechat == "available"
    assert user.custom_fields == {"externalAgentId": "crm:0055g"} and user.import_ids == ["crm:0055g"]
    assert bridge.members("sales") == sorted(["alice", "bot", user.username])
    assert bridge.made() == [user.username] and bridge.sandbox.hub.mails == []
    assert seats.creations(bridge.database.reader, "main")[0].cause == "test"


async def test_1_000_first_contacts_at_once_make_100_users_each_once_in_its_departments(
    make_bridge: MakeBridge,
) -> None:
    bridge = await make_bridge()
    outcomes = await asyncio.gather(*(bridge.found(str(n % 100), departments=("sales",)) for n in range(1000)))
    audit = bridge.sandbox.hub.accounts.audit

    assert len(set(outcomes)) == 100
    assert len(bridge.made()) == len(set(bridge.made())) == 100
    assert len(bridge.members("sales")) == 102
    assert sum(each["what"] == "members" for each in audit) == 100
    assert seats.n_seats(bridge.database.reader, "main") == 100
    assert bridge.world.locks._held == {}


async def test_killed_between_any_two_rest_steps_it_goes_on_to_the_same(make_bridge: MakeBridge) -> None:
    """Every step of a first contact, before and after its effect, on users of their own; then again and again."""
    bridge = await make_bridge()
    kills, hit, n = 0, set[tuple[int, bool]](), 0
    for round_ in range(4):
        for after in (False, True):
            for step in range(1, 30):
                bridge.restart()
                bridge.kill_at(step, after=after)
                try:
                    await bridge.found(f"k{n}", departments=("sales",))
                except Killed:
                    kills += 1
                    hit.add((step, after))
                else:
                    break  # fewer steps than that
                for again in range(1, 1 + round_):  # dies on the way back as well
                    bridge.restart()
                    bridge.kill_at(again, after=not after)
                    try:
                        await bridge.found(f"k{n}", departments=("sales",))
                    except Killed:
                        kills += 1
                bridge.restart()
                await bridge.found(f"k{n}", departments=("sales",))
                n += 1
            n += 1
    users = [each for each in bridge.sandbox.hub.users.values() if each.username.startswith("agent.")]
    rows = list(directory.rows(bridge.database.reader, "main"))

    assert kills >= 100
    assert hit == {(step, after) for step in range(1, len(hit) // 2 + 1) for after in (False, True)}
    assert len(hit) >= 2 * 8
    assert len(users) == len(bridge.made()) == n == len(rows)
    assert len({each.user_id for each in rows}) == n
    assert all(each.roles == {"bot", "livechat-agent"} for each in users)
    assert all(each.custom_fields["externalAgentId"] in {f"crm:k{i}" for i in range(n)} for each in users)
    assert len(bridge.members("sales")) == n + 2
    assert {each.step for each in rows} == {directory.READY}
    assert seats.n_seats(bridge.database.reader, "main") == n
    for each in users:
        credentials = await bridge.identity.credentials("main", each.id)
        assert credentials and bridge.sandbox.hub.by_token[credentials.auth_token] is each


async def test_hub_that_dies_in_the_middle_of_making_a_user_is_repaired(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge()
    api = {"path": "users.create", "status": 500, "count": 1, "half": True}

    await bridge.client().control(fail_next=[api])
    found = await bridge.found("1", "Ann")

    assert bridge.made() == [found.username]
    assert bridge.user_of(found).custom_fields == {"externalAgentId": "crm:1"}


async def test_half_made_users_are_finished_without_being_asked_for(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge()
    bridge.kill_at(5, after=True)
    with pytest.raises(Killed):
        await bridge.found("1")
    bridge.restart()
    before = [each.step for each in directory.rows(bridge.database.reader, "main")]
    await bridge.identity.tidy()
    (row,) = directory.rows(bridge.database.reader, "main")

    assert before != [directory.READY]
    assert row.step == directory.READY and len(bridge.made()) == 1


async def test_s2_07_a_name_that_somebody_has_already_is_not_taken_for_ours(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge()

    name = free_name(bridge.world, ("main", "crm", "1"))
    bridge.sandbox.hub.add_user(name, "secret", {"user"}, "Squatter")
    found = await bridge.found("1")

    assert found.username != name and bridge.made() == [found.username]


async def test_s2_24_a_dry_run_reports_exactly_what_would_be_made_and_makes_nothing(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge()
    bridge.restart(dry_run=True)
    assert [await bridge.refusal("1", departments=("sales",)) for _ in range(2)] == ["creation_off"] * 2
    (note,) = directory.notes(bridge.database.reader, "main", "would-create")
    plan = json.loads(note["detail"])
    made_before = bridge.made()
    bridge.restart(dry_run=False)
    found = await bridge.found("1", departments=("sales",))
    user = bridge.user_of(found)

    assert made_before == []
    assert plan["departments"] == ["sales"] and plan["over_budget"] == ""
    assert (plan["username"], plan["name"], plan["email"]) == (user.username, user.name, user.email)
    assert set(plan["roles"]) == user.roles - {"livechat-agent"}
    assert plan["fields"] == user.custom_fields


async def test_s2_24_a_dry_run_of_many_reports_whom_the_later_run_makes_limits_included(
    make_bridge: MakeBridge,
) -> None:
    """Five seats, three of them in an hour; some come twice, and some an hour later."""
    bridge = await make_bridge(policy=msgspec.structs.replace(OPEN, budget=Budget(5, 3, 9), over_budget="queue"))

    async def contacts() -> None:
        for each in ("1", "2", "3", "2", "4", "1"):
            await bridge.ensure(each)
        bridge.clock.advance(HOUR_MS)
        for each in ("5", "4", "6", "7", "6"):
            await bridge.ensure(each)

    bridge.restart(dry_run=True)
    await contacts()
    notes = directory.notes(bridge.database.reader, "main", "would-create")
    plans = {each["external_id"]: json.loads(each["detail"]) for each in reversed(notes)}
    planned = {each: plan["username"] for each, plan in plans.items() if not plan["over_budget"]}
    made_before, seats_before = bridge.made(), seats.n_seats(bridge.database.reader, "main")
    bridge.clock.advance(HOUR_MS)
    bridge.restart(dry_run=False)
    await contacts()
    rows = directory.rows(bridge.database.reader, "main")

    assert made_before == [] and seats_before == 0
    assert planned == {each.external_id: each.username for each in rows}
    assert sorted(bridge.made()) == sorted(planned.values()) and set(planned) == set("12345")
    assert plans["6"]["instead"] == "queue" and "5 of 5 seats" in plans["6"]["over_budget"]
    assert len(notes) == 8  # who came twice is told of once; "4" was without a seat at first
    assert seats.all_planned(bridge.database.reader, "main") == []


# -- who says he is somebody ----------------------------------------------------------------------------------


async def say(bridge: Bridge, username: str, value: str) -> None:
    """A user writes a claim into his own custom field, as any user can."""

    client = bridge.client()
    agent = await AgentClient.login(client, username, "secret")
    answer = await agent.post("users.updateOwnBasicInfo", {"data": {}, "customFields": {"externalAgentId": value}})
    assert answer["_status"] == 200, answer


@pytest.mark.parametrize(
    ("version", "value"), [("6.14", "crm:0055g"), ("7.7", "0055g"), ("8.3", "crm:0055g"), ("8.3", "0055g")]
)
async def test_s2_26_an_attacker_who_claims_an_id_gets_nothing_and_is_reported(
    make_bridge: MakeBridge, version: str, value: str
) -> None:
    bridge = await make_bridge(version)
    mallory = bridge.sandbox.hub.add_user("mallory", "secret", {"user"}, "Mallory")
    await say(bridge, "mallory", value)
    outcome = await bridge.ensure("0055g")
    await bridge.sync()
    found = drift.report(bridge.database.reader, "main", bridge.clock.now_ms(), 30)

    assert isinstance(outcome, AgentRefused) and outcome.reason == "conflict"
    assert mallory.roles == {"user"} and bridge.made() == []
    assert bridge.alarms["conflict"] == 1
    assert {(each.kind, each.who) for each in found} == {("conflict", "crm:0055g"), ("unconfirmed", value)}
    assert "mallory" in next(each.text for each in found if each.kind == "unconfirmed")


async def test_an_attacker_who_comes_later_changes_nothing_and_is_reported(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge()
    mallory = bridge.sandbox.hub.add_user("mallory", "secret", {"user"}, "Mallory")
    before = await bridge.found("1")
    await say(bridge, "mallory", "crm:1")
    after = await bridge.found("1")
    await bridge.sync()
    found = drift.report(bridge.database.reader, "main", bridge.clock.now_ms(), 30)

    assert before == after and mallory.roles == {"user"}
    assert [each.kind for each in found] == ["twins", "twins", "unconfirmed"]


async def test_s2_13_two_users_who_claim_one_id_get_nothing_either(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge()
    for name in ("mallory", "trudy"):
        bridge.sandbox.hub.add_user(name, "secret", {"user"}, name)
        await say(bridge, name, "crm:1")
    await bridge.sync()
    found = drift.report(bridge.database.reader, "main", bridge.clock.now_ms(), 30)

    assert await bridge.refusal("1") == "conflict"
    assert bridge.made() == []
    assert "crm:1" in {each.who for each in found if each.kind == "twins"}, found


async def test_a_claim_that_an_admin_confirmed_is_believed(make_bridge: MakeBridge) -> None:

    bridge = await make_bridge()
    bridge.sandbox.hub.add_user("ann", "secret", {"user"}, "Ann")
    await say(bridge, "ann", "crm:1")
    refused = await bridge.refusal("1")
    admin = Admin(bridge.database, {"main": bridge.hub}, bridge.policy, bridge.clock)
    wrong = await admin.carry_out(Link("me", "main", "crm", "2", "ann", True))
    reply = await admin.carry_out(Link("me", "main", "crm", "1", "ann", True))
    found = await bridge.found("1")

    assert refused == "conflict" and "does not say" in wrong.problem and not reply.problem
    assert (found.username, found.mode) == ("ann", "mapped")
    assert bridge.sandbox.hub.by_name["ann"].roles == {"user"}  # mapped people keep their own roles


async def test_a_conflict_is_over_when_the_claim_is(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge()
    mallory = bridge.sandbox.hub.add_user("mallory", "secret", {"user"}, "Mallory")
    await say(bridge, "mallory", "crm:1")
    await bridge.sync()
    refused = await bridge.refusal("1")
    mallory.active = False
    found = await bridge.found("1")

    assert refused == "conflict" and found.mode == "provisioned"


async def test_unlinked_agents_user_is_switched_off_and_the_next_use_makes_another(make_bridge: MakeBridge) -> None:

    bridge = await make_bridge()
    first = await bridge.found("1")
    admin = Admin(bridge.database, {"main": bridge.hub}, bridge.policy, bridge.clock)
    reply = await admin.carry_out(Unlink("me", "main", "crm", "1"))
    n_after = seats.n_seats(bridge.database.reader, "main")
    second = await bridge.found("1")

    assert not reply.problem and n_after == 0
    assert not bridge.user_of(first).active and second.user_id != first.user_id


async def test_a_user_of_ours_whose_row_was_lost_is_found_again(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge()
    first = await bridge.found("1")
    await bridge.database.writer.submit(lambda cursor: cursor.execute("DELETE FROM agents"))
    second = await bridge.found("1")

    assert second == first == AgentFound("crm", "1", first.user_id, first.username, "provisioned", "Agent 1")


async def test_s2_12_a_rename_is_reflected_and_who_is_gone_serves_no_more(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge()
    hub = bridge.sandbox.hub
    ann = hub.add_user("ann", "secret", {"user", "livechat-agent"}, "Ann")
    admin = Admin(bridge.database, {"main": bridge.hub}, bridge.policy, bridge.clock)
    await admin.carry_out(Link("me", "main", "crm", "1", "ann"))
    before = await bridge.found("1")
    hub.by_name["ann.fox"] = hub.by_name.pop("ann")
    ann.username = "ann.fox"
    await bridge.sync()
    after = await bridge.found("1")
    del hub.users[ann.id], hub.by_name["ann.fox"]
    bridge.clock.advance(1_000)
    await bridge.sync()
    gone = drift.report(bridge.database.reader, "main", bridge.clock.now_ms(), 30)

    assert (before.username, after.username, before.user_id) == ("ann", "ann.fox", after.user_id)
    assert [(each.kind, each.who) for each in gone] == [("orphan", "crm:1")], gone


async def test_s2_11_an_undeclared_field_is_reported_and_stops_nothing(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge(declared=False)
    found = await bridge.found("1")
    await bridge.sync()
    kinds = {each.kind for each in drift.report(bridge.database.reader, "main", bridge.clock.now_ms(), 30)}

    assert bridge.user_of(found).custom_fields == {} and kinds == {"undeclared"}


async def test_s2_09_only_harmless_roles_are_asked_for(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge(policy=OPEN)
    body = new_user(bridge.world, "agent.x", ("main", "crm", "1"), ExternalAgent("crm", "1", "Ann")).body("p")

    assert body["roles"] == ["bot"] and not body["joinDefaultChannels"]


async def test_s2_30_a_hub_that_asks_to_slow_down_or_fails_for_a_moment_is_asked_again(
    make_bridge: MakeBridge,
) -> None:
    bridge = await make_bridge()
    client = bridge.client()
    failures = [
        {"path": "livechat/users/agent", "status": 429, "count": 1},
        {"path": "users.create", "status": 503, "count": 1, "after_effect": True},
    ]
    await client.control(fail_next=failures)
    found = await bridge.found("1")

    assert bridge.made() == [found.username] and bridge.user_of(found).is_agent
    assert bridge.outcomes["retried"] >= 1


async def test_a_hub_that_is_not_there_is_told_and_later_it_goes_on(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge()
    client = bridge.client()
    await client.control(fail_next=[{"path": "users.create", "status": 502, "count": 15}])
    refused = await bridge.refusal("1")
    await client.control(fail_next=[])

    assert refused == "hub_error" and bridge.alarms["hub_error"] == 1
    assert (await bridge.found("1")).mode == "provisioned"
    assert seats.n_seats(bridge.database.reader, "main") == 1


@pytest.mark.parametrize("version", ["7.7", "8.3"])
async def test_s2_30_the_hubs_limit_of_calls_stops_nobody(make_bridge: MakeBridge, version: str) -> None:
    """Our accounts are exempt (role bot), but before 8.x nobody is at log-in: ten a minute."""
    bridge = await make_bridge(version, rate_limit=True)
    found = await asyncio.gather(*(bridge.found(str(n)) for n in range(30)))
    late = bridge.outcomes["login_later"]

    assert len({each.user_id for each in found}) == len(bridge.made()) == 30
    assert late == (20 if version == "7.7" else 0)
    assert all(bridge.user_of(each).is_agent for each in found)


async def test_who_could_not_log_in_at_first_does_so_when_he_posts(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge()
    await bridge.client().control(fail_next=[{"path": "login", "status": 429, "count": 1}])
    found = await bridge.found("1")
    credentials = await bridge.identity.credentials("main", found.user_id)

    assert bridge.outcomes["login_later"] == 1
    assert credentials and bridge.sandbox.hub.by_token[credentials.auth_token] is bridge.user_of(found)


@pytest.mark.parametrize("version", ["6.14", "8.3"])
async def test_a_user_of_ours_who_was_deleted_is_told_and_can_be_made_again(
    make_bridge: MakeBridge, version: str
) -> None:
    bridge = await make_bridge(version)
    first = await bridge.found("1")
    bridge.clock.advance(60_000)
    bridge.sandbox.hub.accounts.remove(bridge.user_of(first))
    refused = await bridge.ensure("1", "A new name")
    admin = Admin(bridge.database, {"main": bridge.hub}, bridge.policy, bridge.clock)
    reply = await admin.carry_out(Unlink("me", "main", "crm", "1"))
    again = await bridge.found("1")

    assert isinstance(refused, AgentRefused) and refused.reason == "unknown" and "unlink" in refused.text
    assert not reply.problem and again.user_id != first.user_id


async def test_claims_count_for_imported_agents_too(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge()
    bridge.sandbox.hub.add_user("mallory", "secret", {"user"}, "Mallory")
    await say(bridge, "mallory", "crm:1")
    row = directory.AgentRow("main", "crm", "1", mode="provisioned")
    await bridge.database.writer.submit(lambda cursor: directory.put(cursor, [row], 1))

    assert await bridge.refusal("1") == "conflict" and bridge.made() == []


async def test_s2_08_the_user_is_made_an_agent_once_and_who_is_one_already_is_no_error(
    make_bridge: MakeBridge,
) -> None:
    bridge = await make_bridge()

    def asked() -> int:
        return int(bridge.sandbox.hub.rest_calls["livechat/users/agent"])

    found = await bridge.found("1", departments=("sales",))
    again = await bridge.found("1", departments=("sales",))
    assert (asked(), found == again, bridge.user_of(found).is_agent) == (1, True, True)
    assert found.username in bridge.members("sales")

    bridge.restart()  # as after a crash: whether he is an agent is not known any more
    assert await bridge.found("1", departments=("sales",)) == found
    assert (asked(), bridge.user_of(found).is_agent) == (2, True)
    assert bridge.members("sales").count(found.username) == 1
