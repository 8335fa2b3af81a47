"""What analysers found, as agents see it: rows for the companion app's bar, and the list that the assist page draws.

Everything in it was written by visitors or by analysers: it is plain text wherever it is shown.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from omnibridge.connector.analysis import Finding, Intent, Label, Note, Reference, SuggestedReply
from omnibridge.domain.events import MessageEdited, MessagePosted
from omnibridge.domain.stored_events import read_event
from omnibridge.storage import findings, journal

MOST_MESSAGES = 5
"""Of a bar: it is beside a conversation, and read while somebody types."""

MOST_ROWS = 30
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_items = msgspec.json.Decoder(tuple[Finding, ...])


class Shown(msgspec.Struct, frozen=True):
    """One message's findings of one analyser. text: what was said, shortened."""

    message_id: str
    text: str
    analyser: str
    items: tuple[Finding, ...]


def shown(reader: Any, workspace: str, room: str, now_ms: int, most: int = 50) -> list[Shown]:
    """The last so many, the newest last. Without those that found nothing."""
    found = []
    for each in findings.of_room(reader, workspace, room, now_ms, most):
        items = _items.decode(each.items)
        if items:
            found.append(Shown(each.message_id, _said(reader, each.event_id), each.analyser, items))
    return found


def blocks(reader: Any, workspace: str, room: str, now_ms: int) -> list[dict[str, Any]]:
    """Rows for the bar, the newest message first. Without buttons: what an agent says, he sends himself."""
    lines: list[str] = []
    said = ""
    for each in reversed(shown(reader, workspace, room, now_ms, MOST_MESSAGES)):
        if each.text != said:
            said = each.text
            lines.append(f"\N{LEFT DOUBLE QUOTATION MARK}{said}\N{RIGHT DOUBLE QUOTATION MARK}")
        lines += [line_of(item) for item in each.items]
    rows = [{"type": "section", "text": _plain(line)} for line in lines[:MOST_ROWS]]
    return [{"type": "divider"}, *rows] if rows else []


def line_of(item: Finding) -> str:
    """In one line of words."""
    match item:
        case Intent(name, confidence):
            return f"Intent: {name} ({round(confidence * 100)} %)" if confidence else f"Intent: {name}"
        case SuggestedReply(text):
            return f"Suggested reply: {text}"
        case Label(name, score):
            return f"{name}: {score:g}" if score else name
        case Reference(title, url):
            return f"{title}: {url}"
        case Note(text):
            return text


def _said(reader: Any, event_id: int) -> str:
    raw = journal.event_of(reader, event_id)
    event = read_event(raw) if raw else None
    text = event.text if isinstance(event, MessagePosted | MessageEdited) else ""
    clean = _CONTROL.sub(" ", text).strip()
    return clean if len(clean) <= 160 else f"{clean[:159]}\N{HORIZONTAL ELLIPSIS}"


def _plain(text: str) -> dict[str, str]:
    return {"type": "plain_text", "text": _CONTROL.sub(" ", text)[:500] or "-"}
