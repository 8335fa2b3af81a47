"""Custom payloads that agents already send -> neutral content. Pure; an unknown shape never ends the answer.

Sources: Rocket.Chat's Dialogflow app and its large fork, Chatwoot's integration, Google's Dialogflow Messenger,
Facebook's message shapes. None of them has a schema to rely on, so each value is looked at before it is used.
"""

from __future__ import annotations

from typing import Any

import msgspec

from connectors.dialogflow.draft import (
    CLOSE,
    HANDOVER,
    Draft,
    Event,
    known,
    link_or_value,
    objects,
    string,
    strings,
)
from connectors.dialogflow.messenger import rich_content
from omnibridge.connector import STYLES, Card, File, Option, read_content

HANDOVER_WORDS = frozenset(
    {"handover", "handoff", "hand_over", "human_handoff", "human_handover", "df_perform_handover", "live_agent_handoff"}
)
CLOSE_WORDS = frozenset({"close", "close-chat", "close_chat", "resolve", "df_close_chat", "end_chat"})
FIELD_WORDS = frozenset({"set_fields", "set_room_fields", "set_field", "set_custom_fields"})
FALLBACK_WORDS = frozenset({"fallback"})
EVENT_WORDS = frozenset({"trigger-event", "trigger_event", "new_welcome_event"})
INPUT_FIELDS = frozenset({"disableInput", "disableInputMessage", "displayTyping"})
CONTENT_TYPES = frozenset({"form", "input_csat", "input_email", "input_text", "input_textarea"})
SAY_WORDS = frozenset({"send-message", "send_message"})


def read_payload(payload: dict[str, Any], draft: Draft) -> None:
    """Add what a payload says to the answer. Several shapes may be in one."""
    is_known = False
    if isinstance(payload.get("richContent"), list):
        rich_content(payload["richContent"], draft)
        is_known = True
    if isinstance(payload.get("imagecards"), list):
        draft.carousel(_image_card(each) for each in objects(payload["imagecards"]))
        is_known = True
    if isinstance(payload.get("quickReplies"), dict):
        _quick_replies(payload["quickReplies"], draft)
        is_known = True
    if isinstance(payload.get("customFields"), dict):
        for name in sorted(payload["customFields"]):
            draft.lost[f"input-{known(name, INPUT_FIELDS)}"] += 1  # the widget cannot be told
        is_known = True
    if isinstance(payload.get("facebook"), dict):
        _facebook(payload["facebook"], draft)
        is_known = True
    if "content" in payload or "content_type" in payload:
        _chatwoot(payload, draft)
        is_known = True
    if not (_signal(payload, draft) or is_known or _ours(payload, draft)):
        draft.custom(payload)


def _ours(payload: dict[str, Any], draft: Draft) -> bool:
    """Content as any bot of ours may send it: a list to open, a day to pick, a form, and whatever else there is."""
    content = read_content(payload)
    if content is not None:
        draft.parts.append(content)
    return content is not None


def _signal(payload: dict[str, Any], draft: Draft) -> bool:
    """What the agent wants besides speaking: by a word in `action`, `type` or `event`."""
    word, holders = _word(payload)
    if word in HANDOVER_WORDS:
        draft.hand_over(draft.department(*holders), string(payload.get("reason")))
    elif word in CLOSE_WORDS:
        draft.close = True
    elif word in FALLBACK_WORDS:
        draft.fallback = True
    elif word in FIELD_WORDS:
        draft.fields |= _fields(payload)
    elif word in EVENT_WORDS:
        _event(word, holders, draft)
    elif word in SAY_WORDS:
        _messages(holders, draft)
    else:
        return False
    return True


