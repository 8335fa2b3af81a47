"""Rasa shapes <-> neutral content. Pure.

Sources: Rasa's REST channel (collecting output channel), and the payload shapes that bots made for
Rocket.Chat's and others' integrations already send. An unknown shape never kills the reply.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from omnibridge.connector import (
    STYLES,
    Callback,
    Card,
    Choices,
    Content,
    Custom,
    File,
    Handover,
    Image,
    Option,
    Reply,
    Text,
    read_content,
)

HANDOVER_WORDS = frozenset(
    {"handover", "handoff", "hand_over", "human_handoff", "human_handover", "action_handoff", "df_perform_handover"}
)
CLOSE_WORDS = frozenset({"close", "close-chat", "close_chat", "resolve", "df_close_chat", "end_chat"})
FIELD_WORDS = frozenset({"set_fields", "set_room_fields", "set_field", "set_custom_fields"})
FALLBACK_WORDS = frozenset({"fallback", "nlu_fallback"})
_json = msgspec.json.Decoder(dict[str, Any])
ZERO_WIDTH_SPACE = "\u200b"


def to_message(text: str, choice_value: str) -> str:
    """What Rasa is told. A payload that the bot offered goes as it is.

    A visitor's own leading `/` would be read as a command (`/restart`, `/SetSlots(…)`) with confidence 1; a
    zero-width space in front stops it, a plain one would be trimmed. Empty = nothing to send.
    """
    if choice_value:
        return choice_value
    plain = text.strip()
    return ZERO_WIDTH_SPACE + plain if plain.startswith("/") else plain


def to_reply(messages: Iterable[Any], fallback_texts: Sequence[str] = ()) -> Reply:
    """The array of the REST channel -> Reply, in the order of speaking."""
    parts: list[Content] = []
    signals = _Signals()
    losses: dict[str, None] = {}
    for each in messages:
        if not isinstance(each, dict):
            continue
        parts += _parts(each, losses)
        custom = each.get("custom")
        if isinstance(custom, dict) and not signals.read(custom):
            parts += _custom(custom, losses)
        elif custom is not None and not isinstance(custom, dict):
            parts.append(Custom({"value": custom}))
    known = {text.strip() for text in fallback_texts}
    texts = (part.text.strip() for part in parts if isinstance(part, Text | Choices))
    fallback = signals.fallback or any(text in known for text in texts)
    return Reply(
        tuple(parts),
        signals.handover,
        signals.close,
        fallback,
        fields=signals.fields,
        intent=signals.intent,
        losses=tuple(losses),
    )


def events_to_messages(events: Iterable[Any]) -> list[dict[str, Any]]:
    """Bot events of a tracker -> what the channel would have sent: text cut at blank lines, parts apart."""
    messages: list[dict[str, Any]] = []
    for event in events:
        if not isinstance(event, dict) or event.get("event") != "bot":
            continue
        extra = event.get("data")
        extra = extra if isinstance(extra, dict) else {}
        buttons = extra.get("buttons") or extra.get("quick_replies")
        text = event.get("text")
        if isinstance(text, str) and text and buttons:
            messages.append({"text": text, "buttons": buttons})
        elif isinstance(text, str):
            messages += [{"text": part} for part in text.strip().split("\n\n") if part.strip()]
        # The tracker repeats an image as attachment; the channel sends it once.
        kept = [key for key in ("custom", "image", "attachment") if extra.get(key)]
        if "image" in kept and extra.get("attachment") == extra["image"]:
            kept.remove("attachment")
        messages += [{key: extra[key]} for key in kept]
        for element in extra.get("elements") or []:
            if isinstance(element, dict):
                title = " : ".join(str(element[key]) for key in ("title", "subtitle") if element.get(key))
                messages.append({"text": title, "buttons": element.get("buttons") or []})
    return messages


def read_callback(body: bytes, fallback_texts: Sequence[str] = ()) -> Callback:
    """One message that Rasa posts to its callback. Raises ValueError when it names no conversation."""
    message = _json.decode(body)
    session = message.get("recipient_id")
    if not isinstance(session, str) or not session:
        raise ValueError("no recipient_id")
    return Callback(session, to_reply([message], fallback_texts))


class _Signals:
    """What the bot wants besides speaking."""

    def __init__(self) -> None:
        self.handover: Handover | None = None
        self.close = False
        self.fallback = False
        self.fields: dict[str, str] = {}
        self.intent = ""

    def read(self, custom: dict[str, Any]) -> bool:
        """Whether the payload was one of ours to understand."""
        self.intent = self.intent or _string(custom, "intent")
        word = self._word(custom)
        if word in HANDOVER_WORDS or "handoff_host" in custom:
            self.handover = self.handover or Handover(_department(custom), _string(custom, "reason"))
        elif word in CLOSE_WORDS:
            self.close = True
        elif word in FALLBACK_WORDS:
            self.fallback = True
        elif word in FIELD_WORDS:
            self.fields |= _fields(custom)
        elif word == "intent":
            return True
        else:
            return False
        return True

    def _word(self, custom: dict[str, Any]) -> str:
        for key in ("type", "action", "event"):
            value = custom.get(key)
            if isinstance(value, dict):
                value = value.get("name")
            if isinstance(value, str) and value:
                return value.strip().casefold()
        return ""


def _parts(message: dict[str, Any], losses: dict[str, None]) -> list[Content]:
    parts: list[Content] = []
    text = _string(message, "text")
    options = _options(message.get("buttons") or message.get("quick_replies"), losses)
    if options:
        parts.append(Choices(text, options))
    elif text:
        parts.append(Text(text))
    image = message.get("image")
    if isinstance(image, str) and image:
        parts.append(Image(image))
    file = _attachment(message.get("attachment"))
    if file:
        parts.append(file)
    return parts


def _attachment(raw: Any) -> Content | None:
    """A string from an action, an object from the domain."""
    if isinstance(raw, str) and raw:
        return File(raw) if raw.startswith(("http://", "https://")) else Text(raw)
    if not isinstance(raw, dict):
        return None
    payload = raw.get("payload")
    payload = payload if isinstance(payload, dict) else raw
    url = _string(payload, "src") or _string(payload, "url")
    title = _string(payload, "title") or _string(payload, "name")
    if not url:
        return Custom({"attachment": raw})
    return Image(url, title) if raw.get("type") == "image" else File(url, title)


def _custom(custom: dict[str, Any], losses: dict[str, None]) -> list[Content]:
    """Rocket.Chat's quick replies, a card, or content as any bot of ours may send it."""
    quick = custom.get("quickReplies")
    if isinstance(quick, dict):
        given = quick.get("options")
        text, options = _string(quick, "text"), _options(given if isinstance(given, list) else [], losses)
        return [Choices(text, options)] if options else [Text(text)] if text else []
    if custom.get("type") == "card" and _string(custom, "title"):
        image = _string(custom, "image_url") or _string(custom, "image") or None
        body = _string(custom, "body") or _string(custom, "subtitle")
        return [Card(_string(custom, "title"), body, image, _options(custom.get("buttons"), losses))]
    return [read_content(custom) or Custom(custom)]


