"""Every message of the long poll (reference 1.8) and every status (1.3), as the visitor and Salesforce notice it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

import connectors.salesforce_live_agent.chat as chat_module
import connectors.salesforce_live_agent.follow as follow_module
from connectors.salesforce_live_agent.client import LiveAgent, normalised
from connectors.salesforce_live_agent.simulated.service import END_REASONS, FAIL_REASONS
from omnibridge.connector import Custom, Handover, Reply, Text
from omnibridge.connector.desks import Accepted, Declined, Left, Queued
from tests.conftest import until
from tests.connectors.salesforce.relays import ALEX, BEA, MakeRelay
from tests.connectors.salesforce_live_agent.alone import Alone, alone
from tests.connectors.salesforce_live_agent.services import at_other_address, service
from tests.integration.test_desks import control
from tests.scripted import ScriptedBot

CARLA = "005SM0000001Car"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_module, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(follow_module, "FIRST_PAUSE_S", 0.02)


class Case(NamedTuple):
    """kind: of the message. do: what makes the service tell it. holds: what has to be seen then."""

    kind: str
    do: Callable[[Alone], Any]
    holds: Callable[[Alone], Any]
    accepted: bool = True


def agents(one: Alone) -> list[str]:
    return [each.agent.name for each in one.session.events if isinstance(each, Accepted) and each.agent]


def count(one: Alone, name: str) -> int:
    return one.context.counts[name]


CASES = [
    Case("ChatRequestSuccess", lambda o: None, lambda o: o.session.events == [Queued(1, -1)], False),
    Case(
        "QueueUpdate",
        lambda o: o.desk.queue_position(o.sid, 3, 90),
        lambda o: o.session.events[-1] == Queued(3, 90),
        False,
    ),
    Case(
        "ChatRequestFail",
        lambda o: o.desk.fail(o.sid, "Unavailable"),
        lambda o: o.session.events[-1] == Declined("no-agents", "Unavailable"),
        False,
    ),
    Case("ChatEstablished", lambda o: None, lambda o: agents(o) == ["Alex Agent"]),
    Case("ChatMessage", lambda o: o.desk.say(o.sid, "a &gt; b"), lambda o: o.words() == [("Alex Agent", "a > b")]),
    Case("AgentTyping", lambda o: o.desk.typing(o.sid), lambda o: o.session.typed == [True]),
    Case(
        "AgentNotTyping",
        lambda o: (o.desk.typing(o.sid), o.desk.typing(o.sid, False)),
        lambda o: o.session.typed == [True, False],
    ),
    Case(
        "ChatTransferred",
        lambda o: o.desk.transfer(o.sid, BEA, "Bea Boss"),
        lambda o: agents(o) == ["Alex Agent", "Bea Boss"],
    ),
    Case(
        "TransferToButtonInitiated",
        lambda o: o.desk.transfer_to_button(o.sid),
        lambda o: o.words() == [("", "You will be connected to another agent in a moment.")],
    ),
    Case(
        "AgentJoinedConference",
        lambda o: o.desk.confer(o.sid, "Carla\x1b[31m Clerk"),
        lambda o: o.words() == [("", "Carla [31m Clerk has joined the conversation.")],
    ),
    Case(
        "AgentLeftConference",
        lambda o: o.desk.confer(o.sid, "", joins=False),
        lambda o: o.words() == [("", "Another agent has left the conversation.")],
    ),
    Case(
        "AgentDisconnect",
        lambda o: o.desk.disconnect(o.sid),
        lambda o: o.words() and not any(isinstance(each, Left) for each in o.session.events),
    ),
    Case("ChatEnded", lambda o: o.desk.end(o.sid), lambda o: o.session.events[-1] == Left("agent")),
    Case(
        "ChasitorSessionData",
        lambda o: (o.desk.move(o.sid), o.desk.say(o.sid, "missed")),
        lambda o: o.words() == [("Alex Agent", "missed")],
    ),
    Case(
        "CustomEvent",
        lambda o: o.desk.custom_event(o.sid, "kind", "data"),
        lambda o: [part for _, part in o.parts()] == [Custom({"type": "kind", "data": "data"})],
    ),
    Case(
        "NewVisitorBreadcrumb",
        lambda o: (o.desk.push(o.sid, "NewVisitorBreadcrumb", location="https://x"), o.desk.say(o.sid, "a0")),
        lambda o: o.words() == [("Alex Agent", "a0")],
    ),
    Case(
        "FileTransfer",
        lambda o: o.desk.request_file(o.sid),
        lambda o: o.words() == [("", "The agent asks you to send a file.")] and o.kept.wanted is not None,
    ),
    Case(
        "RichMessage",
        lambda o: o.desk.push(o.sid, "RichMessage", items=[{"text": "One"}, {"text": "Two"}]),
        lambda o: o.words() == [("", "One\nTwo")],
    ),
    Case(
        "SwitchServer",
        lambda o: o.desk.push(o.sid, "SwitchServer", newUrl="https://evil.example/chat"),
        lambda o: count(o, "foreign_hosts") == 1 and o.kept.session and o.kept.session.base.startswith(o.sf.url),
    ),
    Case(
        "ReconnectSession",
        lambda o: o.desk.move(o.sid),
        lambda o: any(each["path"].endswith("ReconnectSession") for each in o.sf.service_calls()),
    ),
    Case(
        "Novelty",
        lambda o: (o.desk.push(o.sid, "Novelty", text="x"), o.desk.say(o.sid, "a0")),
        lambda o: o.words() == [("Alex Agent", "a0")],
    ),
]
KINDS = """ChatRequestSuccess QueueUpdate ChatRequestFail ChatEstablished ChatMessage AgentTyping AgentNotTyping
ChatTransferred TransferToButtonInitiated AgentJoinedConference AgentLeftConference AgentDisconnect ChatEnded
ChasitorSessionData CustomEvent NewVisitorBreadcrumb FileTransfer RichMessage SensitiveDataRules SwitchServer
ReconnectSession""".split()
"""All of reference 1.8."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind)
async def test_s2_03_every_message_type(case: Case) -> None:
    """And the chat goes on after it, where it is not over."""
    async with alone(custom_events=True) as one:
        await one.begin()
        if case.accepted:
            await one.accepted()
        else:
            await until(lambda: one.session.events)
        case.do(one)
        await until(lambda: case.holds(one))
        if not one.kept.is_over:
            if not one.kept.session or not one.kept.session.has_agent:
                await one.accepted()
            await one.say("v0")
            assert one.heard() == ["v0"]


