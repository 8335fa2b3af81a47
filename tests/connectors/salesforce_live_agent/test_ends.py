"""Each way in which Live Agent refuses or ends a chat, by the connector alone; what follows is the engine's."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.salesforce_live_agent.simulated.service import BUTTON_ID
from omnibridge.connector.desks import Declined, Left
from tests.conftest import until
from tests.connectors.salesforce_live_agent.alone import Alone, alone


def last(one: Alone) -> Any:
    return one.session.events[-1] if one.session.events else None


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"online": False}, Declined("no-agents", "Unavailable")),
        ({"blocked": True}, Declined("blocked", "Blocked")),
    ],
)
async def test_request_that_is_refused_is_a_decline(options: dict[str, Any], expected: Declined) -> None:
    async with alone(options=options, availability=False) as one:
        await one.begin()
        await until(lambda: last(one) == expected)


@pytest.mark.parametrize(
    ("reason", "code"),
    [("agentsUnavailable", "no-agents"), ("agentPushTimeout", "not-accepted"), ("NoPost", "no-post")],
)
async def test_end_before_anybody_accepted_is_a_decline(reason: str, code: str) -> None:
    async with alone() as one:
        await one.begin()
        await until(one.desk.waiting)
        one.desk.end(one.sid, reason)
        await until(lambda: last(one) == Declined(code, reason))


@pytest.mark.parametrize("reason", ["agent", "clientIdleTimeout", "unknown"])
async def test_end_later_is_the_end_of_the_desk(reason: str) -> None:
    async with alone() as one:
        await one.begin()
        await one.accepted()
        one.desk.say(one.sid, "a0")
        one.desk.end(one.sid, reason)
        await until(lambda: last(one) == Left(reason))

        assert one.words() == [("Alex Agent", "a0")]


@pytest.mark.parametrize(("status", "reason"), [(403, "expired"), (409, "duplicate-poll")])
async def test_session_that_is_gone_ends_the_desk(status: int, reason: str) -> None:
    async with alone() as one:
        await one.begin()
        await one.accepted()
        one.sf.wish({"fail_next": [{"on": "poll", "status": status}]})
        await until(lambda: last(one) == Left(reason))


@pytest.mark.parametrize(
    ("offline", "asks"),
    [
        ([BUTTON_ID], True),
        ([BUTTON_ID, "573SM0000001Btn"], True),
        ([BUTTON_ID, "573SM0000001Btn", "005SM0000001Alx"], False),
    ],
)
async def test_whoever_stands_for_the_button_is_asked_for_in_its_place(offline: list[str], asks: bool) -> None:
    overrides = ["573SM0000001Btn", "005SM0000001Alx_573SM0000001Btn"]
    async with alone(options={"offline": offline}, button_overrides=overrides) as one:
        await one.begin()
        await until(lambda: bool(one.desk.waiting()) if asks else last(one) == Declined("no-agents"))


@pytest.mark.parametrize("body", ["[]", '{"messages":7}', '{"messages":[7]}', "x"])
async def test_availability_that_cannot_be_read_is_asked_for_again(body: str) -> None:
    async with alone() as one:
        one.sf.wish({"fail_next": [{"on": "visitor", "status": 200, "body": body}]})
        await one.begin()
        await until(one.desk.waiting)


@pytest.mark.parametrize(
    "body", ['{"id":"a b","key":"k","affinityToken":"a"}', '{"id":"i","key":"k\\n","affinityToken":"a"}']
)
async def test_session_that_could_not_be_spoken_of_is_none(body: str) -> None:
    async with alone() as one:
        one.sf.wish({"fail_next": [{"on": "session", "status": 200, "body": body}]})
        await one.begin()
        await until(one.desk.waiting)


CONTACT = {"name": "Contact", "fields": [{"field": "Email", "label": "E-mail", "find": True, "create": True}]}
CASE = {
    "name": "Case",
    "link_to_entity": "Contact",
    "link_to_field": "ContactId",
    "fields": [{"field": "Subject", "label": "Origin", "create": True}],
}


@pytest.mark.parametrize("facts", [{}, {"visitor_email": "v@example.com"}])
async def test_visitor_of_whom_nothing_is_known_is_no_record(facts: dict[str, str]) -> None:
    details = [{"label": "E-mail", "fact": "visitor_email"}, {"label": "Origin", "value": "rocketchat"}]
    async with alone(details=details, entities=[CONTACT, CASE]) as one:
        await one.begin(facts=facts)
        await until(one.desk.waiting)
        entities = one.sf.service.sessions[one.sid].init["prechatEntities"]

    told = [(each["entityName"], each.get("linkToEntityName")) for each in entities]
    assert told == ([("Contact", None), ("Case", "Contact")] if facts else [("Case", None)])
