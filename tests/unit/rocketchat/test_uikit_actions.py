"""What a click means: found in the block that was shown, whatever little the hub tells of it."""

from __future__ import annotations

from typing import Any

import pytest

from omnibridge.domain.interactions import Action
from omnibridge.rocketchat.uikit_actions import ActionRefused, find_value, put_back, read_action, replaced
from tests.unit.rocketchat.uikit_blocks import BLOCKS, actions, button, element, option, plain


@pytest.mark.parametrize(
    ("block_id", "action_id", "value", "means"),
    [
        ("ob1.once.2", "button.1", "/support", Action("button", "button.1", "ob1.once.2", "/support", "Support")),
        ("ob1.once.2", "button.1", None, Action("button", "button.1", "ob1.once.2", "/support", "Support")),
        (
            "ob1.once.3", "static_select.1", "l",
            Action("static_select", "static_select.1", "ob1.once.3", "l", "Large", "s", "Pick one"),
        ),
        ("ob1.keep.4", "overflow.1", "s", Action("overflow", "overflow.1", "ob1.keep.4", "s", "Small", keeps=True)),
        (
            "ob1.once.5", "datepicker.1", {"initialDate": "2026-01-31", "selectedDate": "2026-02-01"},
            Action("datepicker", "datepicker.1", "ob1.once.5", "2026-02-01", "2026-02-01", "2026-01-31", "Which day?"),
        ),
        (
            "ob1.once.5", "datepicker.1", "2026-02-01",
            Action("datepicker", "datepicker.1", "ob1.once.5", "2026-02-01", "2026-02-01", "2026-01-31", "Which day?"),
        ),
        ("ob1.once.6", "form.1", '{"name": "Vera"}',
         Action("form", "form.1", "ob1.once.6", "", "Send", values={"name": "Vera"})),
    ],
)  # fmt: skip
def test_s3_22_and_23_a_click_is_read_from_what_was_shown(
    block_id: str, action_id: str, value: Any, means: Action
) -> None:
    assert read_action(BLOCKS, block_id, action_id, value) == means
    assert read_action(BLOCKS, "", action_id, value) == means, "the widget leaves the block out"


@pytest.mark.parametrize(
    ("block_id", "action_id", "value", "code"),
    [
        ("", "static_select.1", "xxl", "unknown-value"),
        ("", "overflow.1", None, "unknown-value"),
        ("", "overflow.1", ["s"], "unknown-value"),
        ("", "button.1", "/admin", "unknown-value"),
        ("", "button.9", "/sales", "unknown-element"),
        ("", "", "/sales", "unknown-element"),
        ("ob1.once.3", "button.1", "/support", "unknown-element"),
        *(("", "datepicker.1", day, "bad-date") for day in ("2026-02-30", "tomorrow", "2026-2-1", "", None, {}, 7)),
    ],
)
def test_s3_22_and_23_what_was_never_shown_is_refused(block_id: str, action_id: str, value: Any, code: str) -> None:
    with pytest.raises(ActionRefused) as refused:
        read_action(BLOCKS, block_id, action_id, value)
    assert refused.value.code == code


@pytest.mark.parametrize("blocks", [None, "x", [], [None, 7, {"type": "actions", "elements": "x"}]])
def test_a_message_without_blocks_has_no_elements(blocks: Any) -> None:
    with pytest.raises(ActionRefused):
        read_action(blocks, "", "button.1", "x")
    assert find_value(blocks, "x") is None


def test_an_element_of_somebody_elses_ids_is_read_all_the_same() -> None:
    blocks = [actions("theirs", element("static_select", "pick", "theirs", options=[option("One", "1")]))]

    assert read_action(blocks, "theirs", "pick", "1") == Action("static_select", "pick", "theirs", "1", "One")


def test_a_typed_value_is_found_where_it_was_offered_last() -> None:
    found = find_value(BLOCKS, "/sales")
    assert found is not None and (found.action_id, found.block_id) == ("button.0", "ob1.once.2")
    found = find_value(BLOCKS, "l")
    assert found is not None and (found.action_id, found.label) == ("overflow.1", "Large")
    assert find_value(BLOCKS, "2026-01-31") is None


def test_s3_17_only_the_named_block_is_replaced() -> None:
    new = {"type": "section", "text": plain("Done")}
    done = {**new, "blockId": "ob1.keep.2"}
    assert replaced(BLOCKS, "ob1.once.2", [new]) == [BLOCKS[0], done, *BLOCKS[2:]]
    inner = replaced(BLOCKS, "ob1.once.3", [new])
    assert inner is not None and inner[2] == {**BLOCKS[2], "render": [{**new, "blockId": "ob1.keep.3"}]}
    assert replaced(BLOCKS, "other", [new]) is None
    twice = [actions("a", button(0, "x", "x")), actions("a", button(1, "y", "y"))]
    assert replaced(twice, "a", [new]) == [{**new, "blockId": "a"}]


def test_s3_17_what_replaced_a_block_can_be_replaced_again() -> None:
    new = [{"type": "section", "text": plain("Again?")}, actions("ob1.once.0", button(0, "Yes", "y", "ob1.once.0"))]
    once = replaced(BLOCKS, "ob1.once.2", new)
    assert once is not None
    assert [each.get("blockId") for each in once[:4]] == ["ob1.once.1", "ob1.keep.2", "ob1.once.2.1", None]
    assert once[2]["elements"][0]["blockId"] == "ob1.once.2.1"
    found = read_action(once, "", "button.0", "y")
    assert found.block_id == "ob1.once.2.1"
    for named in ("ob1.once.2", "ob1.once.2.1"):
        assert replaced(once, named, []) == [BLOCKS[0], *BLOCKS[2:]]


def test_s3_17_a_block_that_was_used_and_is_gone_comes_back_in_its_place() -> None:
    new = {"type": "section", "text": plain("Done")}
    done = {**new, "blockId": "ob1.keep.2"}
    left = [each for each in BLOCKS if each["type"] != "actions"]
    assert put_back(left, BLOCKS, "ob1.once.2", [new]) == [left[0], done, *left[1:]]
    assert put_back(left, [], "ob1.once.2", [new]) == [*left, done]
    assert put_back([], BLOCKS, "ob1.once.2", [new]) == [done]