def test_s2_03_no_message_type_is_forgotten() -> None:
    tested = {each.kind for each in CASES} | {"SensitiveDataRules"}  # test_rules.py

    assert set(KINDS) - tested == set()


@pytest.mark.parametrize("reason", FAIL_REASONS)
async def test_s2_03_every_reason_of_a_refusal(reason: str) -> None:
    async with alone() as one:
        await one.begin()
        await until(lambda: one.session.events)
        one.desk.fail(one.sid, reason)
        await until(lambda: one.kept.is_over)

    (told,) = [each for each in one.session.events if isinstance(each, Declined)]
    assert told.text == reason and told.code


@pytest.mark.parametrize("reason", END_REASONS)
async def test_s2_03_every_reason_of_an_end(reason: str) -> None:
    async with alone() as one:
        await one.begin()
        await one.accepted()
        one.desk.say(one.sid, "a0")
        one.desk.end(one.sid, reason)
        await until(lambda: one.kept.is_over)

    assert one.words() == [("Alex Agent", "a0")] and one.session.events[-1] == Left(reason)


ENDS = {400: "http-400", 403: "expired", 404: "http-404", 405: "http-405", 409: "duplicate-poll"}


@pytest.mark.parametrize(("status", "reason"), ENDS.items())
async def test_s2_03_poll_that_ends_the_chat(status: int, reason: str) -> None:
    async with alone() as one:
        await one.begin()
        await one.accepted()
        one.sf.wish({"fail_next": [{"on": "poll", "status": status}]})
        await until(lambda: one.kept.is_over)
        await one.say("v0")

    assert one.session.events[-1] == Left(reason) and one.refused == ["v0"]


async def test_s2_03_poll_of_nothing_is_asked_again_with_its_ack() -> None:
    """204."""
    async with alone(options={"poll_s": 0.05}) as one:
        await one.begin()
        await one.accepted()

        def acks() -> list[str]:
            return [each["ack"] for each in one.sf.service_calls() if each["ack"] is not None]

        await until(lambda: len(acks()) > len(set(acks())) + 2)
        one.desk.say(one.sid, "a0")
        await until(one.words)

    assert acks()[-3] == acks()[-2] or acks()[-2] == acks()[-1]


