"""Plays with buttons: what a visitor presses reaches the bot and is not printed in the room, and the buttons go."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, expect
from widget import Hub, Widget

PICTURE = "Show a picture"


def a_quick_reply_is_pressed(browser: Browser, hub: Hub, pictures: Path) -> None:
    """Of Dialogflow, of Rasa, of a bot of the bot API: the same for the visitor."""
    page = browser.new_page(viewport={"width": 900, "height": 720})
    widget = Widget(page, hub, pictures)
    widget.open()
    widget.register("Vera Buttons", "buttons@example.test")
    widget.say("hello")
    widget.reads("Hello, this is the test bot.")
    widget.say("menu")
    button = widget.frame.get_by_role("button", name=PICTURE)
    expect(button).to_be_visible()
    widget.reads("Pick one of these:")
    widget.picture("buttons")
    button.click()
    widget.reads("Here is the picture.")
    expect(button).to_have_count(0)
    widget.picture("pressed")

    room = hub.last_room()
    written = [each["text"] for each in room["messages"] if each["kind"] == "visitor"]
    if written != ["hello", "menu"]:
        raise AssertionError(f"the visitor is said to have written {written}")
    told = presses(hub.told)
    if len(told) != 1:
        raise AssertionError(f"the bot was told of {len(told)} presses")
    page.reload()
    widget.open()
    widget.reads("Here is the picture.")
    expect(widget.frame.get_by_role("button", name=PICTURE)).to_have_count(0)
    widget.say("where is my order A10023")
    widget.reads("Order A10023 is on its way.")
    widget.picture("after-a-reload")
    if widget.errors:
        raise AssertionError(f"errors in the page: {widget.errors}")


def presses(told: dict[str, Any]) -> list[Any]:
    """What the bot's own ledger says of presses; a bot of the bot API shows it by what it edited."""
    if not told["simulator_url"]:
        rooms = Hub(told).call("GET", "/_sandbox/ledger")["rooms"]
        return [each for each in rooms[-1]["messages"] if each["text"].startswith("You chose: /picture")]
    with urllib.request.urlopen(f"{told['simulator_url']}/_sandbox/ledger", timeout=20) as answer:  # noqa: S310
        turns = json.load(answer)["turns"]
    return [each for each in turns if each.get("interaction")]
