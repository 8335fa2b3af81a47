"""Every kind of every bot: folder and name of the file -> what the bot sends, and what it means."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from connectors.dialogflow import cx, es
from connectors.dialogflow.draft import Draft
from connectors.dialogflow.payloads import read_payload
from connectors.rasa.convert import to_reply as from_rasa
from connectors.webhook_bot.convert import to_reply as from_webhook_bot
from omnibridge.botapi.content import plain_text, to_content
from omnibridge.connector import Content, Reply
from tests.connectors.dialogflow import test_cx_messages, test_es_messages, test_payloads
from tests.connectors.dialogflow.bots import cx_message, es_message

URL, CAT = "https://x.test/", "https://x.test/cat.png"
LONG = "A label that says so much that it would be cut off on any button, and so is a line of text."

RASA: dict[str, dict[str, Any]] = {
    "text": {"text": "**Hi** _there_, see [the docs](https://x.test/) and `code`"},
    "buttons": {
        "text": "Which?",
        "buttons": [{"title": "A", "payload": "/a"}, {"title": "B", "payload": '/b{"c": 1}'}],
    },
    "buttons-with-links": {
        "text": "Which?",
        "buttons": [{"title": "A", "payload": "/a"}, {"title": "Docs", "url": URL}],
    },
    "buttons-without-words": {"buttons": [{"title": "A", "payload": "/a"}]},
    "buttons-with-looks": {
        "text": "Sure?",
        "buttons": [{"title": "Yes", "payload": "/y", "style": "danger"}, {"payload": "x"}],
    },
    "quick-replies": {"text": "Which?", "quick_replies": [{"title": "A", "payload": "/a"}]},
    "image": {"image": CAT},
    "attachment": {"attachment": "https://x.test/y.pdf"},
    "attachment-object": {
        "attachment": {"type": "file", "payload": {"title": "Prices", "src": "https://x.test/y.pdf"}}
    },
    "attachment-image": {"attachment": {"type": "image", "payload": {"src": CAT}}},
    "custom-card": {
        "custom": {
            "type": "card",
            "title": "Tea",
            "subtitle": "Green",
            "image": CAT,
            "buttons": [{"title": "Buy", "payload": "/b"}],
        }
    },
    "custom-quick-replies": {
        "custom": {"quickReplies": {"text": "Which?", "options": [{"text": "A"}, {"text": "Docs", "url": URL}]}}
    },
    "custom-select": {"custom": {"kind": "select", "text": "Team?", "options": ["Sales", "Help"], "initial": "Help"}},
    "custom-date": {"custom": {"kind": "date", "text": "When?", "initial": "2026-02-01"}},
    "custom-form": {"custom": {"kind": "form", "text": "Who?", "fields": ["Name"]}},
    "custom-intent": {"custom": {"type": "intent", "intent": "order_status"}},
    "custom-handover": {"custom": {"type": "handover", "department": "Sales"}},
    "custom-close": {"custom": {"type": "close"}},
    "custom-fallback": {"custom": {"type": "fallback"}},
    "custom-fields": {"custom": {"type": "set_fields", "fields": {"ticket": "A17"}}},
    "custom-unknown": {"custom": {"type": "weather"}},
    "custom-list": {"custom": [1]},
}

WEBHOOK_BOT: dict[str, dict[str, Any]] = {
    "text": {"text": "*bold* _italic_ ~struck~ `code` [docs](https://x.test/)\n# Head\n> said"},
    "choices": {"text": "Which?", "options": ["A", {"label": "B", "value": "b"}]},
    "choices-with-looks": {
        "text": "Sure?",
        "options": [{"label": "Yes", "style": "primary"}, {"label": "No", "style": "danger"}],
    },
    "choices-with-links": {"text": "Which?", "options": ["A", {"label": "Docs", "url": URL}]},
    "choices-that-stay": {"text": "Menu", "options": ["A", "B"], "keeps": True},
    "choices-without-words": {"kind": "choices", "text": "", "options": ["A", "B"]},
    "choices-seven": {"text": "Day?", "options": ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]},
    "choices-long": {"text": "Which?", "options": [LONG, "B"]},
    "choices-with-bad-link": {"text": "Which?", "options": ["A", {"label": "Run", "url": "javascript:alert(1)"}]},
    "select": {
        "kind": "select",
        "text": "Team?",
        "options": ["Sales", "Help"],
        "placeholder": "Choose",
        "initial": "Help",
    },
    "select-with-links": {"kind": "select", "text": "Team?", "options": ["Sales", {"label": "Docs", "url": URL}]},
    "menu": {"kind": "select", "text": "More", "options": ["Sales", {"label": "Docs", "url": URL}], "is_menu": True},
    "date": {"kind": "date", "text": "When?", "initial": "2026-02-01", "placeholder": "A day"},
    "form": {
        "kind": "form",
        "text": "Who are you?",
        "submit": "Send",
        "fields": [
            {"name": "name", "label": "Your name", "initial": "Vera"},
            {"name": "born", "label": "Born", "type": "date", "required": False},
            {"name": "size", "label": "Size", "type": "select", "options": ["S", "L"]},
        ],
    },
    "image": {"kind": "image", "url": CAT, "title": "A cat"},
    "image-without-address": {"kind": "image", "url": "data:image/png;base64,AA", "title": "A cat"},
    "file": {"kind": "file", "url": "https://x.test/y.pdf", "title": "Prices"},
    "link": {"kind": "link", "url": URL, "title": "More"},
    "link-bare": {"kind": "link", "url": URL},
    "card": {
        "kind": "card",
        "title": "Tea",
        "body": "Green.",
        "image_url": CAT,
        "options": ["Buy", {"label": "Docs", "url": URL}],
    },
    "card-without-options": {"kind": "card", "title": "Tea", "body": "Green.", "image_url": CAT},
    "carousel": {
        "kind": "carousel",
        "cards": [
            {"title": "Tea", "image_url": CAT, "options": [{"label": "Buy", "value": "tea"}]},
            {"title": "Mate", "options": [{"label": "Buy", "value": "mate"}, {"label": "Docs", "url": URL}]},
        ],
    },
    "custom": {"kind": "custom", "data": {"a": 1}},
}

KEYBOARD = {
    "inline_keyboard": [
        [{"text": "A", "callback_data": "a"}, {"text": "Docs", "url": URL}],
        [{"text": "Pay", "pay": True}],
    ]
}
BOT_API: dict[str, dict[str, Any]] = {
    "text": {"text": "a < b"},
    "html": {
        "parse_mode": "HTML",
        "text": f"<b>Hi</b> <i>there</i> <s>no</s> <code>a*b</code> <a href='{URL}'>docs</a> 2*3*4 &lt;3",
    },
    "html-code": {"parse_mode": "HTML", "text": '<pre><code class="language-py">x = *1*\ny</code></pre>'},
    "markdown": {"parse_mode": "Markdown", "text": f"*bold* _italic_ [docs]({URL})"},
    "markdown-v2": {"parse_mode": "MarkdownV2", "text": "*bold* __under__ ||spoiler|| \\*no\\* 1\\.5"},
    "inline-keyboard": {"text": "Pick", "reply_markup": KEYBOARD},
    "keyboard": {"text": "Pick", "reply_markup": {"keyboard": [["Tea"], [{"text": "Mate"}]]}},
}

Case = tuple[Any, Reply]


def cases() -> dict[str, Callable[[], Case]]:
    """FOLDER/NAME -> (what is sent, what it means)."""
    return dict(_cases())


def _cases() -> Iterator[tuple[str, Callable[[], Case]]]:
    for kind, (given, _, _) in test_es_messages.KINDS.items():
        yield f"dialogflow-es/{kind}", lambda given=given: _read(es.read_message, es_message(**given), given)
    for kind, (given, _, _) in test_cx_messages.KINDS.items():
        yield f"dialogflow-cx/{kind}", lambda given=given: _read(cx.read_message, cx_message(**given), given)
    for kind, (payload, _, _) in test_payloads.CONTENT.items():
        yield f"dialogflow-payload/{_slug(kind)}", lambda payload=payload: _read(read_payload, payload, payload)
    for kind, message in RASA.items():
        yield f"rasa/{kind}", lambda message=message: (message, from_rasa([message]))
    for kind, message in WEBHOOK_BOT.items():
        yield f"webhook-bot/{kind}", lambda message=message: (message, _webhook_bot(message))
    for kind, call in BOT_API.items():
        yield f"bot-api/{kind}", lambda call=call: (call, _bot_api(call))


def _read(reader: Callable[[Any, Draft], None], message: Any, given: Any) -> Case:
    draft = Draft()
    reader(message, draft)
    return given, Reply(
        tuple(draft.parts), draft.handover, draft.close, draft.fallback, fields=draft.fields, losses=tuple(draft.lost)
    )


def _webhook_bot(message: dict[str, Any]) -> Reply:
    return from_webhook_bot(msgspec.json.encode({"messages": [message]}))


def _bot_api(call: dict[str, Any]) -> Reply:
    losses: list[str] = []
    text = plain_text(call["text"], call.get("parse_mode", ""))
    content: Content = to_content(text, call.get("reply_markup"), lambda name, n: losses.append(name))
    return Reply((content,), losses=tuple(losses))


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")
