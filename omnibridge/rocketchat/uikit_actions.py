"""Which element of a message was used, and what that means: its blocks, and what the hub tells of a click -> `Action`.

The hub tells little: the widget leaves the block's id out, and of a list only the value picked comes (rocketchat-api
10.2). A client may send any value it likes. So all that people can read, and every value but a date, is taken from the
block that was shown. Ids are ours: block `ob1.once.N` or `ob1.keep.N`, action `KIND.N`; others are taken as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Any

import msgspec

from omnibridge.domain.interactions import Action, ElementKind
from omnibridge.rocketchat.leaves import list_of, table_of, text_of

KEEPS = "ob1.keep."
"""Blocks whose elements may be used again; those of other blocks go when one was used."""

FORM = "form."
LONGEST_ID = 256
_OURS = re.compile(r"ob1\.(?:once|keep)\.(\d+)(?:\.\d+)?")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_KINDS: dict[str, ElementKind] = {
    "button": "button",
    "static_select": "static_select",
    "overflow": "overflow",
    "datepicker": "datepicker",
}


class ActionRefused(ValueError):
    """What was used was never shown so. code: `unknown-element`, `unknown-value` or `bad-date`."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(f"refused ({code}): {why}")
        self.code = code


def flat(blocks: Any) -> Iterator[dict[str, Any]]:
    """Blocks in their order, those within `conditional` ones among them (10.1)."""
    for each in list_of(blocks):
        block = table_of(each)
        if block.get("type") == "conditional":
            yield from flat(block.get("render"))
        elif block:
            yield block


def elements_of(block: dict[str, Any]) -> list[dict[str, Any]]:
    """Whatever may be used in a block."""
    found = [*list_of(block.get("elements")), block.get("accessory"), block.get("element")]
    return [each for each in map(table_of, found) if text_of(each.get("type")) in _KINDS]


def read_action(blocks: Any, block_id: str, action_id: str, value: Any) -> Action:
    """block_id: empty where it was left out. value: text, or `{initialDate, selectedDate}`. Raises ActionRefused."""
    block, element = _find(blocks, block_id[:LONGEST_ID], action_id[:LONGEST_ID])
    shown_id = text_of(block.get("blockId")) or block_id[:LONGEST_ID]
    kind = _KINDS[text_of(element.get("type"))]
    common: dict[str, Any] = {"action_id": action_id, "block_id": shown_id, "keeps": shown_id.startswith(KEEPS)}
    if kind == "datepicker":
        return _day(element, value, common)
    if kind == "button":
        return _button(element, value, common)
    for each in _options(element):
        if text_of(each.get("value")) == value:
            picked, initial = text_of(each.get("value")), table_of(element.get("initialOption")).get("value")
            return Action(
                kind,
                value=picked,
                label=words(each.get("text")),
                initial=text_of(initial) or text_of(element.get("initialValue")),
                placeholder=words(element.get("placeholder")) if kind == "static_select" else "",
                **common,
            )
    raise ActionRefused("unknown-value", f"the value is not among the options of {action_id[:80]!r}")


def find_value(blocks: Any, value: str) -> Action | None:
    """The element that has this value, for an answer that was typed: the last one, as it was asked last."""
    found = None
    for block in flat(blocks):
        for element in elements_of(block):
            values = [text_of(each.get("value")) for each in _options(element)] or [text_of(element.get("value"))]
            if value in values and element.get("type") != "datepicker":
                found = read_action([block], "", text_of(element.get("actionId")), value)
    return found


