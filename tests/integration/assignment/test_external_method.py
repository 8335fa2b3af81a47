"""Rocket.Chat's routing method `External`: the holding bot, and the decision behind it."""

from __future__ import annotations

from omnibridge.config_reader import load
from omnibridge.doctor.run import examine
from omnibridge.operator.replay import Replay
from tests.integration.assignment.conftest import HUB_TOKEN, MakeDecided
from tests.soak.external import AGENTS, DEPARTMENTS, play


async def test_endpoint_names_the_holding_bot_and_needs_the_token(make_decided: MakeDecided) -> None:
    world = await make_decided(external=True)
    ask = world.request

    right = {"X-RocketChat-Secret-Token": HUB_TOKEN}

    assert await ask("GET", "/external/main", **right) == (200, {"username": "holding"})
    for path, headers, status in (
        ("/external/main", {}, 401),
        ("/external/main", {"X-RocketChat-Secret-Token": "wrong"}, 401),
        ("/external/other", right, 404),
    ):
        found, body = await ask("GET", path, **headers)
        assert found == status
        assert "username" not in body
    assert (await ask("POST", "/external/main", **right))[0] == 405


async def test_ignore_agent_id_changes_nothing_for_the_holding_bot_is_nobody(make_decided: MakeDecided) -> None:
    """Whoever it names, the holding bot itself included: without an answer the visitor would wait unseen (7.3)."""
    world = await make_decided(external=True, departments={"sales": ["alice", "holding"]})
    right, hub = {"X-RocketChat-Secret-Token": HUB_TOKEN}, world.sandbox.hub
    sales = next(iter(hub.departments))
    for ignored in (hub.by_name["alice"].id, hub.by_name["holding"].id, "nobody-we-know"):
        for path in (f"/external/main?ignoreAgentId={ignored}",
                     f"/external/main?departmentId={sales}&ignoreAgentId={ignored}"):  # fmt: skip
            assert await world.request("GET", path, **right) == (200, {"username": "holding"})


async def test_doctor_knows_that_we_answer_the_method(make_decided: MakeDecided) -> None:
    world = await make_decided(external=True)
    findings = await examine(load(world.folder / "omnibridge.toml", {}))
    routing = next(each for each in findings if each.check == "routing")

    assert (routing.status, routing.found[:44]) == ("ok", "External Service: answered with holding; our")


async def test_held_conversation_is_decided_and_decided_again_when_it_comes_back(make_decided: MakeDecided) -> None:
    world = await make_decided(external=True, agents={"0055": "alice", "0066": "bob"})
    visitor = await world.visitor()
    await world.served(visitor.rid, "alice")
    await world.until(visitor.rid, "alice")
    await world.quiet()
    world.router.agents = {"": ["0066"]}
    await world.alice.post("livechat/inquiries.returnAsInquiry", {"roomId": visitor.rid})
    await world.served(visitor.rid, "bob")
    await world.quiet()

    assert [each["external_id"] for each in world.router.decisions] == ["0055", "0066"]
    assert any("sends what nobody serves to decider:crm" in each for each in world.reasons(visitor.rid))
    bursts = world.sandbox.life.external.ledger
    assert all(each["answers"] == ["holding"] * 10 for each in bursts)


async def test_held_conversation_is_decided_again_until_somebody_is_there(make_decided: MakeDecided) -> None:
    world = await make_decided(external=True, assignment="look_again_s = 0.2")
    world.router.mode = "nobody"
    await world.hub.control(available={"alice": False, "bot": False})
    visitor = await world.visitor()
    await world.until(visitor.rid, "sends what nobody serves yet to decider:crm")
    await world.hub.control(available={"alice": True})
    world.router.mode = "agent"

    await world.served(visitor.rid, "alice")


async def test_holding_bot_gives_way_to_a_bot_that_the_rules_name(make_decided: MakeDecided) -> None:
    world = await make_decided(external=True, bot=True, rules='default = "bot:helper"\n[handover]\ndecider = "crm"')
    visitor = await world.visitor()
    await world.served(visitor.rid, "bot")
    await visitor.say("echo hello")
    await visitor.wait_for("bot", 1)
    await visitor.say("talk to a human")
    await world.served(visitor.rid, "alice")


async def test_hundred_chats_are_decided_once_each_and_served_as_decided(make_decided: MakeDecided) -> None:
    """In five departments, by pairs; half of them wait first, and the worker asks for some that are being decided."""
    world = await make_decided(
        external=True, agents=AGENTS, departments={each: ["alice", "holding"] for each in DEPARTMENTS}
    )
    result = await play(world, chats=100, seconds=3, worker_ms=40, router_ms=60)

    assert result.wrong == []
    assert result.decisions / result.chats == 1.0
    assert result.held_meanwhile > 0
    database = world.node.service._database
    assert database
    report = Replay(database.reader).run()
    assert (report.differing, report.is_clean) == (0, True)
