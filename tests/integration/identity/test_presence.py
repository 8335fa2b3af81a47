"""Availability, both ways."""

from __future__ import annotations

from omnibridge.domain.agents import AgentPresence
from omnibridge.identity.admin import Admin
from omnibridge.identity.presence import Presence
from omnibridge.identity.requests import Link

from .conftest import MakeBridge


async def test_presence_goes_both_ways_and_no_echo_comes_back(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge()
    admin = Admin(bridge.database, {"main": bridge.hub}, bridge.policy, bridge.clock)
    await admin.carry_out(Link("me", "main", "crm", "1", "alice"))
    heard: list[AgentPresence] = []
    presence = Presence(bridge.world, {"main": bridge.hub}, heard.append)
    alice = bridge.sandbox.hub.by_name["alice"]
    await presence.look()
    at_first = list(heard)
    told = await presence.said("main", "crm", "1", False)
    away = alice.status_livechat
    await presence.look()
    after_own = list(heard)
    alice.status_livechat = "available"  # she does it herself
    await presence.look()
    await presence.look()

    assert at_first == [] and told == "set" and away == "not-available" and after_own == []
    assert heard == [AgentPresence("main", "crm", "1", True)]


async def test_a_change_while_we_were_away_is_told(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge()
    admin = Admin(bridge.database, {"main": bridge.hub}, bridge.policy, bridge.clock)
    await admin.carry_out(Link("me", "main", "crm", "1", "alice"))
    await Presence(bridge.world, {"main": bridge.hub}).said("main", "crm", "1", True)
    bridge.sandbox.hub.by_name["alice"].status_livechat = "not-available"
    heard: list[AgentPresence] = []
    await Presence(bridge.world, {"main": bridge.hub}, heard.append).look()

    assert heard == [AgentPresence("main", "crm", "1", False)]


async def test_of_one_who_rests_it_is_only_remembered(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge()
    found = await bridge.found("1")
    bridge.clock.advance(20_000)
    await bridge.identity.release("main", found.user_id)
    presence = Presence(bridge.world, {"main": bridge.hub})
    told = await presence.said("main", "crm", "1", True)
    unknown = await presence.said("main", "crm", "nobody", True)

    assert (told, unknown) == ("remembered", "unknown")
    assert bridge.user_of(found).roles == {"bot"}
