"""The declaration of custom fields is merged with what is there, and taken out again."""

from __future__ import annotations

import json

import pytest

from omnibridge.setup.fields import DECLARATION, merged, without

PHONE = {"phone": {"type": "text", "public": True}}


@pytest.mark.parametrize("text", ["", "  ", json.dumps(PHONE), json.dumps(PHONE, indent=3) + "\n"])
def test_merged_and_taken_out_is_the_same_text(text: str) -> None:
    after = merged(text, "agentId")

    assert json.loads(after) == {**json.loads(text.strip() or "{}"), "agentId": DECLARATION}
    assert merged(after, "agentId") == after
    assert without(after, "agentId", text, after) == text


def test_what_is_declared_already_keeps_its_own_words() -> None:
    ours = {"agentId": {"type": "text", "required": True, "maxLength": 40, "public": True}}
    after = json.loads(merged(json.dumps(ours), "agentId"))["agentId"]

    assert (after["maxLength"], after["public"]) == (40, True)
    assert (after["required"], after["sendToIntegrations"]) == (False, True)
    assert after["modifyRecordField"] == {"array": True, "field": "importIds"}


def test_taking_out_keeps_what_others_added_since() -> None:
    ours = json.dumps({"agentId": {"type": "text"}})
    after = merged(ours, "agentId")
    now = json.dumps({**json.loads(after), **PHONE})

    assert json.loads(without(now, "agentId", ours, after)) == {"agentId": {"type": "text"}, **PHONE}
    assert json.loads(without(now, "agentId", "", merged("", "agentId"))) == PHONE
    assert without(json.dumps({"agentId": {}}), "agentId", "", "other") == ""


@pytest.mark.parametrize("text", ["{", "[]", '"x"', '{"agentId": {"modifyRecordField": {"field": "bio"}}}'])
def test_what_cannot_be_merged_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"JSON|something else"):
        merged(text, "agentId")
