"""Each kind of each bot, on each side, as it was agreed on. `make golden` writes the files anew."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from omnibridge.domain.content import DatePick, chosen_from
from omnibridge.rocketchat.capabilities import Capabilities
from omnibridge.rocketchat.render import render
from omnibridge.rocketchat.uikit_actions import flat, read_action
from tests.golden.cases import cases
from tests.golden.sides import sides_of

FOLDER = Path(__file__).parent
CASES = cases()
REWRITE = os.environ.get("OMNIBRIDGE_GOLDEN") == "write"


def now(name: str) -> dict[str, Any]:
    """What the code makes of a case."""
    sent, reply = CASES[name]()
    means = msgspec.to_builtins(msgspec.structs.replace(reply, parts=(), losses=()))
    return {
        "bot sends": sent,
        "content": msgspec.to_builtins(reply.parts),
        **({"means": means} if means else {}),
        **({"lost before": list(reply.losses)} if reply.losses else {}),
        "sides": sides_of(reply.parts),
    }


@pytest.mark.parametrize("name", CASES)
def test_golden(name: str) -> None:
    path = FOLDER / f"{name}.json"
    found = json.loads(json.dumps(now(name)))
    if REWRITE:
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
    assert json.loads(path.read_text("utf-8")) == found


def test_no_file_is_left_over() -> None:
    kept = {str(path.relative_to(FOLDER).with_suffix("")) for path in FOLDER.rglob("*.json")}

    assert kept == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_round_trip_keeps_the_meaning_or_counts_the_loss(name: str) -> None:
    """What can be chosen is there with its value, as an element or with its number; what is not is counted."""
    _, reply = CASES[name]()
    before = set(reply.losses)
    for part in reply.parts:
        sides = sides_of((part,))
        for option in chosen_from(part):
            pressed = "\n".join(line for message in sides["widget with app"]["seen"] for line in message)
            value = f"sends {option.value!r}" if option.value else option.label
            assert f"{option.label} {value}" in pressed or {"choices", "form"} & set(sides["widget with app"]["lost"])
            for side in ("widget", "plain text"):
                shown = "\n".join(line for message in sides[side]["seen"] for line in message)
                assert f". {option.label}" in shown and {"choices", "select", "menu"} & set(sides[side]["lost"])
    if not reply.parts:
        means = reply.handover or reply.close or reply.fallback or reply.fields or reply.intent
        assert means or before, "what leads to nothing must be counted"


@pytest.mark.parametrize("name", CASES)
def test_s3_03_a_press_says_what_was_shown(name: str) -> None:
    """From blocks and back: the element that is used is the option that was offered."""
    for part in CASES[name]()[1].parts:
        options = {(each.value or each.label, each.label) for each in chosen_from(part)}
        pressed: set[tuple[str, str]] = set()
        for message in render(part, Capabilities("widget", "APP")).messages:
            for block in flat(message.blocks):
                for element in block.get("elements", ()):
                    for value in _values(element):
                        action = read_action(message.blocks, "", element["actionId"], value)
                        assert action.keeps == (".keep." in block["blockId"]) and action.block_id == block["blockId"]
                        pressed.add((action.value or action.label, action.label))
        if isinstance(part, DatePick):
            options = {("2026-03-04", "2026-03-04")}
        assert pressed in (options, set())


def _values(element: dict[str, Any]) -> list[Any]:
    """What clients may tell of an element; of what opens an address they tell nothing."""
    if element["type"] == "datepicker":
        return ["2026-03-04"]
    if element["type"] == "button":
        return [] if "url" in element else [element["value"]]
    return [each["value"] for each in element["options"] if "url" not in each]


def test_every_kind_of_content_and_element_has_a_golden() -> None:
    kept = [json.loads(path.read_text("utf-8")) for path in FOLDER.rglob("*.json")]
    kinds = {part["kind"] for each in kept for part in each["content"]}
    lines = [line for each in kept for message in each["sides"]["widget with app"]["seen"] for line in message]
    elements = {
        kind
        for kind in ("button", "static_select", "overflow", "datepicker")
        if any(f"[{kind}." in line for line in lines)
    }

    assert kinds == {
        "text",
        "choices",
        "select",
        "date",
        "form",
        "image",
        "file",
        "link",
        "card",
        "carousel",
        "custom",
    }
    assert elements == {"button", "static_select", "overflow", "datepicker"}
