"""We ask who serves: answers, tickets, faults, and what the visitor's room becomes."""

from __future__ import annotations

import asyncio
import time

import pytest
from standardwebhooks import Webhook

from omnibridge.connector.signing import check_signature, read_secrets, signed_headers
from tests.integration.assignment.conftest import SECRET, MakeDecided


async def test_s2_05_external_system_decides_who_serves(make_decided: MakeDecided) -> None:
    world = await make_decided()
    visitor = await world.visitor("Vera", customFields=[])
    await world.served(visitor.rid, "alice")
    await world.quiet()

    assert [each["external_id"] for each in world.router.decisions] == ["0055"]
    question = world.router.questions[0]
    assert question["facts"]["visitor_name"] == "Vera"
    assert question["conversation"] == visitor.rid
    await world.alice.close(visitor.rid)
    await world.until(visitor.rid, "closed by")
    await world.quiet()
    assert world.rows("SELECT count(*) FROM deliveries WHERE command = 'ReleaseAgent' AND state = 1") == [(1,)]


@pytest.mark.parametrize("listens_ms", [0, 900])
async def test_room_is_given_when_the_visitors_widget_listens(make_decided: MakeDecided, listens_ms: int) -> None:
    """The question is asked at once all the same."""
    world = await make_decided(assignment=f"widget_listens_ms = {listens_ms}")
    visitor = await world.visitor()
    room = world.sandbox.hub.rooms[visitor.rid]
    await world.served(visitor.rid, "alice")

    assert (room.served_at - room.ts >= 900) is bool(listens_ms)
    assert len(world.router.decisions) == 1


async def test_who_takes_the_visitor_by_hand_while_the_widget_is_waited_for(make_decided: MakeDecided) -> None:
    world = await make_decided(agents={"0055": "alice", "0066": "bob"}, assignment="widget_listens_ms = 1500")
    world.router.agents = {"": ["0066"]}
    visitor = await world.visitor()
    await world.until(visitor.rid, "is bob")
    await world.alice.take(visitor.rid)
    await world.until(visitor.rid, "alice")
    await world.quiet()

    assert (await world.room(visitor.rid))["served_by"] == "alice"
    assert [each["what"] for each in world.sandbox.hub.rooms[visitor.rid].log].count("assigned") == 1


async def test_who_takes_the_visitor_by_hand_while_the_move_is_tried_again(make_decided: MakeDecided) -> None:
    """He keeps him: a move that was decided before, and waits for another attempt, is not made any more."""
    world = await make_decided(agents={"0055": "alice", "0066": "bob"}, assignment="widget_listens_ms = 0")
    world.router.agents = {"": ["0066"]}
    await world.hub.control(fail_next=[{"path": "livechat/inquiries.take", "status": 503, "count": 1}])
    visitor = await world.visitor()
    retried = "SELECT count(*) FROM deliveries WHERE command = 'AssignAgent' AND attempts = 1 AND state = 0"
    async with asyncio.timeout(30):
        while not world.rows(retried)[0][0]:
            await asyncio.sleep(0.01)
    await world.alice.take(visitor.rid)
    await world.until(visitor.rid, "alice")
    await world.quiet()

    assert (await world.room(visitor.rid))["served_by"] == "alice"
    assert [each["what"] for each in world.sandbox.hub.rooms[visitor.rid].log].count("assigned") == 1


