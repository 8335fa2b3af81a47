"""The connector alone against the org: steps that are repeated, answers that are not ours, what is taken back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from connectors.salesforce_crm.omni.connector import SalesforceOmniConnector
from connectors.salesforce_crm.omni.ids import long_id
from connectors.salesforce_crm.omni.settings import SalesforceOmniSettings
from connectors.salesforce_crm.org import FIELDS
from connectors.salesforce_crm.simulator import CLIENT_ID, CLIENT_SECRET
from omnibridge.connector import DeliveryError, DeliveryRejected
from omnibridge.connector.routing import Asked, Question
from omnibridge.connector.testing import FakeContext
from tests.connectors.salesforce_crm.omnis import Omni

QUESTION = Question("17", "ab" * 16, "main", "r1", {"visitor_name": "Vera"})


class Killed(Exception):
    """The process died here."""


class Kept:
    """What is remembered; dies at the n-th time, before or after it is written."""

    def __init__(self) -> None:
        self.state, self.n, self.dies_at, self.before = b"", 0, 0, False

    async def __call__(self, state: bytes) -> None:
        self.n += 1
        if self.n == self.dies_at and self.before:
            raise Killed
        self.state = state
        if self.n == self.dies_at:
            raise Killed

    @property
    def asked(self) -> Asked:
        return Asked(QUESTION, self.state)


async def connector(omni: Omni, **options: Any) -> SalesforceOmniConnector:
    made = SalesforceOmniConnector()
    raw = {"url": omni.url, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "read_timeout_s": 2.0, **options}
    await made.initialize(FakeContext().make(msgspec.convert(raw, SalesforceOmniSettings)))
    return made


def by_queue(omni: Omni) -> dict[str, Any]:
    return {"queue": omni.org.queue("chats")}


def by_skills(omni: Omni) -> dict[str, Any]:
    skills = {omni.org.create("Skill", {"DeveloperName": each}): 5.0 for each in ("german", "returns")}
    return {"channel": omni.org.create("ServiceChannel", {"DeveloperName": "chats"}), "skills": skills}


@pytest.mark.parametrize("way", [by_queue, by_skills])
@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("how", ["accept", "wait"])
async def test_repeated_from_any_step_there_is_one_routing(
    omni: Omni, way: Callable[[Omni], dict[str, Any]], before: bool, how: str
) -> None:
    alice = omni.person("alice", then=how)
    made, n_skills = await connector(omni, **way(omni)), 0 if way is by_queue else 2
    for dies_at in (1, 2, 3):
        for each in ("PendingServiceRouting", "SkillRequirement"):
            omni.org.of(each).clear()
        kept, question = Kept(), msgspec.structs.replace(QUESTION, key=f"{dies_at:032}")
        omni.org.made.clear()
        kept.dies_at, kept.before = dies_at, before
        with pytest.raises(Killed):
            await made.ask(question, kept.state, kept)
        omni.org.advance()  # somebody may take it while we are dead
        await made.ask(question, kept.state, kept)
        answers = await made.answers([Asked(question, kept.state)])

        assert len(omni.org.made) == 1, dies_at
        assert [each.external_id for each in answers.values()] == ([alice] if how == "accept" else [])
        assert len(omni.all("SkillRequirement")) == n_skills
        assert [each.name for each in answers.values()] in ([], ["Alice"])
    await made.aclose()


@pytest.mark.parametrize("way", [by_queue, by_skills])
async def test_what_is_lost_on_the_way_is_looked_for_before_it_is_repeated(
    omni: Omni, way: Callable[[Omni], dict[str, Any]]
) -> None:
    omni.person("alice")
    made, kept = await connector(omni, **way(omni)), Kept()
    for match in ("PATCH Case", "POST PendingServiceRouting", "POST SkillRequirement", "PATCH PendingServiceRouting"):
        omni.simulator.fail_next.append({"status": 502, "html": True, "match": match, "after_effect": True})
    for _ in range(6):
        try:
            await made.ask(QUESTION, kept.state, kept)
            break
        except DeliveryError:
            continue
    answers = await made.answers([kept.asked])

    assert [each.external_id for each in answers.values()] == [omni.people["alice"]]
    assert len(omni.org.made) == len(omni.all("Case")) == 1
    assert len({each["SkillId"] for each in omni.all("SkillRequirement")}) == len(omni.all("SkillRequirement"))
    await made.aclose()


async def test_answers_of_an_earlier_question_do_not_count(omni: Omni) -> None:
    alice = omni.person("alice", answers=["accept"], then="wait")
    made, first, second = await connector(omni, **by_queue(omni)), Kept(), Kept()
    await made.ask(QUESTION, b"", first)
    assert (await made.answers([first.asked]))["17"].external_id == alice
    await made.ask(msgspec.structs.replace(QUESTION, id="18"), b"", second)

    assert await made.answers([Asked(msgspec.structs.replace(QUESTION, id="18"), second.state)]) == {}
    assert [each["Status"] for each in omni.all("AgentWork")] == ["Transferred", "Assigned"]
    omni.all("AgentWork")[0]["Status"] = "Opened"  # in an org that leaves it open
    assert await made.answers([Asked(msgspec.structs.replace(QUESTION, id="18"), second.state)]) == {}
    await made.aclose()


async def test_assigned_is_enough_where_it_is_so_configured(omni: Omni) -> None:
    alice = omni.person("alice", then="wait")
    made, kept = await connector(omni, **by_queue(omni), taken="Assigned"), Kept()
    await made.ask(QUESTION, b"", kept)
    await made.answers([kept.asked])

    assert (await made.answers([kept.asked]))["17"].external_id == alice
    await made.aclose()


async def test_routing_that_somebody_deleted_names_nobody(omni: Omni) -> None:
    made, kept = await connector(omni, **by_queue(omni)), Kept()
    await made.ask(QUESTION, b"", kept)
    assert await made.answers([kept.asked]) == {}
    omni.org.delete("PendingServiceRouting", omni.org.made[0])
    named = (await made.answers([kept.asked]))["17"]

    assert named.external_id == "" and "taken away" in named.cause
    await made.aclose()


async def test_routing_that_was_deleted_while_we_were_dead_is_not_made_again(omni: Omni) -> None:
    made, kept = await connector(omni, **by_skills(omni)), Kept()
    kept.dies_at = 2
    with pytest.raises(Killed):
        await made.ask(QUESTION, b"", kept)
    omni.org.delete("PendingServiceRouting", omni.org.made[0])
    await made.ask(QUESTION, kept.state, kept)

    assert (await made.answers([kept.asked]))["17"].external_id == "" and len(omni.org.made) == 1
    await made.aclose()


async def test_taking_back_finds_what_could_not_be_kept_and_may_be_repeated(omni: Omni) -> None:
    way = by_queue(omni)
    made, kept = await connector(omni, **way, close={"Status": "Closed"}), Kept()
    await made.ask(QUESTION, b"", kept)
    await made.withdraw(Asked(QUESTION, b""))
    await made.withdraw(kept.asked)
    omni.org.delete("Case", omni.all("Case")[0]["Id"])
    await made.withdraw(kept.asked)
    await made.withdraw(Asked(QUESTION, b""))

    assert omni.all("PendingServiceRouting") == []
    await made.aclose()


async def test_only_those_who_cannot_serve_take_it_and_then_it_is_given_up(omni: Omni) -> None:
    omni.person("alice")
    made, kept = await connector(omni, **by_queue(omni)), Kept()
    await made.ask(QUESTION, b"", kept)
    for _ in range(2):
        kept.state = await made.excluded(kept.asked, omni.people["alice"])
        await made.ask(QUESTION, kept.state, kept)
    with pytest.raises(DeliveryRejected, match="ONLY_EXCLUDED_AGENTS"):
        await made.excluded(kept.asked, omni.people["alice"])
    await made.aclose()


async def test_staff_is_known_although_channels_of_statuses_may_not_be_seen(
    omni: Omni, monkeypatch: pytest.MonkeyPatch
) -> None:
    omni.org.person("Alice", status=omni.org.status(), capacity=3)
    monkeypatch.delitem(FIELDS, "ServiceChannelStatus")
    made = await connector(omni, routes=[omni.org.queue("calls", "ExternalRouting")])
    (found,) = await made.staff()

    assert (found.name, found.free, found.channels, found.why_not) == ("Alice", 3, None, "") and found.idle_since
    await made.aclose()


async def test_check_says_what_is_left_and_what_is_missing(omni: Omni) -> None:
    made = await connector(omni, **by_queue(omni))
    assert "answers; " in await made.check()
    await made.aclose()
    other = await connector(omni, routes=["00G5g0000000001"], queue="00G5g0000000002", object="Nothing")
    with pytest.raises(DeliveryRejected, match="Nothing failed"):
        await other.check()
    await other.aclose()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "nothing to do"),
        ({"queue": "00G/../x"}, "queue: .* is no id"),
        ({"queue": "00G5g0000000001", "channel": "0N95g0000000001"}, "give queue, or"),
        ({"channel": "0N95g0000000001"}, "channel needs skills"),
        ({"skills": {"0C55g0000000001": 1}}, "skills needs channel"),
        ({"routes": ["x"]}, "routes: 'x' is no id"),
        ({"queue": "00G5g0000000001", "object": "Case WHERE"}, "object: .* is no API name"),
        ({"queue": "00G5g0000000001", "fields": {"A": {"fact": "nope"}}}, "A: there is no fact"),
        ({"queue": "00G5g0000000001", "fields": {"A": {"record": "person"}}}, "A: records are for"),
        ({"queue": "00G5g0000000001", "close": {"A b": 1}}, "close: .* is no API name"),
        ({"queue": "00G5g0000000001", "client_secret": ""}, "client_secret is missing"),
    ],
)
def test_wrong_settings_are_refused(options: dict[str, Any], words: str) -> None:
    raw = {"url": "https://acme.my.salesforce.com", "client_id": "x", "client_secret": "y", **options}
    with pytest.raises(msgspec.ValidationError, match=words):
        msgspec.convert(raw, SalesforceOmniSettings)


def test_ids_of_fifteen_characters_get_their_check() -> None:
    assert [long_id(each) for each in ("00DgL0000044OAP", "0053g000000usWa", "0053g000000usWaAAI", "")] == [
        "00DgL0000044OAPUA2",
        "0053g000000usWaAAI",
        "0053g000000usWaAAI",
        "",
    ]


@pytest.mark.parametrize("way", [by_queue, by_skills])
async def test_conversation_is_routed_again_after_it_was_taken_back(
    omni: Omni, way: Callable[[Omni], dict[str, Any]]
) -> None:
    """A queue that owns the item already makes no routing when it is given it once more."""
    made, first, second = await connector(omni, **way(omni)), Kept(), Kept()
    await made.ask(QUESTION, b"", first)
    await made.withdraw(first.asked)
    alice, again = omni.person("alice"), msgspec.structs.replace(QUESTION, id="18")
    await made.ask(again, b"", second)
    answers = await made.answers([Asked(again, second.state)])

    assert answers["18"].external_id == alice
    assert len(omni.org.made) == 2 and len(omni.all("Case")) == 1
    await made.aclose()


@pytest.mark.parametrize("how", [by_queue, by_skills])
async def test_rules_of_assignment_do_not_route_it_elsewhere(omni: Omni, how: Callable[[Omni], dict[str, Any]]) -> None:
    """They would give it to a queue of their own, when it is made, put into our queue, and closed."""
    alice = omni.person("alice", answers=["accept"], then="wait")
    other = omni.org.queue("other", "ExternalRouting")
    omni.org.assignee = other
    made, kept = await connector(omni, **how(omni), close={"Status": "Closed"}), Kept()
    await made.ask(QUESTION, b"", kept)
    assert (await made.answers([kept.asked]))["17"].external_id == alice
    await made.withdraw(kept.asked)
    await made.aclose()
    (case,) = omni.all("Case")

    assert (case["OwnerId"], case["Status"], len(omni.org.made)) == (alice, "Closed", 1)
    assert omni.all("PendingServiceRouting") == []


async def test_answers_of_a_thousand_questions_are_looked_for_in_addresses_that_fit(omni: Omni) -> None:
    alice = omni.person("alice", capacity=2, answers=["accept"], then="wait")
    made, kept = await connector(omni, **by_queue(omni)), Kept()
    await made.ask(QUESTION, b"", kept)
    others = [
        Asked(msgspec.structs.replace(QUESTION, id=f"o{n}"), msgspec.json.encode({"item": long_id(f"500{n:012}")}))
        for n in range(1000)
    ]
    found = await made.answers([*others, kept.asked])
    await made.aclose()

    assert {key: each.external_id for key, each in found.items()} == {"17": alice}


async def test_work_that_is_for_one_user_alone_says_so(omni: Omni) -> None:
    queue = omni.org.queue("calls", "ExternalRouting")
    omni.org.create("Case", {"Subject": "x", "OwnerId": queue})
    (routing,) = omni.all("PendingServiceRouting")
    routing.update(PreferredUserId=omni.person("alice"), IsPreferredUserRequired=True)
    made = await connector(omni, routes=(queue,))
    (work,) = await made.waiting(10)
    await made.aclose()

    assert (work.preferred, work.is_his) == (routing["PreferredUserId"], True)


async def test_name_that_is_too_long_does_not_keep_a_visitor_from_being_served(omni: Omni) -> None:
    alice = omni.person("alice", answers=["accept"], then="wait")
    fields = {"Subject": {"template": "Chat with {visitor_name}"}, "SuppliedEmail": {"fact": "visitor_email"}}
    made, kept = await connector(omni, **by_queue(omni), fields=fields, close={"Nick__c": {"fact": "room"}}), Kept()
    facts = {"visitor_name": "V" * 300, "visitor_email": "me@home"}
    question = msgspec.structs.replace(QUESTION, facts=facts, room="r" * 30)
    await made.ask(question, b"", kept)
    asked = Asked(question, kept.state)
    assert (await made.answers([asked]))["17"].external_id == alice
    await made.withdraw(asked)
    await made.aclose()
    (case,) = omni.all("Case")

    assert (len(case["Subject"]), case["Nick__c"]) == (255, "r" * 20) and "SuppliedEmail" not in case
