"""What the simulated agent says: the lines that demo, relay tests and soak know, whatever the edition. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

MENU = ("Show a picture", "Talk to sales", "Talk to a person", "Finish")
GREETING = "Hello, this is the test bot. Type menu to see what it can do."
FALLBACK = "I did not understand that."
ONE_MOMENT = "One moment, a colleague takes over."
GREETING_EVENTS = ("Welcome", "WELCOME", "/greet")
_ORDER = re.compile(r"\b([A-Z]\d{5})\b")


@dataclass(frozen=True)
class Said:
    """texts, then options, an image, payloads. intent: empty = nothing matched. memo: kept as a context.
    webhook_failed: the agent's own, so that its static answer is used."""

    intent: str
    texts: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    image: str = ""
    payloads: tuple[dict[str, Any], ...] = ()
    fallback: bool = False
    handover: bool = False
    department: str = ""
    close: bool = False
    parameters: dict[str, Any] = field(default_factory=dict)
    memo: str = ""
    webhook_failed: bool = False


def answer(said: str, memo: str) -> Said:
    """To words. memo: what the agent still knows."""
    plain = said.strip()
    lowered = plain.casefold()
    if lowered.startswith("echo "):
        return Said("echo", (plain[5:],))
    if lowered.startswith("say ") and lowered[4:].strip().isdigit():
        return Said("say", tuple(f"line {number}" for number in range(1, min(int(lowered[4:]), 50) + 1)))
    if lowered.startswith("note "):
        return Said("note", ("Noted.",), parameters={"ticket": plain[5:]})
    if lowered.startswith("remember "):
        return Said("remember", ("I keep that in mind.",), memo=plain[9:])
    if lowered == "recall":
        return Said("recall", (f"You said {memo}." if memo else "I do not remember.",))
    if lowered in ("/greet", "hello", "hi"):
        return Said("greet", (GREETING,))
    if lowered == "menu":
        return Said("menu", ("Pick one of these:",), MENU)
    if lowered == "buttons":
        return Said("buttons", payloads=(BUTTONS,))
    if "picture" in lowered:
        return Said("picture", ("Here is the picture.",), image="https://example.test/cat.png")
    if lowered == "talk to sales":
        return Said("sales", (ONE_MOMENT,), handover=True, department="sales")
    if "human" in lowered or "person" in lowered:
        return Said("human", (ONE_MOMENT,), handover=True)
    if "close" in lowered or lowered == "finish":
        return Said("finish", ("Closing the chat. Goodbye.",), close=True)
    if lowered == "forward":
        event = {"name": "order_status", "parameters": {"order": "C3"}}
        return Said(
            "forward", ("Let me see.",), payloads=({"action": "trigger-event", "actionData": {"event": event}},)
        )
    if lowered == "cannot be shown":
        return Said("unknown", payloads=({"of": "my own"},))
    if lowered == "price":
        return Said("price", ("It was 7 yesterday.",), webhook_failed=True)
    if lowered == "be silent":
        return Said("silence")
    if order := _ORDER.search(plain):
        return Said("order", (f"Order {order.group(1)} is on its way.",))
    return Said("fallback", (FALLBACK,), fallback=True)


def answer_event(name: str, parameters: dict[str, Any]) -> Said:
    """To an event. One that no intent listens to is answered with nothing."""
    if name in GREETING_EVENTS:
        return Said("greet", (GREETING,))
    if name == "order_status":
        return Said("order", (f"Order {parameters.get('order', '?')} is on its way.",))
    return Said("")


BUTTONS = {
    "richContent": [
        [
            {"type": "info", "title": "Your order", "subtitle": "What do you want to know?"},
            {
                "type": "button",
                "text": "Where is it?",
                "event": {"name": "order_status", "parameters": {"order": "A10023"}},
            },
            {"type": "chips", "options": [{"text": "Talk to a person"}]},
        ]
    ]
}
"""In the shape of Dialogflow Messenger: a button that sends an event, a chip that sends its text."""