def test_question_verifies_with_the_standards_own_library() -> None:
    body, keys, now = b'{"a":1}', read_secrets(SECRET), int(time.time())
    headers = signed_headers(keys, "dec_1", now, body)

    Webhook(SECRET).verify(body, headers)
    assert check_signature(keys, headers, body, now) == "dec_1"
    for wrong in ({**headers, "webhook-signature": "v1,AAAA"}, {**headers, "webhook-id": "x"}, {}):
        with pytest.raises(ValueError, match=r"webhook|signature"):
            check_signature(keys, wrong, body, now)
    with pytest.raises(ValueError, match="clocks"):
        check_signature(keys, headers, body, now + 301)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"mode": "garbage"}, "names nobody (unreadable)"),
        ({"mode": "error"}, "did not answer (decider-http-400)"),
        ({"mode": "nobody"}, "names nobody (no-agent)"),
        ({"delay_ms": 5000}, "did not answer (decider-timeout)"),
        ({"fail_next": 99}, "did not answer (decider-http-500)"),
    ],
)
async def test_s2_05_faults_lead_to_people_by_the_ladder(
    make_decided: MakeDecided, fault: dict[str, object], words: str
) -> None:
    world = await make_decided(decider="timeout_ms = 400")
    for key, value in fault.items():
        setattr(world.router, key, value)
    visitor = await world.visitor()
    assert "people are looked for" in await world.until(visitor.rid, words)
    await world.served(visitor.rid, "alice")


async def test_s2_05_unknown_agent_is_excluded_and_the_router_asked_again(make_decided: MakeDecided) -> None:
    world = await make_decided(agents={"0055": "alice", "0066": "bob"})
    world.router.agents = {"": ["ghost", "0066"]}
    visitor = await world.visitor()
    await world.served(visitor.rid, "bob")

    assert [each["excluded"] for each in world.router.questions] == [[], ["ghost"]]
    assert "no user for crm:ghost (creation_off)" in " ".join(world.reasons(visitor.rid))


async def test_agent_who_is_offline_is_shown_and_the_next_one_asked_for(make_decided: MakeDecided) -> None:
    world = await make_decided(agents={"0055": "alice", "0066": "bob"})
    world.router.agents = {"": ["0055", "0066"]}
    await world.hub.control(available={"alice": False})
    visitor = await world.visitor()
    await world.served(visitor.rid, "bob")

    assert "the hub refused alice: offline" in await world.until(visitor.rid, "refused alice")


@pytest.mark.parametrize(
    ("code", "name", "times"),
    [
        ("error-max-number-simultaneous-chats-reached", "limit", 1),
        ("error-agent-is-locked", "locked", 4),  # tried until the time is over
        ("error-user-not-belong-to-department", "not in department", 1),
        ("error-mac-limit-reached", "limit", 1),
    ],
)
async def test_refusal_by_the_hub_is_shown_by_its_class(
    make_decided: MakeDecided, code: str, name: str, times: int
) -> None:
    world = await make_decided(
        agents={"0055": "alice", "0066": "bob"},
        decider="move_timeout_ms = 1000",
        engine="bot_turn_deadline_s = 0.1",  # as long as nothing is given up after a start
    )
    world.router.agents = {"": ["0055", "0066"]}
    await world.hub.control(
        fail_next=[{"path": "livechat/inquiries.take", "status": 400, "code": code, "count": times}]
    )
    visitor = await world.visitor()
    found = await world.until(visitor.rid, "the hub refused alice")

    assert found == f"the hub refused alice: {name}: crm is asked again"
    await world.served(visitor.rid, "bob")


async def test_question_under_way_at_a_stop_is_asked_again_under_its_id(make_decided: MakeDecided) -> None:
    world = await make_decided()
    world.router.delay_ms = 400
    visitor = await world.visitor()
    async with asyncio.timeout(30):
        while not world.router.questions:
            await asyncio.sleep(0.01)
    world.router.delay_ms = 0
    await world.restart()
    await world.served(visitor.rid, "alice")

    assert len({each["id"] for each in world.router.questions}) == 1
    assert len(world.router.decisions) == 1


async def test_short_fault_is_asked_again_within_the_time(make_decided: MakeDecided) -> None:
    world = await make_decided()
    world.router.fail_next = 1
    visitor = await world.visitor()
    await world.served(visitor.rid, "alice")

    assert len({each["id"] for each in world.router.questions}) == 1
    assert len(world.router.questions) == 2
    assert len(world.router.decisions) == 1


