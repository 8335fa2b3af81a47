"""Moves, cuts, refusals, a service that is down: nothing is lost, doubled or out of order, and no poll is doubled."""

from __future__ import annotations

from typing import Any

import pytest

import connectors.salesforce_live_agent.chat as chat_module
import connectors.salesforce_live_agent.follow as follow_module
from tests.conftest import until
from tests.connectors.salesforce.relays import ALEX, BEA, MakeRelay
from tests.integration.test_desks import control


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again soon: the pause is not what these tests are about."""
    monkeypatch.setattr(chat_module, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(follow_module, "FIRST_PAUSE_S", 0.02)


@pytest.mark.parametrize("options", [{}, {"resend": "grown", "double": True}, {"reconnect_replays": True}])
async def test_server_moves_before_each_message(make_relay: MakeRelay, options: dict[str, Any]) -> None:
    relay = await make_relay()
    relay.sf.wish({"options": options})
    visitor = await relay.with_agent()
    told = await relay.exchange(visitor, before=lambda: relay.sf.wish({"move_all": True}))
    relay.sf.wish({"move_all": True})
    relay.desk.transfer(relay.chat, BEA, "Bea Boss")
    relay.desk.say(relay.chat, "Bea here.")
    await relay.until(lambda: "Bea here." in relay.words(visitor))

    assert relay.agents_words(visitor) == told
    assert relay.heard() == ["v0", "v1", "v2", "v3"]
    assert {name for name, text in relay.seen(visitor) if text in told} == {"Alex Agent"}
    assert relay.counts["moves"] == 5


FAILURES: list[dict[str, Any]] = [
    {"on": "post", "status": 503},
    {"on": "post", "status": 500},
    {"on": "post", "status": 500, "after_effect": True},
    {"on": "post", "cut": True},
    {"on": "post", "cut": True, "after_effect": True},
    {"on": "poll", "status": 500},
    {"on": "poll", "cut": True},
    {"on": "poll", "cut": True, "after_effect": True},
    {"on": "poll", "status": 204},
]


async def test_request_that_fails_once_loses_and_doubles_nothing(make_relay: MakeRelay) -> None:
    """Each in turn, in one chat; test_steps.py has each request of a chat, without an engine."""
    relay = await make_relay()
    visitor = await relay.with_agent()
    for failure in FAILURES:
        relay.sf.wish({"fail_next": [failure]})
        begin = len(relay.heard())
        for at in range(begin, begin + 3):
            await visitor.say(f"v{at}")
            relay.desk.say(relay.chat, f"a{at}")
        await relay.until(lambda at=at: f"v{at}" in relay.heard() and f"a{at}" in relay.words(visitor))
        assert not relay.sf.faults.waiting, failure
        assert relay.heard() == [f"v{each}" for each in range(at + 1)], failure
        assert relay.agents_words(visitor) == [f"a{each}" for each in range(at + 1)], failure

    assert len(relay.sf.service.sessions) == 1


async def test_move_in_the_middle_of_a_message_that_arrived(make_relay: MakeRelay) -> None:
    relay = await make_relay()
    visitor = await relay.with_agent()
    relay.sf.wish({"fail_next": [{"on": "post", "cut": True, "after_effect": True}]})
    await visitor.say("v0")
    await until(lambda: "v0" in relay.heard())
    relay.sf.wish({"move_all": True})
    await visitor.say("v1")
    await relay.until(lambda: "v1" in relay.heard())

    assert relay.heard() == ["v0", "v1"]


async def test_nobody_online_is_a_decline_at_once(make_relay: MakeRelay) -> None:
    relay = await make_relay(settings='on_declined = "bot"')
    relay.sf.wish({"options": {"online": False}})
    visitor = await relay.handed_over(waits=False)
    await relay.until(lambda: control(relay.world) == "connection:helper")
    await visitor.say("echo back")
    await relay.until(lambda: "back" in relay.words(visitor))

    assert relay.sf.service.sessions == {}


async def test_refused_after_it_was_queued(make_relay: MakeRelay) -> None:
    relay = await make_relay(settings='on_declined = "bot"')
    visitor = await relay.handed_over()
    await visitor.say("echo kept")
    relay.desk.fail(relay.chat)
    await relay.until(lambda: "kept" in relay.words(visitor))

    assert control(relay.world) == "connection:helper"


async def test_end_before_anybody_accepted_is_a_decline(make_relay: MakeRelay) -> None:
    relay = await make_relay(settings='on_declined = "bot"')
    await relay.handed_over()
    relay.desk.end(relay.chat, "agentsUnavailable")
    await relay.until(lambda: control(relay.world) == "connection:helper")


async def test_end_later_is_the_end_of_the_desk(make_relay: MakeRelay) -> None:
    relay = await make_relay(settings='on_left = "bot"')
    visitor = await relay.with_agent()
    relay.desk.say(relay.chat, "a0")
    relay.desk.end(relay.chat, "unknown")
    await relay.until(lambda: control(relay.world) == "connection:helper")

    assert relay.agents_words(visitor) == ["a0"]


async def test_session_that_is_gone_ends_the_desk(make_relay: MakeRelay) -> None:
    relay = await make_relay(settings='on_left = "bot"')
    visitor = await relay.with_agent()
    relay.sf.wish({"fail_next": [{"on": "poll", "status": 403}]})
    await relay.until(lambda: control(relay.world) == "connection:helper")
    await visitor.say("echo back")
    await relay.until(lambda: "back" in relay.words(visitor))


async def test_lost_before_anybody_accepted_is_begun_anew(make_relay: MakeRelay) -> None:
    relay = await make_relay()
    visitor = await relay.handed_over()
    await visitor.say("v0")
    relay.desk.kill(relay.chat)
    await until(lambda: relay.desk.waiting())
    relay.desk.accept(relay.chat, ALEX, "Alex Agent")
    await relay.until(lambda: "v0" in relay.heard())

    assert len(relay.sf.service.sessions) == 2
    assert sum(each["text"].startswith("Conversation so far:") for each in relay.of_kind("message")) == 1


async def test_lost_too_often_is_a_decline(make_relay: MakeRelay) -> None:
    relay = await make_relay(settings='on_declined = "bot"\nrestarts = 1')
    await relay.handed_over()
    first = relay.chat
    relay.desk.kill(first)
    await until(lambda: relay.chat != first and relay.desk.waiting())
    relay.desk.kill(relay.chat)
    await relay.until(lambda: control(relay.world) == "connection:helper")

    assert len(relay.sf.service.sessions) == 2


async def test_service_that_is_down_gets_everything_in_order_when_it_is_back(make_relay: MakeRelay) -> None:
    relay = await make_relay(settings="trouble_s = 0.3", engine="breaker_open_s = 0.2")
    visitor = await relay.with_agent()
    relay.sf.wish({"down": True})
    for at in range(5):
        await visitor.say(f"v{at}")
    await until(lambda: any("is interrupted" in each for each in relay.words(visitor)))
    relay.sf.wish({"down": False})
    relay.desk.say(relay.chat, "a0")
    await relay.until(lambda: "v4" in relay.heard() and "The connection is back." in relay.words(visitor))

    assert relay.heard() == [f"v{at}" for at in range(5)]
    assert relay.agents_words(visitor) == ["a0"]
    assert sum("is interrupted" in each for each in relay.words(visitor)) == 1


async def test_poll_that_waits_after_a_failed_one_is_an_answer(
    make_relay: MakeRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody says anything, so it would be answered after 40 s."""
    monkeypatch.setattr(chat_module, "STEADY_S", 0.6)
    relay = await make_relay(settings="trouble_s = 0.1")
    visitor = await relay.with_agent()
    relay.sf.wish({"fail_next": [{"on": "poll", "status": 500}]})
    relay.desk.say(relay.chat, "a0")  # the poll that waits is answered, and the next one fails
    await until(lambda: "The connection is back." in relay.words(visitor))

    assert sum("is interrupted" in each for each in relay.words(visitor)) == 1
    assert relay.session().poll is not None