def replaced(blocks: Any, block_id: str, instead: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """The blocks with one of them replaced, also within conditional ones; None when there is no such block.

    What comes in its place has its id, so that it can be replaced again: `ob1.once.2`, then `ob1.once.2.1` and so on.
    """
    found, is_found = [], False
    for each in list_of(blocks):
        block = table_of(each)
        if block.get("type") == "conditional":
            inner = None if is_found else replaced(block.get("render"), block_id, instead)
            is_found = is_found or inner is not None
            found.append(block if inner is None else {**block, "render": inner})
        elif _same(text_of(block.get("blockId")), block_id):
            found += [] if is_found else named(instead, block_id)
            is_found = True
        else:
            found.append(block)
    return found if is_found else None


def put_back(blocks: Any, posted: Any, block_id: str, instead: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As `replaced`, where the block is gone because it was used: behind what was posted in front of it."""
    left = [table_of(each) for each in list_of(blocks)]
    before: list[str] = []
    for each in list_of(posted):
        ids = [text_of(one.get("blockId")) for one in flat([each])]
        if any(_same(one, block_id) for one in ids):
            break
        before += ids
    else:
        return [*left, *named(instead, block_id)]
    place = 0
    for number, each in enumerate(left, 1):
        if any(_same(text_of(one.get("blockId")), known) for one in flat([each]) for known in before if known):
            place = number
    return [*left[:place], *named(instead, block_id), *left[place:]]


def named(blocks: list[dict[str, Any]], block_id: str) -> list[dict[str, Any]]:
    """Blocks of ours under the id of the one whose place they take; whether they stay is theirs."""
    number = _number(block_id)
    if not number:
        return [{**each, "blockId": block_id} if not at else each for at, each in enumerate(blocks)]
    found = []
    for at, each in enumerate(blocks):
        keeps = text_of(each.get("blockId")).startswith(KEEPS) or not elements_of(each)
        mine = f"ob1.{'keep' if keeps else 'once'}.{number}{f'.{at}' if at else ''}"
        elements = [{**one, "blockId": mine} for one in map(table_of, list_of(each.get("elements")))]
        found.append({**each, "blockId": mine, **({"elements": elements} if elements else {})})
    return found


def _number(block_id: str) -> str:
    found = _OURS.fullmatch(block_id)
    return found.group(1) if found else ""


def _same(one: str, other: str) -> bool:
    """`once` and `keep` of one number are one block: what replaced it may be of the other sort."""
    number = _number(other)
    return _number(one) == number if number else bool(other) and one == other


def words(raw: Any) -> str:
    """Of a text object, or text itself."""
    return text_of(raw) or text_of(table_of(raw).get("text"))


def _find(blocks: Any, block_id: str, action_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
    for block in flat(blocks):
        if block_id and text_of(block.get("blockId")) not in ("", block_id):
            continue
        for element in elements_of(block):
            if action_id and text_of(element.get("actionId")) == action_id:
                return block, element
    raise ActionRefused("unknown-element", f"the message has no element {action_id[:80]!r} in block {block_id[:80]!r}")


def _options(element: dict[str, Any]) -> list[dict[str, Any]]:
    groups = [table_of(each) for each in list_of(element.get("optionGroups"))]
    return [table_of(each) for group in (element, *groups) for each in list_of(group.get("options"))]


def _button(element: dict[str, Any], value: Any, common: dict[str, Any]) -> Action:
    """A button has one value, so it need not be told. A form's comes with what was filled in."""
    shown, label = text_of(element.get("value")), words(element.get("text"))
    if str(common["action_id"]).startswith(FORM):
        return Action("form", value=shown, label=label, values=_filled_in(value, shown), **common)
    if text_of(value) not in ("", shown):
        raise ActionRefused("unknown-value", f"the value is not that of button {str(common['action_id'])[:80]!r}")
    return Action("button", value=shown, label=label, **common)


def _filled_in(value: Any, shown: str) -> dict[str, str]:
    if isinstance(value, str) and value != shown:
        try:
            value = msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError):
            return {}
    return {name: text_of(each) for name, each in table_of(value).items()}


def _day(element: dict[str, Any], value: Any, common: dict[str, Any]) -> Action:
    told = table_of(value)
    picked = text_of(value) or text_of(told.get("selectedDate"))
    try:
        if not _DAY.fullmatch(picked):
            raise ValueError(picked)
        date.fromisoformat(picked)
    except ValueError:
        raise ActionRefused("bad-date", f"{picked[:40]!r} is no day: YYYY-MM-DD is expected") from None
    return Action(
        "datepicker",
        value=picked,
        label=picked,
        initial=text_of(element.get("initialDate")),
        placeholder=words(element.get("placeholder")),
        **common,
    )
