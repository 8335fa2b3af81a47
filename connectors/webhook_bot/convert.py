"""Turns -> JSON of ours, the bot's JSON -> Reply. Pure. The form is documented in README.md."""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from omnibridge.connector import (
    Content,
    DeliveryRejected,
    DeliveryUncertain,
    Handover,
    MessageUpdate,
    Reply,
    Turn,
    full_form,
)

Event = Literal["welcome", "message", "closed"]

_encode = msgspec.json.Encoder().encode
_path = re.compile(r" - at `\$([\w.\[\]]*)`$")


class Answer(msgspec.Struct, frozen=True):
    """What the bot may answer. Keys that we do not know are ignored."""

    messages: tuple[Content, ...] = ()
    handover: Handover | bool | None = None
    close: bool = False
    fallback: bool = False
    fields: dict[str, str] = {}
    intent: str = ""
    updates: tuple[MessageUpdate, ...] = ()


def turn_id(turn: Turn) -> str:
    """The `webhook-id` of every attempt of this turn; no other turn of any bridge has it."""
    return f"turn_{_without_stops(turn.session_id)}_{_without_stops(turn.delivery_id)}"


def closed_id(session_id: str, now_ms: int) -> str:
    """Another one for each attempt: a conversation may come back to the bot and be closed again."""
    return f"closed_{_without_stops(session_id)}_{now_ms}"


def turn_body(event: Event, turn: Turn) -> bytes:
    return _encode(
        {
            "event": event,
            "session": turn.session_id,
            "message_id": turn.message_id,
            "text": turn.text,
            "choice": turn.choice_value,
            "late": turn.late,
            "facts": turn.facts,
            **({"interaction": turn.response_object} if turn.response_object else {}),
            **({"files": turn.files} if turn.files else {}),
        }
    )


def change_notice(
    event: Literal["edited", "deleted"], session_id: str, message_id: str, now_ms: int, text: str = ""
) -> tuple[str, bytes]:
    """(webhook-id, body). Another id for each attempt: the same change twice changes nothing."""
    body = {"event": event, "session": session_id, "message_id": message_id}
    if event == "edited":
        body["text"] = text
    return f"{event}_{_without_stops(session_id)}_{now_ms}", _encode(body)


def closed_body(session_id: str, reason: str) -> bytes:
    return _encode({"event": "closed", "session": session_id, "reason": reason})


def typing_notice(session_id: str, now_ms: int, is_typing: bool) -> tuple[str, bytes]:
    """(webhook-id, body). Another id for each: none is repeated."""
    body = {"event": "typing", "session": session_id, "typing": is_typing}
    return f"typing_{_without_stops(session_id)}_{now_ms}", _encode(body)


def to_reply(body: bytes) -> Reply:
    """A 2xx body -> Reply; empty = nothing to say.

    Raises DeliveryRejected that names the wrong place, and DeliveryUncertain for a page: it is no bot that
    answers with one, but a proxy that is up while the bot is not, or a wrong url.
    """
    if not body.strip():
        return Reply()
    try:
        raw = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        if body.lstrip()[:1] == b"<":
            raise DeliveryUncertain(
                "2xx with HTML: no bot answers there; if it stays, correct url", code="html"
            ) from exc
        raise DeliveryRejected("the bot answered 2xx, but no JSON: see what it sends", code="not-json") from exc
    if not isinstance(raw, dict):
        raise DeliveryRejected("the bot's answer is JSON, but no object", code="bad-answer")
    try:
        answer = msgspec.convert({**raw, "messages": _messages(raw), "updates": _updates(raw)}, Answer)
    except (msgspec.ValidationError, RecursionError) as exc:
        # Only the place: the rest of the sentence may repeat what the bot said.
        place = found.group(1).lstrip(".") if (found := _path.search(str(exc))) else ""
        raise DeliveryRejected(
            f"the bot's answer is wrong at {place or 'its top'}: see connectors/webhook_bot/README.md",
            code="bad-answer",
        ) from None
    handover = Handover() if answer.handover is True else answer.handover or None
    return Reply(
        answer.messages,
        handover,
        answer.close,
        answer.fallback,
        fields=answer.fields,
        updates=answer.updates,
        intent=answer.intent,
    )


def _messages(raw: dict[str, Any]) -> Any:
    """`{"text": …}` in place of `{"messages": [{"kind": "text", …}]}`, at either level."""
    messages = raw.get("messages", [])
    if not isinstance(messages, list):
        return messages  # the decoder says what is wrong
    if raw.get("text"):
        messages = [{"text": raw["text"]}, *messages]
    return [full_form(each) for each in messages]


def _updates(raw: dict[str, Any]) -> Any:
    """Their contents may be short, as messages are: `{"message_id", "content": {"text": …}, "block_id"?}`."""
    updates = raw.get("updates", [])
    if not isinstance(updates, list):
        return updates
    return [{**each, "content": full_form(each.get("content"))} if isinstance(each, dict) else each for each in updates]


def _without_stops(name: str) -> str:
    return name.replace(".", "-")
