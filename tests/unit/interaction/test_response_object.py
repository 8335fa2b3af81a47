"""The response object of every kind of element, of users and visitors, with and without the app, against its schema."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator, FormatChecker, ValidationError

from omnibridge.domain.interactions import Action, Actor, Interaction
from omnibridge.interaction.response_object import channel_of, response_object
from omnibridge.rocketchat.clicks import event_of, id_of, read_click
from omnibridge.rocketchat.uikit_actions import read_action
from tests.unit.rocketchat.envelopes import ALICE, VISITOR
from tests.unit.rocketchat.uikit_blocks import BLOCKS

SCHEMA = json.loads((files("omnibridge.interaction") / "response_object.schema.json").read_text("utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA, format_checker=FormatChecker())
USED: dict[str, tuple[str, Any]] = {
    "button": ("button.0", "/sales"),
    "static_select": ("static_select.1", "l"),
    "overflow": ("overflow.1", "s"),
    "datepicker": ("datepicker.1", {"initialDate": "2026-01-31", "selectedDate": "2026-02-01"}),
    "form": ("form.1", '{"name": "Vera"}'),
}
MESSAGE = {
    "_id": "m1", "rid": "r1", "msg": "Which one?", "u": {"_id": "botId", "username": "bot"}, "blocks": BLOCKS,
}  # fmt: skip
WHO = {"user": {"user": {**ALICE, "roles": ["livechat-agent"]}}, "visitor": {"visitor": {**VISITOR, "token": "tok"}}}


def made(kind: str, who: str, **more: Any) -> dict[str, Any]:
    """As it is made of a click that the app tells of."""
    action_id, value = USED[kind]
    data = {**WHO[who], "action_id": action_id, "value": value, "trigger_id": "t1", "message": MESSAGE, **more}
    click = read_click("e1", data)
    assert click is not None
    event = event_of(click, "r1", 1767225600123, 1767225600456, {"botId": "helper"}, lambda _: None)
    assert event is not None
    return through_json(response_object(event.interaction, channel_of("r1", "Vera"), "/interactions/x"))


def through_json(found: dict[str, Any]) -> dict[str, Any]:
    return dict(json.loads(msgspec.json.encode(found)))


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("who", sorted(WHO))
@pytest.mark.parametrize("kind", sorted(USED))
def test_s3_10_an_object_of_each_kind_is_valid(kind: str, who: str) -> None:
    found = made(kind, who)

    VALIDATOR.validate(found)
    assert found["type"] == "block_actions"
    assert [each["type"] for each in found["actions"]] == [kind]
    assert found["trigger_id"] == "t1"  # S3-15
    assert found["original_message"] == MESSAGE  # S3-14


@pytest.mark.parametrize(
    ("letter", "word"), [("c", "public"), ("p", "private"), ("d", "direct"), ("l", "livechat"), ("?", "private")]
)
def test_s3_11_the_type_of_a_channel_is_a_word(letter: str, word: str) -> None:
    found = {**made("button", "user"), "channel": channel_of("r1", "general", letter)}

    VALIDATOR.validate(found)
    assert found["channel"] == {"id": "r1", "name": "general", "type": word}
    assert channel_of("r1")["name"] == "r1"


def test_s3_12_a_visitor_has_his_role_and_no_token() -> None:
    found = made("button", "visitor")

    assert found["user"] == {"id": "v1", "username": "guest", "name": "Ann", "roles": ["visitor"]}
    assert "tok" not in json.dumps(found["user"]) + json.dumps(found["original_message"])
    assert made("button", "user")["user"]["roles"] == ["livechat-agent"]


def test_s3_13_a_thousand_clicks_have_a_thousand_ids() -> None:
    assert len({id_of("r1", f"e{number}") for number in range(1000)}) == 1000
    assert id_of("r1", "e1") != id_of("r2", "e1")


def test_s3_19_two_actions_are_kept_in_order() -> None:
    actions = (read_action(BLOCKS, "", "button.1", "/support"), read_action(BLOCKS, "", "button.0", "/sales"))
    found = through_json(
        response_object(Interaction("i", Actor("u"), actions, "m1", "t", MESSAGE), channel_of("r1"), "/x", 1, 1)
    )

    VALIDATOR.validate(found)
    assert [each["value"] for each in found["actions"]] == ["/support", "/sales"]


def test_s3_20_common_fields() -> None:
    (action,) = made("button", "visitor")["actions"]

    assert (action["action_id"], action["block_id"]) == ("button.0", "ob1.once.2")
    assert re.fullmatch(r"\d+\.\d{6}", action["action_ts"])
    assert action["action_ts"] == "1767225600.123000"


def test_s3_21_a_button_has_value_and_text() -> None:
    (action,) = made("button", "visitor")["actions"]

    assert (action["value"], action["text"]) == ("/sales", {"type": "plain_text", "text": "Sales"})


def test_s3_22_a_day_has_the_one_picked_and_the_one_before() -> None:
    (action,) = made("datepicker", "visitor")["actions"]
    assert (action["initial_date"], action["selected_date"]) == ("2026-01-31", "2026-02-01")

    with pytest.raises(ValidationError):
        VALIDATOR.validate({**made("datepicker", "user"), "actions": [{**action, "selected_date": "2026-02-30"}]})


def test_s3_23_and_24_a_list_has_option_and_placeholder_and_a_menu_has_none() -> None:
    (select,), (menu,) = made("static_select", "user")["actions"], made("overflow", "user")["actions"]

    assert select["selected_option"] == {"text": {"type": "plain_text", "text": "Large"}, "value": "l"}
    assert select["placeholder"] == {"type": "plain_text", "text": "Pick one"}
    assert menu["selected_option"]["text"]["text"] == "Small"
    assert "placeholder" not in menu
    with pytest.raises(ValidationError):
        VALIDATOR.validate({**made("overflow", "user"), "actions": [{**menu, "placeholder": select["placeholder"]}]})


def test_s3_25_it_tells_when_it_was_done_and_when_we_were_told() -> None:
    found = made("button", "visitor")

    assert (found["event_ts"], found["received_ts"]) == ("1767225600.123000", "1767225600.456000")
    assert found["timestamp"] == "2026-01-01T00:00:00.123Z"


@pytest.mark.parametrize("kind", ["button", "static_select", "overflow"])
def test_an_answer_that_was_typed_is_valid_without_message_block_and_trigger(kind: Any) -> None:
    action = Action(kind, f"{kind}.0", "", "/sales", "Sales")
    visitor = Actor("v1", "", "", True, ("visitor",))
    found = through_json(response_object(Interaction("i", visitor, (action,)), channel_of("r1"), "/x", 1000, 2000))

    VALIDATOR.validate(found)
    assert (found["original_message"], found["trigger_id"], found["event_ts"]) == (None, "", "1.000000")


@pytest.mark.parametrize(
    "change",
    [
        {"type": "message"},
        {"actions": []},
        {"channel": {"id": "r1", "name": "x", "type": "l"}},
        {"user": {"id": "v1", "username": "", "name": "", "roles": [], "token": "tok"}},
        {"original_message": {"_id": "m", "rid": "r", "token": "tok"}},
        {"event_ts": 1.5},
        {"more": 1},
        {"actions": [{"type": "button", "action_id": "a", "block_id": "b", "action_ts": "1.000000", "value": "x"}]},
    ],
)
def test_the_schema_can_fail(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        VALIDATOR.validate({**made("button", "user"), **change})
