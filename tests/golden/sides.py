"""What the visitor and staff see of a content, as lines that people can read: a model of the two clients.

Source: rocketchat-api 5.5 and 10.1. The widget draws pictures, then the text, then the blocks; the web client draws
the blocks in place of the text, and the attachments after them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from omnibridge.domain.content import Content
from omnibridge.rocketchat.capabilities import Capabilities
from omnibridge.rocketchat.render import OutgoingMessage, render
from omnibridge.rocketchat.uikit import layout

SIDES = {
    "widget": Capabilities(),
    "widget with app": Capabilities("widget", "APP"),
    "plain text": Capabilities("plain"),
}


def sides_of(parts: tuple[Content, ...]) -> dict[str, Any]:
    """By side: what is seen, message by message, and what is lost. `web client` is what staff see of the one before."""
    found: dict[str, Any] = {}
    for name, capabilities in SIDES.items():
        messages: list[OutgoingMessage] = []
        lost: dict[str, None] = {}
        for part in parts:
            rendered = render(part, capabilities)
            messages += rendered.messages
            lost |= dict.fromkeys(rendered.losses)
        found[name] = {"seen": [list(seen(each, "livechat")) for each in messages], "lost": list(lost)}
        if capabilities.app_id:
            found["web client"] = {"seen": [list(seen(each, "rocket.chat")) for each in messages]}
            found["sent"] = msgspec.to_builtins(messages)
    return found


def seen(message: OutgoingMessage, engine: str) -> Iterator[str]:
    """Lines of one message as a client draws it."""
    pictures = [f"picture {each['image_url']} ({each['title']})" for each in message.attachments]
    blocks = list(layout(message.blocks, engine))
    if engine == "livechat":
        yield from pictures
    if message.text and not (engine == "rocket.chat" and blocks):
        yield from message.text.split("\n")
    for block in blocks:
        yield from _block(block)
    if engine != "livechat":
        yield from pictures


def _block(block: dict[str, Any]) -> Iterator[str]:
    match block["type"]:
        case "section":
            yield from block["text"]["text"].split("\n")
        case "image":
            yield f"picture {block['imageUrl']} ({block['altText']})"
        case "actions":
            stays = "stays" if ".keep." in block["blockId"] else "goes"
            assert len(block["elements"]) <= 5, "the widget hides a sixth"
            for each in block["elements"]:
                yield f"[{each['actionId']} {_element(each)}] {stays}"
        case kind:
            raise AssertionError(f"the widget draws no {kind}")


def _element(element: dict[str, Any]) -> str:
    match element["type"]:
        case "button":
            leads = f"opens {element['url']}" if "url" in element else f"sends {element['value']!r}"
            return " ".join([element["text"]["text"], leads, *([element["style"]] if "style" in element else [])])
        case "static_select" | "overflow":
            options = ", ".join(_option(each) for each in element["options"])
            first = f", first {element['initialValue']!r}" if "initialValue" in element else ""
            return f"{_placeholder(element)}{options}{first}"
        case "datepicker":
            return f"{_placeholder(element)}{element.get('initialDate', '')}"
    raise AssertionError(f"the widget draws no {element['type']}")


def _option(option: dict[str, Any]) -> str:
    leads = f"opens {option['url']}" if "url" in option else f"sends {option['value']!r}"
    return f"{option['text']['text']} {leads}"


def _placeholder(element: dict[str, Any]) -> str:
    return f"({element['placeholder']['text']}) " if "placeholder" in element else ""
