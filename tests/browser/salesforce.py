"""The story of Salesforce's agents as the visitor sees it: name and face of each, buttons, files, the bot again.

The agents' side is the simulated org's `/_sandbox/agent`, and what they have is read from its ledger.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from faces import png
from playwright.sync_api import Browser, expect
from widget import Hub, Widget

ALEX, BEA = "005SM0000001Alx", "005SM0000002BeaYAE"
ALEX_FACE, BEA_FACE = (30, 100, 200), (20, 150, 64)
CHOICE = "Show a picture"


class Org:
    """The simulated org. chat: the only conversation there."""

    def __init__(self, hub: Hub) -> None:
        self._url = hub.told["salesforce_messaging_url"]
        self.chat = ""

    def waits(self) -> str:
        """Until an agent is offered the conversation."""
        until(lambda: bool(self.ledger()["waiting"]))
        self.chat = self.ledger()["waiting"][0]
        return self.chat

    def act(self, do: str, **more: Any) -> str:
        body = json.dumps({"do": do, "conversation": self.chat, **more}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self._url}/_sandbox/agent", body, headers)  # noqa: S310 - of this machine
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
            return str(json.load(answer)["id"])

    def rows(self, kind: str) -> list[dict[str, Any]]:
        """What reached the agent."""
        return [each for each in self.ledger()["desk"] if kind in (each["kind"], each.get("type"))]

    def ledger(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self._url}/_sandbox/ledger", timeout=20) as answer:  # noqa: S310
            return dict(json.load(answer))


def from_the_bot_to_salesforce_and_back(browser: Browser, hub: Hub, pictures: Path) -> None:
    """In one page, without a reload."""
    org = Org(hub)
    page = browser.new_page(viewport={"width": 900, "height": 720})
    widget = Widget(page, hub, pictures)
    widget.open()
    widget.register("Vera Visitor", "vera@example.com")
    widget.say("menu")
    widget.shows_agent("Assistant", "assistant")
    widget.frame.get_by_role("button", name=CHOICE).click()
    widget.reads("Here is the picture.")
    widget.picture("chosen-at-the-bot")
    widget.say("talk to a human")
    org.waits()
    org.act("queue_position", position=2)
    widget.reads("You are number 2 in the queue.")
    widget.picture("in-the-queue")

    org.act("accept", agent=ALEX, name="Alex Agent")
    org.act("say", text="Hello, this is Alex.")
    widget.reads("Hello, this is Alex.")
    shows(widget, hub, "Alex Agent", ALEX_FACE)
    until(lambda: any(f"[chose: {CHOICE}]" in each["text"] for each in org.rows("message")))
    widget.picture("agent-of-salesforce")

    options = [{"title": "Money back", "id": "refund"}, {"title": "A new one", "id": "replace"}]
    asked = org.act("ask", text="What shall we do?", options=options)
    button = widget.frame.get_by_role("button", name="A new one")
    expect(button).to_be_visible()
    widget.picture("buttons-of-the-agent")
    button.click()
    expect(button).to_have_count(0)
    until(lambda: len(org.rows("ChoicesResponseMessage")) == 1)
    (answer,) = org.rows("ChoicesResponseMessage")
    if (answer["text"], answer["said"]["inReplyToMessageId"]) != ("replace", asked):
        raise AssertionError(f"the agent was answered {answer}")
    widget.picture("button-pressed")

    files_both_ways(widget, org)
    org.act("transfer", agent=BEA, name="Bea Boss")
    org.act("say", text="Bea here.")
    widget.reads("Bea here.")
    shows(widget, hub, "Bea Boss", BEA_FACE)
    widget.say("Thank you both!")
    until(lambda: org.rows("message")[-1]["text"] == "Thank you both!")
    widget.picture("the-other-agent")

    org.act("end")
    widget.shows_agent("Assistant", "assistant")
    widget.say("where is my order B20034")
    widget.reads("Order B20034 is on its way.")
    widget.picture("back-at-the-bot")
    page.reload()
    widget.open()
    for text in ("Hello, this is Alex.", "Bea here.", "Order B20034 is on its way."):
        widget.reads(text)
    widget.shows_agent("Assistant", "assistant")
    widget.picture("after-a-reload")
    if widget.errors:
        raise AssertionError(f"errors in the page: {widget.errors}")


def files_both_ways(widget: Widget, org: Org) -> None:
    broken = {"name": "broken.png", "mimeType": "image/png", "buffer": png((180, 60, 60), 32)}
    widget.frame.locator("input[type=file]").set_input_files(broken)  # type: ignore[arg-type]
    until(lambda: len(org.rows("file")) == 1)
    widget.picture("file-for-the-agent")
    org.act("send_file", name="form.txt", media_type="text/plain", text="Please sign.", content="Sign here: ____")
    widget.reads("Please sign.")
    link = widget.frame.locator("a[href*='form.txt']")
    expect(link.first).to_be_visible()
    widget.picture("file-of-the-agent")
    address = link.first.get_attribute("href") or ""
    got = widget.page.evaluate("async url => (await fetch(url)).text()", address)
    if got != "Sign here: ____":
        raise AssertionError(f"the visitor gets {got!r} at {address}")


def shows(widget: Widget, hub: Hub, name: str, face: tuple[int, int, int]) -> str:
    """In the header, with his face; his user name."""
    users = hub.call("GET", "/_sandbox/workspace")["users"]
    (username,) = [each for each, user in users.items() if user["name"] == name]
    widget.shows_agent(name, username)
    until(lambda: widget.face() == face)
    return str(username)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError("it did not happen within ten seconds")
        time.sleep(0.05)