async def test_ticket_is_answered_later(make_decided: MakeDecided) -> None:
    world = await make_decided()
    world.router.mode, world.router.callback_ms = "ticket", 100
    visitor = await world.visitor()
    await world.served(visitor.rid, "alice")

    assert world.router.callbacks == [200]
    question, decision = world.router.questions[0], world.router.decisions[0]
    late = {"external_id": "0055", "ticket": decision["ticket"]}
    post = world.router.post_back
    assert await post(question["callback"], late, "again") == 200  # recorded; changes nothing
    assert await post(question["callback"], late, "again") == 200
    assert await post(question["callback"], late, secret=SECRET.replace("MDEy", "MDEz")) == 401
    assert await post(question["callback"], {"external_id": "0055"}) == 422
    assert await post("/deciders/crm/decisions/00", late) == 404
    assert await post("/deciders/other/decisions/00", late) == 404
    await world.until(visitor.rid, "which nobody waits for any more")
    assert sum("nobody waits" in each for each in world.reasons(visitor.rid)) == 1


async def test_ticket_that_is_late_is_given_up_and_its_answer_changes_nothing(make_decided: MakeDecided) -> None:
    world = await make_decided(
        decider='ticket_timeout_ms = 200\non_timeout = "queue"', agents={"0055": "alice", "0066": "bob"}
    )
    world.router.mode, world.router.callback_ms = "ticket", 600
    visitor = await world.visitor()
    await world.until(visitor.rid, "did not decide in time")
    await world.until(visitor.rid, "which nobody waits for any more")
    await world.quiet()

    assert (await world.room(visitor.rid))["served_by"] is None
    assert [each["reason"] for each in world.router.cancelled] == ["crm did not decide in time"]


@pytest.mark.parametrize("ended_by", ["taken", "closed"])
async def test_ticket_is_cancelled_when_it_is_not_needed_any_more(make_decided: MakeDecided, ended_by: str) -> None:
    world = await make_decided()
    world.router.mode, world.router.callback_ms = "ticket", 60_000
    visitor = await world.visitor()
    await world.until(visitor.rid, "decides within")
    if ended_by == "taken":
        await world.alice.take(visitor.rid)
        await world.until(visitor.rid, "alice took over")
    else:
        await visitor.close()
        await world.until(visitor.rid, "closed by")
    await world.quiet()

    assert [each["ticket"] for each in world.router.cancelled] == [world.router.decisions[0]["ticket"]]
    assert world.rows("SELECT state, code FROM deliveries WHERE command = 'StartTimer'") == [(2, "control-changed")]


async def test_ticket_survives_a_restart(make_decided: MakeDecided) -> None:
    world = await make_decided(decider='ticket_timeout_ms = 700\non_timeout = "queue"')
    world.router.mode, world.router.callback_ms = "ticket", 60_000
    visitor = await world.visitor()
    await world.until(visitor.rid, "decides within")
    await world.restart()

    await world.until(visitor.rid, "did not decide in time")


async def test_bot_that_gives_way_asks_and_gets_the_room_back(make_decided: MakeDecided) -> None:
    world = await make_decided(
        bot=True, rules='[handover]\ndecider = "crm"', decider='on_timeout = "bot"\ntimeout_ms = 400'
    )
    world.router.mode = "nobody"
    visitor = await world.visitor()
    await visitor.wait_event("assigned", "bot")
    await visitor.say("talk to a human")
    await world.until(visitor.rid, "the bot stays")
    world.router.mode = "agent"
    await visitor.say("talk to a human")
    await world.served(visitor.rid, "alice")
    await world.quiet()

    assert [each["reason"] for each in world.router.questions] == ["helper asked for a person"] * 2


async def test_many_at_once_ask_each_only_once(make_decided: MakeDecided) -> None:
    world = await make_decided()
    visitors = await asyncio.gather(*(world.visitor(f"V{n}") for n in range(20)))
    await asyncio.gather(*(world.served(each.rid, "alice") for each in visitors))

    assert sorted(each["conversation"] for each in world.router.decisions) == sorted(each.rid for each in visitors)
