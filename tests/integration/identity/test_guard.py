"""What keeps users from being made: each guard rail, and that a restart does not take it away."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from omnibridge.domain.agents import AgentFound, AgentRefused
from omnibridge.errors import DeliveryRejected
from omnibridge.identity.admin import Admin
from omnibridge.identity.policy import Policy
from omnibridge.identity.requests import Decide
from omnibridge.storage import directory, seats
from omnibridge.storage.seats import DAY_MS, HOUR_MS, Budget

from .conftest import OPEN, Killed, MakeBridge


async def test_s2_20_nobody_is_made_unless_it_was_switched_on(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge(policy=Policy())

    assert await bridge.refusal("1") == "creation_off"
    assert bridge.made() == [] and seats.n_seats(bridge.database.reader, "main") == 0


async def test_nobody_is_made_before_one_full_sync(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge(synced=False)
    before = await bridge.refusal("1")
    figures = await bridge.sync()

    assert before == "not_synced" and figures["users"] == len(bridge.sandbox.hub.users)
    assert (await bridge.found("1")).mode == "provisioned"


async def test_s2_21_the_budget_holds_however_many_come_at_once(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge(policy=msgspec.structs.replace(OPEN, budget=Budget(5, 100, 100)))
    outcomes = await asyncio.gather(*(bridge.ensure(str(n)) for n in range(20)))
    refused = [each.reason for each in outcomes if isinstance(each, AgentRefused)]

    assert refused == ["over_budget"] * 15
    assert len(bridge.made()) == 5
    assert bridge.alarms["over_budget"] == 15


async def test_s2_23_the_rate_outlives_a_restart_and_ends_with_its_hour(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge(policy=msgspec.structs.replace(OPEN, budget=Budget(100, 10, 15)))
    first = [await bridge.ensure(str(n)) for n in range(20)]
    bridge.restart()
    after_restart = await bridge.refusal("new")
    bridge.clock.advance(HOUR_MS + 1)
    second = [await bridge.ensure(f"b{n}") for n in range(10)]
    bridge.clock.advance(DAY_MS)
    next_day = await bridge.ensure("c")

    assert sum(isinstance(each, AgentFound) for each in first) == 10
    assert after_restart == "over_budget"
    assert sum(isinstance(each, AgentFound) for each in second) == 5  # then the day's limit holds
    assert isinstance(next_day, AgentFound)


@pytest.mark.parametrize(("fallback", "mode"), [("shared", "shared"), ("pool", "pooled")])
async def test_over_budget_goes_where_it_was_told_to(make_bridge: MakeBridge, fallback: str, mode: str) -> None:
    policy = msgspec.structs.replace(
        OPEN, budget=Budget(1, 9, 9), over_budget=fallback, shared_user="alice", pool_size=1, mode="pooled"
    )
    bridge = await make_bridge(policy=policy)
    pooled = await bridge.found("1", "Ann")  # takes the one seat, for a proxy
    bridge.restart(mode="provisioned")
    bridge.clock.advance(20_000)
    await bridge.identity.release("main", pooled.user_id)
    bridge.clock.advance(DAY_MS * 2)
    found = await bridge.found("2", "Bob")

    assert (found.mode, found.persona) == (mode, "Bob")
    assert len(bridge.made()) == 1 and bridge.alarms["over_budget"] == 1


@pytest.mark.parametrize(("fallback", "reason"), [("refuse", "over_budget"), ("queue", "waiting_seat")])
async def test_over_budget_without_a_stand_in_is_told_with_an_alarm(
    make_bridge: MakeBridge, fallback: str, reason: str
) -> None:
    bridge = await make_bridge(policy=msgspec.structs.replace(OPEN, budget=Budget(1, 9, 9), over_budget=fallback))
    first = await bridge.found("1")
    outcome = await bridge.ensure("2")

    assert isinstance(outcome, AgentRefused) and outcome.reason == reason and "1 of 1 seats" in outcome.text
    assert bridge.made() == [first.username] and bridge.alarms["over_budget"] == 1


async def test_the_licences_limit_is_a_limit_too(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge(licence="enterprise")
    hub = bridge.sandbox.hub
    hub.seats = sum(each.active for each in hub.users.values())
    refused = await bridge.refusal("1")
    hub.seats += 1
    found = await bridge.found("1")

    assert refused == "over_budget" and bridge.alarms["licence"] == 1
    assert found.mode == "provisioned" and seats.n_seats(bridge.database.reader, "main") == 1


async def test_approval_is_asked_for_once_and_decides(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge(policy=msgspec.structs.replace(OPEN, approval=True))
    admin = Admin(bridge.database, {"main": bridge.hub}, bridge.policy, bridge.clock)
    waiting = [await bridge.refusal(each) for each in ("1", "1", "2")]
    asked = [each[1:3] for each in seats.waiting(bridge.database.reader, "main")]
    await admin.carry_out(Decide("me", "main", [("crm", "1")]))
    await admin.carry_out(Decide("me", "main", [("crm", "2")], refuse=True))

    assert waiting == ["waiting_approval"] * 3 and bridge.alarms["approval"] == 2
    assert asked == [("crm", "1"), ("crm", "2")]
    assert (await bridge.found("1")).mode == "provisioned"
    assert await bridge.refusal("2") == "creation_off"


async def test_s2_20_each_creation_leaves_who_when_and_why(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge()
    found = await bridge.found("1")
    notes = [each for each in directory.notes(bridge.database.reader, "main") if each["action"] == "create"]

    assert [(each["external_id"], each["user_id"], each["cause"]) for each in notes] == [("1", found.user_id, "test")]
    assert notes[0]["at"] == bridge.clock.now_ms()


async def test_s2_22_an_idle_user_is_switched_off_and_woken_when_he_is_needed(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge()
    found = await bridge.found("1", departments=("sales",))
    user = bridge.user_of(found)
    bridge.clock.advance(20_000)
    await bridge.identity.release("main", found.user_id)
    bridge.clock.advance(29 * DAY_MS)
    await bridge.identity.tidy()
    after_29_days = user.active
    bridge.clock.advance(DAY_MS)
    await bridge.identity.tidy()
    after_30_days, tokens = user.active, list(user.tokens)
    again = await bridge.found("1", departments=("sales",))
    credentials = await bridge.identity.credentials("main", again.user_id)

    assert (after_29_days, after_30_days, tokens) == (True, False, [])
    assert again == found and user.active and user.is_agent and user.status_livechat == "available"
    assert found.username in bridge.members("sales")
    assert credentials and bridge.sandbox.hub.by_token[credentials.auth_token] is user


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", range(1, 5))
async def test_killed_while_one_is_switched_off_or_woken_it_goes_on(
    make_bridge: MakeBridge, step: int, after: bool
) -> None:
    """tidy: two looks at his rooms, then off. Waking: on, log-in, role."""
    bridge = await make_bridge()
    found = await bridge.found("1")
    user = bridge.user_of(found)
    bridge.clock.advance(20_000)
    await bridge.identity.release("main", found.user_id)
    bridge.clock.advance(31 * DAY_MS)
    bridge.kill_at(min(step, 3), after=after)
    with pytest.raises(Killed):
        await bridge.identity.tidy()
    bridge.restart()
    if step == 4:  # needed before the next tidying
        await bridge.found("1")
        woken = await bridge.identity.credentials("main", found.user_id)
        assert user.active and woken and bridge.sandbox.hub.by_token[woken.auth_token] is user
        return
    await bridge.identity.tidy()
    off, alarms = user.active, dict(bridge.alarms)
    bridge.kill_at(step, after=after)
    with pytest.raises(Killed):
        await bridge.found("1")
    bridge.restart()
    bridge.clock.advance(20_000)
    await bridge.identity.tidy()  # nobody needs him after all: his role goes, and his seat as well
    await bridge.identity.tidy()
    resting = (set(user.roles), user.active)
    again = await bridge.found("1")
    credentials = await bridge.identity.credentials("main", again.user_id)

    assert (off, alarms) == (False, {})
    is_woken_by_our_books = step > 1
    assert resting == ({"bot"}, is_woken_by_our_books)
    assert user.active and user.is_agent
    assert credentials and bridge.sandbox.hub.by_token[credentials.auth_token] is user


async def test_idle_user_who_serves_a_room_all_the_same_stays(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge()
    found = await bridge.found("1")
    await bridge.chat(found)
    bridge.clock.advance(31 * DAY_MS)
    await bridge.identity.tidy()

    assert bridge.user_of(found).active and bridge.user_of(found).is_agent


async def test_livechat_agent_is_held_only_while_serving(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge()
    found = await bridge.found("1", departments=("sales",))
    user, visitor = bridge.user_of(found), await bridge.chat(found)
    bridge.clock.advance(20_000)
    await bridge.identity.release("main", found.user_id)
    while_serving = user.is_agent
    await visitor.close()
    await bridge.identity.release("main", found.user_id)

    assert while_serving and user.roles == {"bot"}
    assert found.username not in bridge.members("sales")


async def test_one_chosen_a_moment_ago_keeps_the_role_until_the_take_had_time_to_arrive(
    make_bridge: MakeBridge,
) -> None:
    bridge = await make_bridge()
    found = await bridge.found("1")
    await bridge.identity.release("main", found.user_id)
    at_once = bridge.user_of(found).is_agent
    bridge.clock.advance(10_000)
    await bridge.identity.look_again()
    after_10_s = bridge.user_of(found).is_agent
    bridge.clock.advance(10_000)
    await bridge.identity.look_again()

    assert (at_once, after_10_s, bridge.user_of(found).is_agent) == (True, True, False)


async def test_a_process_that_died_leaves_nobody_with_the_role(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge()
    found = await bridge.found("1")
    bridge.restart()
    bridge.clock.advance(60_000)
    await bridge.identity.tidy()

    assert bridge.user_of(found).roles == {"bot"}


async def test_s2_32_log_ins_are_kept_sealed_and_renewed(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge()
    found = await bridge.found("1")
    first = await bridge.identity.credentials("main", found.user_id)
    kept = bridge.database.reader.execute("SELECT password, token FROM tokens").fetchone()
    same = await bridge.identity.credentials("main", found.user_id)
    bridge.clock.advance(31 * DAY_MS)
    renewed = await bridge.identity.credentials("main", found.user_id)
    user = bridge.user_of(found)

    assert first and renewed and first == same and first.auth_token != renewed.auth_token
    assert {first.auth_token, renewed.auth_token} <= set(user.tokens)
    assert user.password not in "".join(kept) and first.auth_token not in "".join(kept)
    assert all(each.startswith("k1:") for each in kept)
    assert await bridge.identity.credentials("main", bridge.user.id) is None  # not one of those that we made


async def test_a_log_in_that_was_revoked_is_renewed_once_by_however_many_ask_also_after_a_restart(
    make_bridge: MakeBridge,
) -> None:
    bridge = await make_bridge()
    found = await bridge.found("1")
    user, accounts = bridge.user_of(found), bridge.sandbox.hub.accounts
    first = await bridge.identity.credentials("main", found.user_id)
    accounts.drop_tokens(user)
    asked = [bridge.identity.credentials("main", found.user_id, first) for _ in range(20)]
    second = set(await asyncio.gather(*asked))
    logged_in = len(user.tokens)
    late = await bridge.identity.credentials("main", found.user_id, first)  # refused long ago: no reason to log in
    accounts.drop_tokens(user)
    bridge.restart()
    (known,) = second
    after_restart = await bridge.identity.credentials("main", found.user_id)
    third = await bridge.identity.credentials("main", found.user_id, after_restart)
    user.active = False
    none = await bridge.identity.credentials("main", found.user_id, third)

    assert logged_in == 1 and known and known != first and late == known == after_restart
    assert third and bridge.sandbox.hub.by_token[third.auth_token] is user
    assert none is None and bridge.alarms == {"token": 1}
    assert bridge.outcomes["login_revoked"] >= 2


@pytest.mark.parametrize("version", ["6.14", "7.7", "8.3"])
async def test_where_a_log_in_needs_a_verified_address_it_is_verified(make_bridge: MakeBridge, version: str) -> None:
    """Accounts_EmailVerification, with mailed codes for new users off; one of them was made before it was set."""
    bridge = await make_bridge(version)
    settings = bridge.sandbox.hub.settings
    settings["Accounts_TwoFactorAuthentication_By_Email_Auto_Opt_In"] = False
    before = bridge.user_of(await bridge.found("before"))
    settings["Accounts_EmailVerification"] = True
    bridge.sandbox.hub.accounts.drop_tokens(before)
    bridge.restart()
    stale = await bridge.identity.credentials("main", before.id)
    renewed = await bridge.identity.credentials("main", before.id, stale)
    after = bridge.user_of(await bridge.found("after"))
    credentials = await bridge.identity.credentials("main", after.id)

    assert renewed and credentials and before.is_verified and after.is_verified
    assert bridge.sandbox.hub.by_token[credentials.auth_token] is after
    assert bridge.sandbox.hub.by_token[renewed.auth_token] is before
    assert bridge.alarms == {} and bridge.sandbox.hub.mails == []
    assert len(bridge.made()) == 2


async def test_one_who_is_asked_for_a_mailed_code_serves_and_the_alarm_says_why(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge()
    bridge.sandbox.hub.settings["Accounts_EmailVerification"] = True
    found = await bridge.found("1")
    again = await bridge.found("1")
    credentials = await bridge.identity.credentials("main", found.user_id)
    (row,) = directory.rows(bridge.database.reader, "main")

    assert again == found and bridge.user_of(found).is_agent and credentials is None
    assert row.step == directory.READY and bridge.made() == [found.username]
    assert bridge.alarms["token"] >= 1


async def test_half_made_user_whom_an_admin_switched_off_keeps_his_seat(make_bridge: MakeBridge) -> None:
    """Before his first log-in: that is no proof that somebody else has the name."""
    bridge = await make_bridge()
    bridge.kill_at(5, after=False)
    with pytest.raises(Killed):
        await bridge.found("1")
    (row,) = directory.rows(bridge.database.reader, "main")
    bridge.sandbox.hub.users[row.user_id].active = False
    bridge.restart()
    refused = await bridge.refusal("1")
    bridge.sandbox.hub.users[row.user_id].active = True
    found = await bridge.found("1")

    assert row.step == "created" and refused == "hub_refused"
    assert found.user_id == row.user_id and len(bridge.made()) == 1


async def test_what_the_provisioner_may_not_do_is_said_and_nothing_is_half_done(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge()
    permissions = bridge.sandbox.hub.rules.permissions
    before = permissions["create-user"]
    permissions["create-user"] = frozenset({"admin"})
    outcome = await bridge.ensure("1")
    permissions["create-user"] = before
    again = await bridge.found("1")

    assert isinstance(outcome, AgentRefused) and outcome.reason == "hub_refused"
    assert "error-action-not-allowed" in outcome.text
    assert bridge.made() == [again.username] and seats.n_seats(bridge.database.reader, "main") == 1


async def test_a_user_that_was_begun_is_not_made_after_it_was_switched_off(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge()
    bridge.kill_at(4, after=False)
    with pytest.raises(Killed):
        await bridge.found("1")
    bridge.restart(creation=False)
    refused = await bridge.refusal("1")
    await bridge.identity.tidy()
    made = bridge.made()
    bridge.restart(creation=True)

    assert refused == "creation_off" and made == []
    assert (await bridge.found("1")).mode == "provisioned"


async def test_s2_10_one_who_is_offline_can_be_given_a_room_and_others_cannot(make_bridge: MakeBridge) -> None:
    """Where the workspace looks at presence, role `bot` is what lets our users serve."""
    bridge = await make_bridge()
    hub = bridge.sandbox.hub
    hub.change_setting("Livechat_enabled_when_agent_idle", False)
    found = await bridge.found("1")
    other = hub.add_user("person", "secret", {"user", "livechat-agent"}, "Person")
    bridge.user_of(found).status = other.status = "offline"
    visitor = await bridge.chat(found)

    assert hub.rooms[visitor.rid].served_by is bridge.user_of(found)
    with pytest.raises(DeliveryRejected):
        await bridge.chat(AgentFound("crm", "2", other.id, other.username, "mapped", "Person"))


async def test_what_an_external_system_tells_is_cleaned(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge()
    await bridge.found("1", "Eve\x1b[31m\u202e\nAdams", avatar_url="http://x/\x00", departments=("a\nb", ";"))
    row = directory.find(bridge.database.reader, "main", "crm", "1")

    assert row and (row.name, row.avatar_url, row.departments) == ("Eve [31m Adams", "", ("a b",))
    assert bridge.alarms["unknown_department"] == 1


async def test_a_role_that_could_not_be_taken_away_is_not_forgotten(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge()
    found = await bridge.found("1")
    permissions = bridge.sandbox.hub.rules.permissions
    before = permissions["view-livechat-manager"]
    permissions["view-livechat-manager"] = frozenset({"admin"})
    bridge.clock.advance(60_000)
    await bridge.identity.release("main", found.user_id)
    still = bridge.user_of(found).is_agent
    permissions["view-livechat-manager"] = before
    await bridge.identity.look_again()

    assert still and not bridge.user_of(found).is_agent
