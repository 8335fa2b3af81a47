"""What the simulated bot says: the lines that demo, relay tests and soak know. Pure."""

from __future__ import annotations

import base64
import re
from typing import Any

MENU = [
    {"label": "Show a picture", "value": "picture"},
    {"label": "Talk to sales", "value": "sales"},
    {"label": "Talk to a person", "value": "human"},
    {"label": "Finish", "value": "close"},
]
ONE_MOMENT = "One moment, a colleague takes over."
_ORDER = re.compile(r"\b([A-Z]\d{5})\b")


def answer(said: str) -> dict[str, Any]:
    """The body of the answer to one message; empty = 204."""
    plain = said.strip()
    lowered = plain.casefold()
    if lowered.startswith("echo "):
        return {"text": plain[5:]}
    if lowered.startswith("say ") and lowered[4:].strip().isdigit():
        return {"messages": [{"text": f"line {n}"} for n in range(1, min(int(lowered[4:]), 50) + 1)]}
    if lowered.startswith("file "):
        url, _, title = plain[5:].partition(" ")
        return {"messages": [{"kind": "file", "url": url, "title": title}]}
    if lowered.startswith("give "):
        data = base64.b64encode(plain[5:].encode() * 1000).decode()
        return {"messages": [{"kind": "file", "data": data, "name": "given.txt", "media_type": "text/plain"}]}
    if lowered.startswith("note "):
        return {"text": "Noted.", "fields": {"ticket": plain[5:]}}
    if lowered in ("/greet", "hello", "hi"):
        return {"text": "Hello, this is the test bot. Type menu to see what it can do."}
    if lowered == "menu":
        return {"messages": [{"kind": "choices", "text": "Pick one of these:", "options": MENU}]}
    if "picture" in lowered:
        return {
            "messages": [{"text": "Here is the picture."}, {"kind": "image", "url": "https://example.test/cat.png"}]
        }
    if lowered == "sales":
        return {"text": ONE_MOMENT, "handover": {"department": "sales", "reason": "asked for sales"}}
    if "human" in lowered or "person" in lowered:
        return {"text": ONE_MOMENT, "handover": True}
    if "close" in lowered:
        return {"text": "Closing the chat. Goodbye.", "close": True}
    if lowered == "be silent":
        return {}
    if order := _ORDER.search(plain):
        return {"text": f"Order {order.group(1)} is on its way."}
    return {"text": "I did not understand that.", "fallback": True}