@pytest.mark.parametrize("status", [202, 429, 500, 502, 503])
async def test_s2_03_poll_and_post_that_do_not_end_it(status: int) -> None:
    """202 of a post: taken. The others: given again, and arrive once."""
    async with alone() as one:
        await one.begin()
        await one.accepted()
        if status != 202:
            one.sf.wish({"fail_next": [{"on": "poll", "status": status}]})
        one.sf.wish({"fail_next": [{"on": "post", "status": status, "after_effect": status in (202, 500)}]})
        one.desk.say(one.sid, "a0")
        await one.say("v0")
        await until(one.words)

    assert one.heard() == ["v0"] and one.words() == [("Alex Agent", "a0")]


async def test_s2_03_targets_are_tried_in_their_order() -> None:
    targets = ("005SM0000001AlxYAE_573SM0000000Btn", "573SM0000000Btn")
    async with alone(button_overrides=targets) as one:
        await one.begin()
        await one.accepted()

    assert one.sf.service.sessions[one.sid].init["buttonOverrides"] == ["005SM0000001Alx_573SM0000000Btn", targets[1]]


# -- over the whole engine -----------------------------------------------------------------------------------


async def test_s2_03_conference_is_told_and_each_speaks_under_his_own_name(make_relay: MakeRelay) -> None:
    relay = await make_relay(settings='[texts.desk]\n"sales:conference-left" = "{name} is gone."')
    visitor = await relay.with_agent()
    relay.desk.confer(relay.chat, "Carla Clerk")
    for who, text in (("Carla Clerk", "Carla here."), ("Alex Agent", "She knows more."), ("Carla Clerk", "I do.")):
        if who == "Carla Clerk":
            relay.desk.push(relay.chat, "ChatMessage", text=text, name=who, agentId=CARLA)
        else:
            relay.desk.say(relay.chat, text)
        await relay.until(lambda who=who, text=text: (who, text) in relay.seen(visitor))
    relay.desk.confer(relay.chat, "Carla Clerk", joins=False)
    relay.desk.say(relay.chat, "Anything else?")
    await relay.until(lambda: ("Alex Agent", "Anything else?") in relay.seen(visitor))
    await visitor.say("no")
    await relay.until(lambda: relay.heard() == ["no"])

    seen = relay.seen(visitor)
    at = seen.index(("Alex Agent", "Hello, I am Alex."))
    assert [text for _, text in seen[at:]] == [
        "Hello, I am Alex.",
        "Carla Clerk has joined the conversation.",
        "Carla here.",
        "She knows more.",
        "I do.",
        "Carla Clerk is gone.",
        "Anything else?",
        "no",
    ]


async def test_s2_03_conference_in_one_breath_loses_nothing(make_relay: MakeRelay) -> None:
    """Who speaks before the other one's user is there has his name in front of his words."""
    relay = await make_relay()
    visitor = await relay.with_agent()
    relay.sf.wish({"options": {"paused": True}})
    relay.desk.confer(relay.chat, "Carla Clerk")
    relay.desk.push(relay.chat, "ChatMessage", text="Carla here.", name="Carla Clerk", agentId=CARLA)
    relay.desk.say(relay.chat, "She knows more.")
    relay.desk.push(relay.chat, "ChatMessage", text="I do.", name="Carla Clerk", agentId=CARLA)
    relay.desk.confer(relay.chat, "Carla Clerk", joins=False)
    relay.desk.say(relay.chat, "Anything else?")
    relay.sf.wish({"options": {"paused": False}})
    await relay.until(lambda: "Anything else?" in relay.words(visitor))

    seen = relay.seen(visitor)
    told = [text if name == "omnibridge" else f"{name}: {text}" for name, text in seen]
    assert told[told.index("Alex Agent: Hello, I am Alex.") + 1 :] == [
        "Carla Clerk has joined the conversation.",
        "Carla Clerk: Carla here.",
        "Alex Agent: She knows more.",
        "Carla Clerk: I do.",
        "Carla Clerk has left the conversation.",
        "Alex Agent: Anything else?",
    ]


