"""When systems of records are told, what of the end they are told, and facts that they tell for rules. Pure."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from omnibridge.domain import events as ev
from omnibridge.domain.commands import SetRoomFields, SyncRecords, stream_of
from omnibridge.domain.conversation import AGENTS, QUEUE, Control, Conversation, DeskState
from omnibridge.domain.delivery_events import DeliveryBuried
from omnibridge.domain.directory import Directory
from omnibridge.engine.recording import Keeper, end_facts, for_keepers
from omnibridge.errors import RuleInvalid
from omnibridge.routing.facts import Facts
from omnibridge.routing.router import route
from omnibridge.routing.rules import RuleSet
from omnibridge.routing.rules_file import parse_rules

BOT = Conversation("main", "r", started=True, control=Control("connection:b", 1))
ALL = Keeper("sales", frozenset({"start", "handover", "live", "close"}), 5000, 9000)
SAID = ev.MessagePosted("m", "visitor", "v", "hello", 1)


def of(party: str, **others: Any) -> Conversation:
    return msgspec.structs.replace(BOT, control=Control(party, 2), **others)


@pytest.mark.parametrize(
    ("event", "before", "after", "expected"),
    [
        (ev.ConversationStarted(), Conversation("main", "r"), BOT, ["start"]),
        (ev.ConversationStarted(), Conversation("main", "r"), of(QUEUE), ["start", "handover"]),
        (ev.AgentAssigned(ev.UserRef("a")), BOT, of(AGENTS), ["handover"]),
        (ev.AgentAssigned(ev.UserRef("a")), of(QUEUE), of(AGENTS), []),
        (DeliveryBuried(1, "SendToParty"), BOT, of("connection:desk", desk=DeskState("desk")), ["handover"]),
        (SAID, BOT, BOT, ["live"]),
        (ev.ConversationClosed(), of(AGENTS), of("nobody", closed=True), ["close"]),
        (ev.ConversationClosed(), BOT, of("nobody", closed=True), ["close"]),
        (ev.ConversationClosed(), of("nobody", closed=True), of("nobody", closed=True), []),
        (SAID, of("nobody", closed=True), of("nobody", closed=True), ["close"]),
    ],
)
def test_triggers(event: ev.Event, before: Conversation, after: Conversation, expected: list[str]) -> None:
    assert [each.trigger for each in for_keepers(event, before, after, [ALL])] == expected
    nothing = Keeper("quiet", frozenset())
    assert for_keepers(event, before, after, [nothing]) == []


def test_live_is_late_and_each_has_its_stream_and_its_time() -> None:
    (live,) = for_keepers(SAID, BOT, BOT, [ALL])

    assert live == SyncRecords("sales", "live", 5000, 9000)
    assert stream_of(live) == "crm:sales"


def test_end_facts_are_those_of_the_report() -> None:
    closed = ev.ConversationClosed("alice", "user", 5, ("a", "b"), {"csat": "5", "deep": {"x": 1}})
    found = end_facts({"room.csat": "1", "source": "widget"}, closed, 1_780_000_000_000)

    assert found == {
        "room.csat": "5",
        "source": "widget",
        "closed_by": "alice",
        "closed_at": "2026-05-28T20:26:40+00:00",
        "tags": "a; b",
    }


def test_what_is_learned_replaces_what_was_known_and_its_link_is_written_whoever_is_in_control() -> None:
    event = ev.FactsLearned("sales", {"vip": True, "deep": {"x": 1}}, {"link": "https://x"})
    known = msgspec.structs.replace(BOT, crm_facts={"old": 1}, crm_at=5)
    decision = route(known, event, RuleSet(), Directory(), 1000)

    assert (decision.after.crm_facts, decision.after.crm_at) == ({"vip": True}, 1000)
    assert decision.commands == (SetRoomFields({"link": "https://x"}, anyway=True),)
    assert decision.after.control == BOT.control


def test_facts_of_a_crm_have_its_trust_and_an_age() -> None:
    known = msgspec.structs.replace(BOT, crm_facts={"vip": True}, crm_at=1000)
    facts = Facts(known, SAID, now_ms=61_500)

    assert facts.plain("crm.vip") is True and facts.plain("crm.age_s") == 60
    assert facts.plain("crm.other") is None and Facts(BOT, SAID, now_ms=5).plain("crm.age_s") is None
    found = facts.read["crm.vip"]
    assert found is not None and found.trust == "crm"


RULE = '[[rule]]\nname = "r"\non = "{on}"\n'
RULE += 'when = {{ "crm.vip" = true, "crm.age_s" = {{ at_most = 60 }} }}\ntarget = "queue"'


def test_rules_may_read_them_once_somebody_spoke() -> None:
    rules = parse_rules(RULE.format(on="message"), "rules.toml")
    known = msgspec.structs.replace(BOT, crm_facts={"vip": True}, crm_at=1000)

    assert rules.first_match("message", Facts(known, SAID, now_ms=61_000))[0] is not None
    assert rules.first_match("message", Facts(known, SAID, now_ms=62_000))[0] is None
    with pytest.raises(RuleInvalid, match=r'crm\.vip needs on = "message"'):
        parse_rules(RULE.format(on="start"), "rules.toml")


def test_visitor_cannot_write_facts_of_a_crm() -> None:
    started = ev.ConversationStarted(room_fields={"crm.vip": True}, visitor_fields={"crm.vip": True})
    after = route(Conversation("main", "r"), started, RuleSet(), Directory(), 1).after

    assert Facts(after, SAID).plain("crm.vip") is None
