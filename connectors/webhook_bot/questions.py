"""What a bot would say, asked beside its conversations: the event `suggest` and its answer. Pure."""

from __future__ import annotations

from hashlib import sha256

import msgspec

from connectors.webhook_bot.convert import to_reply
from omnibridge.connector import Suggestion, Text


def question(session_id: str, text: str) -> tuple[str, bytes]:
    """(webhook-id, body). The same text in the same session is the same question."""
    key = sha256(text.encode("utf-8", "replace")).hexdigest()[:32]
    body = msgspec.json.encode({"event": "suggest", "session": session_id, "text": text})
    return f"suggest_{session_id.replace('.', '-')}_{key}", body


def to_suggestion(body: bytes) -> Suggestion:
    """An answer like that to a message, with `intent` and `confidence`. Raises as `to_reply`."""
    reply = to_reply(body)
    raw = msgspec.json.decode(body) if body.strip() else {}
    intent, sure = raw.get("intent"), raw.get("confidence")
    texts = "\n".join(each.text for each in reply.parts if isinstance(each, Text))
    return Suggestion(
        intent if isinstance(intent, str) else "",
        float(sure) if isinstance(sure, int | float) else 0.0,
        "" if reply.fallback else texts,
    )