async def test_down_for_longer_than_the_session_lives_ends_the_desk(make_relay: MakeRelay) -> None:
    relay = await make_relay(settings='on_left = "bot"', engine="breaker_open_s = 0.2")
    visitor = await relay.with_agent()
    relay.sf.wish({"down": True})
    await visitor.say("echo not lost")
    failed = "SELECT 1 FROM deliveries WHERE command = 'SendToParty' AND state = 0 AND attempts > 0"
    await until(lambda: relay.world.rows(failed) and relay.session().poll is None)
    relay.sf.wish({"advance_s": 1800})
    relay.sf.wish({"down": False})
    await relay.until(lambda: "not lost" in relay.words(visitor))

    assert control(relay.world) == "connection:helper"


async def test_down_while_it_is_offered(make_relay: MakeRelay) -> None:
    relay = await make_relay(engine="breaker_open_s = 0.2")
    relay.sf.wish({"fail_next": [{"on": "post", "cut": True, "after_effect": True}, {"on": "visitor", "status": 500}]})
    await relay.handed_over()
    relay.desk.accept(relay.chat, ALEX, "Alex Agent")
    await relay.until(lambda: relay.of_kind("message"))

    assert len(relay.of_kind("request")) == 1


async def test_agent_who_drops_gives_way_to_another_one(make_relay: MakeRelay) -> None:
    relay = await make_relay()
    visitor = await relay.with_agent()
    relay.desk.disconnect(relay.chat)
    await relay.until(lambda: any("another agent in a moment" in each for each in relay.words(visitor)))
    await visitor.say("v0")
    relay.desk.accept(relay.chat, BEA, "Bea Boss")
    relay.desk.say(relay.chat, "a0")
    await relay.until(lambda: "v0" in relay.heard() and ("Bea Boss", "a0") in relay.seen(visitor))

    assert relay.heard() == ["v0"]


