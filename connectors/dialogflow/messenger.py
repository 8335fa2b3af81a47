"""Rich content of Google's Dialogflow Messenger, of ES and CX -> neutral content. Pure.

`{"richContent": [[{"type": …}, …], …]}`: an inner list is one card. Source: Google's pages; ES nests images as
`image.src.rawUrl` and links as `link` or `actionLink`, CX as `image.rawUrl` and `anchor.href`.
"""

from __future__ import annotations

from typing import Any

from connectors.dialogflow.draft import Draft, Event, event_option, known, objects, string, strings
from omnibridge.connector import Card, Option

NOT_SHOWN = frozenset({"custom_template", "files", "html", "match_citations", "video"})


def rich_content(cards: list[Any], draft: Draft) -> None:
    """Each element in its order; what can be chosen is one list at the end of its card."""
    for card in cards:
        options: list[Option] = []
        for each in objects(card if isinstance(card, list) else [card]):
            _element(string(each.get("type")), each, draft, options)
        draft.offer(options)


def _element(kind: str, each: dict[str, Any], draft: Draft, options: list[Option]) -> None:
    title, subtitle = string(each.get("title")), string(each.get("subtitle"))
    match kind:
        case "info":
            link = _link(each)
            more = (Option(title or link, "", link),) if link else ()
            draft.card(Card(title, subtitle, _image(each.get("image")) or None, more))
            if "event" in each and not link:
                options.append(_option(title, each))
        case "description":
            lines = "\n".join(strings(each.get("text")))
            draft.card(Card(title, lines)) if title else draft.text(lines)
        case "image":
            draft.image(_image(each), string(each.get("accessibilityText")))
        case "button":
            options.append(_option(string(each.get("text")), each))
            _icon(each, draft)
        case "list":
            options.append(_option(title, each))
            if subtitle:
                draft.text(f"{title}: {subtitle}")
            _icon(each, draft)
        case "accordion":
            draft.card(
                Card(
                    title,
                    "\n".join([*strings(subtitle), *strings(each.get("text"))]),
                    _image(each.get("image")) or None,
                )
            )
            draft.lost["accordion"] += 1  # all of it is shown at once
        case "chips":
            for chip in objects(each.get("options")):
                options.append(_option(string(chip.get("text")), chip))
                if chip.get("image"):
                    draft.lost["chip-image"] += 1
        case "divider":
            draft.lost["divider"] += 1
        case _:
            draft.lost[f"rich-{known(kind, NOT_SHOWN)}"] += 1


def _option(label: str, each: dict[str, Any]) -> Option:
    """Opens its link, sends its event, else its own text."""
    link, event = _link(each), each.get("event")
    if link:
        return Option(label or link, "", link)
    if isinstance(event, dict):
        name = string(event.get("name")) or string(event.get("event"))
        parameters = event.get("parameters")
        if name:
            given = parameters if isinstance(parameters, dict) else {}
            return event_option(label, Event(name, given, string(event.get("languageCode"))))
    return Option(label, string(each.get("postback")) or label)


def _link(each: dict[str, Any]) -> str:
    anchor = each.get("anchor")
    inner = string(anchor.get("href")) if isinstance(anchor, dict) else ""
    return inner or string(each.get("link")) or string(each.get("actionLink"))


def _image(image: Any) -> str:
    if not isinstance(image, dict):
        return ""
    source = image.get("src")
    return string(image.get("rawUrl")) or (string(source.get("rawUrl")) if isinstance(source, dict) else "")


def _icon(each: dict[str, Any], draft: Draft) -> None:
    if each.get("icon") or each.get("image"):
        draft.lost["icon"] += 1