@pytest.mark.parametrize(("key", "asked", "agent"), [("DEPARTMENT", "", BEA), ("Sales", "Sales", "?")])
async def test_s2_03_department_has_its_button_and_a_fact_names_the_agent(
    make_relay: MakeRelay, key: str, asked: str, agent: str
) -> None:
    """By the id of the room's department, or the word with which the bot gives it away."""
    terms = 'facts = ["department", "visitor.*"]\nagent_fact = "visitor.agent"\n'
    terms += f'department_buttons = {{ {key} = "573SM0000001Btn" }}'
    relay = await make_relay(settings=terms, department="sales")
    assert isinstance(relay.world.bot, ScriptedBot)
    relay.world.bot.says = lambda turn: Reply((Text("Moment."),), Handover(asked))
    await relay.world.hub.control(custom_fields={"agent": "visitor"})
    field = {"key": "agent", "value": agent, "overwrite": True}
    visitor = await relay.world.visitor(department="sales", customFields=[field])
    await visitor.say("a person, please")
    await until(lambda: relay.sf.service.sessions and relay.session().init)
    init = relay.session().init

    assert init["buttonId"] == "573SM0000001Btn"
    assert (init.get("agentId"), init.get("doFallback")) == ((BEA[:15], True) if agent == BEA else (None, None))


async def test_s2_03_org_that_moved_is_followed(make_relay: MakeRelay, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told by Availability before a chat, and by the poll of another one. Loopback addresses are taken here only."""
    monkeypatch.setattr(LiveAgent, "judged", lambda self, url: normalised(url))
    relay = await make_relay()
    async with service() as new:
        relay.sf.wish({"options": {"switch_to": f"{new.url}/chat"}})
        visitor = await relay.world.visitor()
        await visitor.say("talk to a human")
        await until(new.desk.waiting)
        (sid,) = new.desk.waiting()
        new.desk.accept(sid, ALEX, "Alex Agent")
        await visitor.say("v0")
        await until(lambda: new.service.desk and new.service.desk[-1].get("text") == "v0")

    assert relay.sf.service.sessions == {}


async def test_s2_03_visitor_who_is_given_back_to_the_queue_reads_where_he_stands(make_relay: MakeRelay) -> None:
    relay = await make_relay()
    visitor = await relay.with_agent()
    relay.desk.transfer_to_button(relay.chat)
    relay.desk.queue_position(relay.chat, 3)
    relay.desk.queue_position(relay.chat, 2)
    await relay.until(lambda: "You are number 2 in the queue." in relay.words(visitor))
    relay.desk.accept(relay.chat, BEA, "Bea Boss")
    await visitor.say("v0")
    await relay.until(lambda: "v0" in relay.heard())

    assert [each for each in relay.words(visitor) if "number" in each][-2:] == [
        "You are number 3 in the queue.",
        "You are number 2 in the queue.",
    ]


async def test_s2_03_poll_that_names_another_address_goes_on_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LiveAgent, "judged", lambda self, url: normalised(url))
    async with alone() as one:
        await one.begin()
        await one.accepted()
        async with at_other_address(one.sf) as url:
            one.desk.push(one.sid, "SwitchServer", newUrl=f"{url}/chat")
            await until(lambda: one.kept.session and one.kept.session.base == f"{url}/chat/rest/")
            one.desk.say(one.sid, "a0")
            await one.say("v0")
            await until(lambda: one.words() == [("Alex Agent", "a0")])

    assert one.heard() == ["v0"]


async def test_s2_03_history_that_is_refused_keeps_no_words_back(make_relay: MakeRelay) -> None:
    relay = await make_relay()
    visitor = await relay.handed_over()
    await visitor.say("v0")
    relay.sf.wish({"fail_next": [{"on": "post", "status": 400}]})
    relay.desk.accept(relay.chat, ALEX, "Alex Agent")
    relay.desk.say(relay.chat, "a0")
    await relay.until(lambda: "v0" in relay.heard() and "a0" in relay.words(visitor))

    assert [each["text"] for each in relay.of_kind("message")] == ["v0"]
    assert relay.world.node.service.counters.value("connector", "sales", "history_lost") == 1
    assert control(relay.world) == "connection:sales"