def _options(raw: Any, losses: dict[str, None]) -> tuple[Option, ...]:
    found = []
    for each in raw if isinstance(raw, list) else ():
        label = (_string(each, "title") or _string(each, "text")) if isinstance(each, dict) else ""
        if not label:
            losses["button-without-title"] = None
            continue
        url, value = _string(each, "url") or None, _string(each, "payload") or _string(each, "value") or label
        style = _string(each, "style") or _string(each, "buttonStyle")
        if style and style not in STYLES:
            losses["button-style"] = None
        found.append(Option(label, value, url, STYLES.get(style, "")))
    return tuple(found)


def _department(custom: dict[str, Any]) -> str:
    for holder in (custom, custom.get("params"), custom.get("data"), custom.get("actionData")):
        if isinstance(holder, dict):
            for key in ("department", "departmentName", "targetDepartment", "department_name"):
                if _string(holder, key):
                    return _string(holder, key)
    return ""


def _fields(custom: dict[str, Any]) -> dict[str, str]:
    """`{"fields": {name: value}}`, or one as `{"name": …, "value": …}`. What is no plain value is left out."""
    raw = custom.get("fields")
    given = raw if isinstance(raw, dict) else {_string(custom, "name"): custom.get("value")}
    plain = {name: value for name, value in given.items() if isinstance(value, str | int | float)}
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in plain.items()}


def _string(holder: dict[str, Any], key: str) -> str:
    value = holder.get(key)
    return value if isinstance(value, str) else ""