def _word(payload: dict[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    """The word, and where its details may be."""
    for key in ("action", "type", "event"):
        value = payload.get(key)
        inner = value if isinstance(value, dict) else {}
        word = string(inner.get("name")) if inner else string(value)
        if word:
            named = [holder.get(name) for holder in (inner, payload) for name in ("params", "data", "actionData")]
            return word.strip().casefold(), [payload, inner, *(each for each in named if isinstance(each, dict))]
    return "", []


def _event(word: str, holders: list[dict[str, Any]], draft: Draft) -> None:
    found: dict[str, Any] = next((each["event"] for each in holders if isinstance(each.get("event"), dict)), {})
    name = string(found.get("name")) or ("Welcome" if word == "new_welcome_event" else "")
    parameters = found.get("parameters")
    if not name:
        draft.lost["event-without-name"] += 1
        return
    draft.event = Event(name, parameters if isinstance(parameters, dict) else {}, string(found.get("languageCode")))


def _messages(holders: list[dict[str, Any]], draft: Draft) -> None:
    for each in next((each["messages"] for each in holders if isinstance(each.get("messages"), list)), []):
        if isinstance(each, str):
            draft.text(each)
        elif isinstance(each, dict):
            _quick_replies(each, draft)


def _fields(payload: dict[str, Any]) -> dict[str, str]:
    raw = payload.get("fields")
    given = raw if isinstance(raw, dict) else {string(payload.get("name")): payload.get("value")}
    return {name: plain(value) for name, value in given.items() if name and isinstance(value, str | int | float)}


def plain(value: Any) -> str:
    """A value as a custom field holds it: whole numbers without `.0`, truth as `true`."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)


def _quick_replies(quick: dict[str, Any], draft: Draft) -> None:
    """Rocket.Chat's app: a click sends the text, opens the address, hands over or closes."""
    options = []
    for each in objects(quick.get("options")):
        label, word = string(each.get("text")), string(each.get("actionId")).casefold()
        if word in HANDOVER_WORDS:
            options.append(Option(label, HANDOVER + draft.department(each.get("data"), each)))
        elif word in CLOSE_WORDS:
            options.append(Option(label, CLOSE))
        else:
            options.append(Option(label, label, string(each.get("url")) or None))
        style = string(each.get("buttonStyle"))
        if style in STYLES:
            options[-1] = msgspec.structs.replace(options[-1], style=STYLES[style])
        elif each.get("buttonStyle"):
            draft.lost["button-style"] += 1
    draft.offer(options, string(quick.get("text")))


def _image_card(card: dict[str, Any]) -> Card:
    options = [
        link_or_value(string(each.get("text")) or string(each.get("title")), _target(each))
        for each in objects(card.get("buttons"))
    ]
    image = string(card.get("image_url")) or string(card.get("imageUrl")) or None
    return Card(string(card.get("title")), string(card.get("subtitle")), image, tuple(options))


def _chatwoot(payload: dict[str, Any], draft: Draft) -> None:
    attributes = payload.get("content_attributes")
    items = objects(attributes.get("items")) if isinstance(attributes, dict) else []
    content = string(payload.get("content"))
    kind = string(payload.get("content_type"))
    if kind == "cards":
        draft.text(content)
        draft.carousel(
            Card(
                string(each.get("title")),
                string(each.get("description")),
                string(each.get("media_url")) or None,
                tuple(link_or_value(string(one.get("text")), _target(one)) for one in objects(each.get("actions"))),
            )
            for each in items
        )
        return
    if kind == "article":
        draft.text(content)
        for each in items:
            link = string(each.get("link"))
            title, body = string(each.get("title")), string(each.get("description"))
            draft.card(Card(title, body, None, (Option(title or link, "", link),) if link else ()))
        return
    if kind not in ("", "text", "input_select"):
        draft.lost[f"content-{known(kind, CONTENT_TYPES)}"] += 1
    options = [
        Option(string(each.get("title")), string(each.get("value")) or string(each.get("title"))) for each in items
    ]
    draft.offer(options, content)


def _facebook(message: dict[str, Any], draft: Draft) -> None:
    draft.text(message.get("text"))
    attachment = message.get("attachment")
    if isinstance(attachment, dict):
        body = attachment.get("payload")
        _facebook_attachment(string(attachment.get("type")), body if isinstance(body, dict) else {}, draft)
    options = []
    for each in objects(message.get("quick_replies")):
        label = string(each.get("title"))
        if not label:
            draft.lost["quick-reply-without-title"] += 1  # asks for phone, e-mail or place of a Facebook account
        options.append(Option(label, string(each.get("payload")) or label))
    draft.offer(options)


def _facebook_attachment(kind: str, body: dict[str, Any], draft: Draft) -> None:
    url = string(body.get("url"))
    if kind == "image" and url:
        draft.image(url)
    elif kind in ("file", "audio", "video") and url:
        draft.parts.append(File(url))
    elif kind == "template" and isinstance(body.get("elements"), list):
        draft.carousel(_image_card(each) for each in objects(body["elements"]))
    elif kind == "template" and strings(body.get("text")):
        options = [link_or_value(string(each.get("title")), _target(each)) for each in objects(body.get("buttons"))]
        draft.offer(options, string(body["text"]))
    else:
        draft.lost["facebook-attachment"] += 1


def _target(button: dict[str, Any]) -> str:
    """Where a button leads, or what it sends; the names differ from one integration to the other."""
    for key in ("url", "uri", "link", "postback", "payload", "value"):
        if string(button.get(key)):
            return string(button[key])
    return ""
