"""Each thing that can be wrong between directory and hub is found by `agents drift`, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from omnibridge.identity import drift
from omnibridge.identity.admin import Admin
from omnibridge.identity.drift import Drift
from omnibridge.identity.requests import Link
from omnibridge.sandbox.state import User
from omnibridge.storage.seats import DAY_MS

from .conftest import OPEN, Bridge, Killed, MakeBridge


async def found(bridge: Bridge, idle_days: float = 30) -> list[Drift]:
    bridge.clock.advance(1000)
    await bridge.sync()
    return drift.report(bridge.database.reader, "main", bridge.clock.now_ms(), idle_days)


async def resting(bridge: Bridge) -> User:
    """A user whom we made, and who serves nobody."""
    agent = await bridge.found("1", "Ann")
    bridge.clock.advance(20_000)
    await bridge.identity.release("main", agent.user_id)
    return bridge.user_of(agent)


@pytest.mark.parametrize(
    ("change", "kind", "text"),
    [
        (lambda user: user.roles.add("admin"), "wrong-roles", "holds admin"),
        (lambda user: user.roles.discard("bot"), "wrong-roles", "lacks bot"),
        (lambda user: user.roles.add("livechat-agent"), "wrong-roles", "rests, but holds livechat-agent"),
        (lambda user: (user.custom_fields.clear(), user.import_ids.clear()), "undeclared", "custom field is empty"),
    ],
)
async def test_user_of_ours_who_is_not_as_he_was_made(
    make_bridge: MakeBridge, change: Callable[[User], object], kind: str, text: str
) -> None:
    bridge = await make_bridge()
    user = await resting(bridge)
    before = await found(bridge)
    change(user)
    (one,) = await found(bridge)

    assert before == []
    assert (one.kind, one.who) == (kind, user.username) and text in one.text


async def test_user_of_ours_who_was_deleted_is_an_orphan_in_directory_and_seats(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge()
    user = await resting(bridge)
    accounts = bridge.sandbox.hub.accounts
    accounts.remove(user)
    orphans = await found(bridge)

    assert sorted((each.kind, each.who) for each in orphans) == [("orphan", user.username), ("orphan", "crm:1")]


async def test_mapped_person_who_left(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge()
    ann = bridge.sandbox.hub.add_user("ann", "secret", {"user"}, "Ann")
    admin = Admin(bridge.database, {"main": bridge.hub}, bridge.policy, bridge.clock)
    await admin.carry_out(Link("me", "main", "crm", "1", "ann"))
    before = await found(bridge)
    ann.active = False
    (off,) = await found(bridge)
    bridge.sandbox.hub.accounts.remove(ann)
    (gone,) = await found(bridge)

    assert before == []
    assert (off.kind, off.who) == ("deactivated", "crm:1")
    assert (gone.kind, gone.who) == ("orphan", "crm:1")


async def test_seat_that_nobody_uses(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge(policy=msgspec.structs.replace(OPEN, idle_days=0))
    user = await resting(bridge)
    bridge.clock.advance(31 * DAY_MS)
    (unused,) = await found(bridge)

    assert (unused.kind, unused.who) == ("unused", user.username)
    assert await found(bridge, idle_days=0) == []


async def test_user_that_was_begun_and_left(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge()
    bridge.kill_at(5, after=False)
    with pytest.raises(Killed):
        await bridge.found("1")
    bridge.restart()
    (half,) = await found(bridge)
    await bridge.identity.tidy()

    assert (half.kind, half.who) == ("half-made", "crm:1")
    assert await found(bridge) == []


@pytest.mark.parametrize("setting", ["", '{"other": {"type": "text"}}', "{no JSON"])
async def test_declaration_that_is_missing_is_told_before_anybody_is_made(
    make_bridge: MakeBridge, setting: str
) -> None:
    bridge = await make_bridge()
    before = await found(bridge)
    bridge.sandbox.hub.rules.permissions["view-privileged-setting"] |= {"provisioner"}
    declared = await found(bridge)
    bridge.sandbox.hub.settings["Accounts_CustomFields"] = setting
    (one,) = await found(bridge)

    assert before == declared == []
    assert (one.kind, one.who) == ("undeclared", "Accounts_CustomFields")