async def test_visitor_who_closes_ends_the_chat(make_relay: MakeRelay) -> None:
    relay = await make_relay()
    visitor = await relay.with_agent()
    await visitor.close()
    await relay.until(lambda: relay.of_kind("end"))

    assert relay.of_kind("end")[0]["reason"] == "client"


async def test_agent_who_is_still_told_what_was_said_gets_what_the_visitor_wrote_before_he_closed(
    make_relay: MakeRelay,
) -> None:
    relay = await make_relay()
    visitor = await relay.handed_over()
    relay.sf.wish({"fail_next": [{"on": "post", "status": 500, "count": 7}]})
    relay.desk.accept(relay.chat, ALEX, "Alex Agent")
    relay.desk.say(relay.chat, "Hello, I am Alex.")
    await relay.until(lambda: "Hello, I am Alex." in relay.words(visitor))
    await visitor.say("v0")
    await relay.world.hub.settled()  # else the close may overtake it
    await visitor.close()
    await relay.until(lambda: relay.of_kind("end"))

    assert relay.heard() == ["v0"]


@pytest.mark.parametrize("move", ["before", "with it", "after effect"])
async def test_visitor_who_closes_while_the_server_moves_ends_the_chat_once(make_relay: MakeRelay, move: str) -> None:
    """Nobody polls any more who would reconnect it."""
    relay = await make_relay()
    visitor = await relay.with_agent()
    if move == "before":
        relay.sf.wish({"fail_next": [{"on": "reconnect", "status": 500}], "move_all": True})
    else:
        relay.sf.wish({"fail_next": [{"on": "post", "status": 503, "after_effect": move != "with it"}]})
    await visitor.close()
    await relay.until(lambda: not relay.world.rows("SELECT 1 FROM desk_sessions"))

    assert len(relay.of_kind("end")) == 1


async def test_visitor_who_closes_while_the_session_moves_ends_the_chat_too(make_relay: MakeRelay) -> None:
    relay = await make_relay()
    visitor = await relay.with_agent()
    relay.sf.wish({"fail_next": [{"on": "reconnect", "status": 500, "count": 4}], "move_all": True})
    await until(lambda: not relay.sf.faults.waiting or relay.sf.faults.waiting[0].count < 4)
    await visitor.close()
    await relay.until(lambda: relay.of_kind("end"))

    assert [each["reason"] for each in relay.of_kind("end")] == ["client"]
    assert not relay.of_kind("left")


async def test_end_that_a_move_swallowed_is_told_again(make_relay: MakeRelay) -> None:
    relay = await make_relay()
    visitor = await relay.with_agent()
    relay.session().affinity = "elsewhere"  # only who asks anew is told so: the poll goes on waiting
    await visitor.close()
    await relay.until(lambda: relay.of_kind("end"))

    assert [each["reason"] for each in relay.of_kind("end")] == ["client"]


