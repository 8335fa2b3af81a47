"""What the simulated bot says: the dialogue of the test bot in few lines, and `echo` for load tests. Pure."""

from __future__ import annotations

import re
from typing import Any

MENU = [
    {"title": "Show a picture", "payload": "/ask_picture"},
    {"title": "Talk to sales", "payload": '/pick_department{"department": "sales"}'},
    {"title": "Talk to a person", "payload": "/request_human"},
    {"title": "Finish", "payload": "/request_close"},
]
GREETING = "Hello, this is the test bot. Type menu to see what it can do."
FALLBACK = "I did not understand that."
_ORDER = re.compile(r"\b([A-Z]\d{5})\b")


def answer(message: str) -> tuple[str, list[dict[str, Any]]]:
    """(intent, messages of the REST channel) for one message."""
    plain = message.strip()
    lowered = plain.casefold()
    if lowered.startswith("echo "):
        return "echo", [{"text": plain[5:]}]
    if lowered.startswith("say ") and lowered[4:].strip().isdigit():
        return "say", [{"text": f"line {number}"} for number in range(1, min(int(lowered[4:]), 50) + 1)]
    if lowered.startswith("note "):
        return "note", [{"text": "Noted."}, {"custom": {"type": "set_fields", "fields": {"ticket": plain[5:]}}}]
    if lowered.startswith("write ") and lowered[6:].strip().isdigit():
        return "write", [{"text": "\n\n".join(f"Paragraph {number}." for number in range(1, int(lowered[6:]) + 1))}]
    if lowered in ("/greet", "hello", "hi"):
        return "greet", [{"text": GREETING}]
    if lowered in ("/ask_menu", "menu"):
        return "ask_menu", [{"text": "Pick one of these:", "buttons": MENU}]
    if lowered == "/ask_picture" or "picture" in lowered:
        return "ask_picture", [{"text": "Here is the picture."}, {"image": "https://example.test/cat.png"}]
    if "long story" in lowered:
        return "ask_paragraphs", [{"text": f"{each} paragraph."} for each in ("First", "Second", "Third")]
    if lowered.startswith("/pick_department"):
        found = re.search(r'"department":\s*"(\w+)"', plain)
        return "pick_department", _handover(found.group(1) if found else "")
    if lowered == "/request_human" or "human" in lowered or "person" in lowered:
        return "request_human", _handover("")
    if lowered == "/request_close" or "close" in lowered:
        return "request_close", [{"text": "Closing the chat. Goodbye."}, {"custom": {"type": "close"}}]
    if lowered == "/restart":
        return "restart", []
    order = _ORDER.search(plain)
    if order:
        return "track_order", [{"text": f"Order {order.group(1)} is on its way."}]
    return "nlu_fallback", [{"text": FALLBACK}, {"custom": {"type": "fallback"}}]


def _handover(department: str) -> list[dict[str, Any]]:
    return [
        {"text": "One moment, a colleague takes over."},
        {"custom": {"type": "handover", "department": department or None}},
    ]
