"""Settings: the page's example is a whole configuration, and each mistake is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.salesforce_live_agent.opening import visitor_of
from omnibridge.connector.desks import Opening
from tests.connectors.salesforce.settings import example, made, refuses

KIND = "salesforce_live_agent"
FIELD = {"field": "Email", "label": "E-mail"}


async def test_example_of_the_page_is_a_whole_configuration(tmp_path: Path) -> None:
    decoded = await example(KIND, tmp_path)

    assert [each.label for each in decoded.details] == ["Room", "E-mail", "Reason", "Origin"]
    assert decoded.entities[1].fields[0].create


@pytest.mark.parametrize(
    ("department", "facts", "button"),
    [
        ("", {"department": "b8Q", "department_name": "ORDERS"}, "573SM0000001Btn"),
        ("", {"department": "c9R", "department_name": "Returns"}, "573SM0000002Btn"),
        ("orders", {"department": "c9R", "department_name": "Returns"}, "573SM0000001Btn"),  # the bot's word is first
        ("", {"department": "d0S"}, ""),
        ("", {}, ""),
    ],
)
def test_button_of_a_department_by_its_name(department: str, facts: dict[str, str], button: str) -> None:
    settings = made(KIND, department_buttons={"Orders": "573SM0000001Btn", "c9R": "573SM0000002Btn"})
    opening = Opening("1", "s1", "w", "r", facts=facts, department=department)

    assert visitor_of(settings, opening).button_id == button


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"endpoint": "http://d.la1.salesforceliveagent.com"}, "endpoint must begin with https"),
        ({"endpoint": "https://d.la1.salesforceliveagent.com/other"}, "endpoint ends with the host"),
        ({"org_id": "00D"}, "org_id: a Salesforce id has 15 or 18"),
        ({"department_buttons": {"sales": "x"}}, "department_buttons: sales: a Salesforce id has"),
        ({"button_overrides": ["573SM0000001Btn_x"]}, "button_overrides: a Salesforce id has"),
        ({"details": [{"label": "A"}]}, "'A' needs either fact or value"),
        ({"details": [{"label": "A", "fact": "room", "value": "x"}]}, "'A' needs either fact or value"),
        ({"details": [{"label": "A", "fact": "room"}, {"label": "A", "value": "x"}]}, "'A' stands there twice"),
        ({"details": [{"label": "A", "fact": "a b"}]}, "'a b' is no fact"),
        ({"details": [{"label": "A", "value": "x", "transcript_fields": ["Room Id"]}]}, "'Room Id' is no API name"),
        ({"entities": [{"name": "Contact", "fields": [FIELD]}]}, "no detail has the label 'E-mail'"),
        ({"entities": [{"name": "Contact", "link_to_entity": "Case"}]}, "link_to_entity and link_to_field"),
        (
            {
                "details": [{"label": "E-mail", "fact": "visitor_email"}],
                "entities": [{"name": "Case", "fields": [{**FIELD, "find": True, "exact": True}]}],
            },
            "attaches the chat to an old case",
        ),
        ({"history": "summary"}, "needs summary_fact"),
        ({"language": "English"}, "language is one such as"),
    ],
)
async def test_mistake_is_named(given: dict[str, Any], what: str) -> None:
    await refuses(KIND, given, what)


@pytest.mark.parametrize(
    "given", [{"trouble_s": 0}, {"history": "all"}, {"max_file_bytes": 6 << 20}, {"api_version": 29}, {"nonsense": 1}]
)
def test_value_that_is_none_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        made(KIND, **given)