@pytest.mark.parametrize("agent", [True, False])
async def test_visitor_may_close_when_the_session_is_gone(make_relay: MakeRelay, agent: bool) -> None:
    relay = await make_relay(settings="restarts = 0")
    visitor = await (relay.with_agent() if agent else relay.handed_over())
    relay.sf.wish({"fail_next": [{"on": "poll", "status": 500, "count": 1000}]})
    relay.desk.kill(relay.chat)
    await visitor.close()
    await relay.until(lambda: not relay.world.rows("SELECT 1 FROM desk_sessions"))

    assert relay.of_kind("end") == []


async def test_visitor_who_closes_while_words_are_pending_and_nobody_is_there(make_relay: MakeRelay) -> None:
    relay = await make_relay()
    visitor = await relay.with_agent()
    relay.sf.wish({"fail_next": [{"on": "post", "cut": True, "count": 2}]})
    await visitor.say("v0")
    await relay.world.hub.settled()
    relay.desk.disconnect(relay.chat)
    await visitor.close()
    await relay.until(lambda: not relay.world.rows("SELECT 1 FROM desk_sessions"))

    assert relay.session().is_dead or relay.of_kind("end")


async def test_restart_after_the_session_expired_tells_and_goes_on(make_relay: MakeRelay) -> None:
    relay = await make_relay(settings='on_left = "bot"')
    visitor = await relay.with_agent()
    await relay.world.node.stop()
    await until(lambda: relay.session().poll is None)
    relay.sf.wish({"advance_s": 1800})
    await relay.world.begin()
    await relay.until(lambda: control(relay.world) == "connection:helper")
    await visitor.say("echo back")
    await relay.until(lambda: "back" in relay.words(visitor))


async def test_idle_visitor_is_warned_then_the_chat_ends(make_relay: MakeRelay) -> None:
    relay = await make_relay(settings='on_left = "bot"')
    relay.sf.wish({"options": {"idle": {"isEnabled": True, "warningTime": 0.6, "timeout": 1.2}}})
    visitor = await relay.with_agent()
    await until(lambda: any("still there?" in each for each in relay.words(visitor)))
    await visitor.say("v0")
    await until(lambda: "v0" in relay.heard())
    relay.desk.say(relay.chat, "a0")
    await relay.until(lambda: control(relay.world) == "connection:helper")

    events = [each["event"] for each in relay.of_kind("idle_warning")]
    assert events == ["triggered", "cleared", "triggered"]
    assert relay.of_kind("end")[0]["reason"] == "clientIdleTimeout"


async def test_message_that_cannot_be_read_keeps_no_other_from_the_visitor(make_relay: MakeRelay) -> None:
    relay = await make_relay()
    visitor = await relay.with_agent()
    relay.sf.wish({"options": {"paused": True}})
    relay.desk.say(relay.chat, "a0")
    relay.desk.push(relay.chat, "ChatMessage", text=7)
    relay.desk.push(relay.chat, "Novelty", text="x")
    relay.desk.custom_event(relay.chat, "kind", "data")
    relay.desk.say(relay.chat, "a1")
    relay.sf.wish({"options": {"paused": False}})
    await until(lambda: "a1" in relay.words(visitor))

    assert relay.agents_words(visitor) == ["a0", "a1"]
    assert relay.world.node.service.counters.value("observations_quarantined") == 1


async def test_file_goes_to_an_agent_who_asked_and_else_as_a_link(make_relay: MakeRelay) -> None:
    relay = await make_relay()
    visitor = await relay.with_agent()
    await relay.world.upload(visitor, "photo.png", b"\x89PNG one", "image/png")
    await relay.until(lambda: relay.heard())
    assert relay.heard()[0].startswith("photo.png: http")
    relay.desk.request_file(relay.chat)
    await relay.until(lambda: "The agent asks you to send a file." in relay.words(visitor))
    await relay.world.upload(visitor, "photo.png", b"\x89PNG two", "image/png")
    await relay.until(lambda: relay.of_kind("file"))

    ((name, _, data),) = relay.sf.service.files.values()
    assert (name, data) == ("photo.png", b"\x89PNG two")
    assert len(relay.heard()) == 1
