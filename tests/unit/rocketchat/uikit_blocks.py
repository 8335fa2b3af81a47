"""Blocks as `rocketchat/uikit.py` writes them: one of each element, some within a conditional block."""

from __future__ import annotations

from typing import Any

APP = "c6a1b8f0-5d0e-4c57-9b1e-2f3a7d84e9b1"


def plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


def option(label: str, value: str) -> dict[str, Any]:
    return {"text": plain(label), "value": value}


def element(kind: str, action_id: str, block_id: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "appId": APP, "blockId": block_id, "actionId": action_id, **more}


def button(index: int, label: str, value: str, block_id: str = "ob1.once.2") -> dict[str, Any]:
    return element("button", f"button.{index}", block_id, text=plain(label), value=value)


SIZES = [option("Small", "s"), option("Large", "l")]
SELECT = element(
    "static_select", "static_select.1", "ob1.once.3", placeholder=plain("Pick one"), options=SIZES, initialValue="s"
)
MENU = element("overflow", "overflow.1", "ob1.keep.4", options=SIZES)
DAY = element("datepicker", "datepicker.1", "ob1.once.5", initialDate="2026-01-31", placeholder=plain("Which day?"))
FORM = element("button", "form.1", "ob1.once.6", text=plain("Send"), value="")


def actions(block_id: str, *elements: dict[str, Any]) -> dict[str, Any]:
    return {"type": "actions", "appId": APP, "blockId": block_id, "elements": list(elements)}


BLOCKS: list[dict[str, Any]] = [
    {"type": "section", "appId": APP, "blockId": "ob1.once.1", "text": plain("Which one?")},
    actions("ob1.once.2", button(0, "Sales", "/sales"), button(1, "Support", "/support")),
    {"type": "conditional", "when": {"engine": ["livechat"]}, "render": [actions("ob1.once.3", SELECT)]},
    {"type": "section", "appId": APP, "blockId": "ob1.keep.4", "text": plain("More"), "accessory": MENU},
    actions("ob1.once.5", DAY),
    actions("ob1.once.6", FORM),
]
