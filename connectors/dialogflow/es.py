"""Dialogflow ES: turn -> DetectIntentRequest, QueryResult -> answer. Pure, on plain dicts in proto's own names.

Source: google-cloud-dialogflow 2.54.0, `dialogflow_v2`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from connectors.dialogflow.draft import Draft, Event, link_or_value, objects, string, strings
from connectors.dialogflow.names import RESERVED, context_name
from connectors.dialogflow.payloads import read_payload
from connectors.dialogflow.request import Asked, without_tags
from connectors.dialogflow.settings import DialogflowSettings
from omnibridge.connector import Card, File, Option

UNSPECIFIED = "PLATFORM_UNSPECIFIED"


def request(settings: DialogflowSettings, asked: Asked) -> dict[str, Any]:
    """A DetectIntentRequest as a plain dict."""
    language = asked.language
    if isinstance(asked.what, Event):
        event = asked.what
        named: dict[str, Any] = {"name": event.name, "language_code": event.language or language}
        parameters = {**asked.parameters, **event.parameters}
        query = {"event": {**named, "parameters": parameters} if parameters else named}
    else:
        query = {"text": {"text": asked.what, "language_code": language}}
    params: dict[str, Any] = {"payload": asked.payload, "contexts": _contexts(settings, asked)}
    if settings.time_zone:
        params["time_zone"] = settings.time_zone
    if settings.platform:
        params["platform"] = settings.platform
    if settings.asks_sentiment and not isinstance(asked.what, Event):
        params["sentiment_analysis_request_config"] = {"analyze_query_text_sentiment": True}
    return {"session": asked.session, "query_input": query, "query_params": params}


def _contexts(settings: DialogflowSettings, asked: Asked) -> list[dict[str, Any]]:
    """The facts for this one query, and what is given back because the service may have forgotten it."""
    given = list(asked.contexts)
    if settings.facts_context and asked.parameters:
        name = context_name(asked.session, settings.facts_context)
        given.append({"name": name, "lifespan_count": 1, "parameters": asked.parameters})
    return given


def kept_contexts(settings: DialogflowSettings, result: dict[str, Any]) -> list[dict[str, Any]]:
    """Those of an answer that can be given back later."""
    own = f"/contexts/{settings.facts_context.lower()}"
    return [
        {key: each[key] for key in ("name", "lifespan_count", "parameters") if key in each}
        for each in objects(result.get("output_contexts"))
        if each.get("lifespan_count")
        and not RESERVED.search(string(each.get("name")))
        and not (settings.facts_context and string(each.get("name")).endswith(own))
    ]


def read(settings: DialogflowSettings, result: dict[str, Any], *, is_event: bool) -> Draft:
    """A QueryResult as a plain dict -> what is said and wanted."""
    draft = Draft(settings.department_keys)
    for each in of_platform(objects(result.get("fulfillment_messages")), settings.platform, draft):
        read_message(each, draft)
    if not draft.parts and not result.get("fulfillment_messages"):
        draft.text(result.get("fulfillment_text"))
    intent = result.get("intent") or {}
    draft.intent = string(intent.get("display_name"))
    diagnostic = result.get("diagnostic_info") or {}
    if intent.get("live_agent_handoff"):
        draft.hand_over(draft.department(result.get("parameters")), string(intent.get("display_name")))
    if intent.get("end_interaction") or diagnostic.get("end_conversation") is True:
        draft.close = True
    # No intent at all: the agent has no fallback intent. An event that no intent listens to is no misunderstanding.
    draft.fallback = draft.fallback or bool(intent.get("is_fallback")) or (not intent and not is_event)
    return draft


def of_platform(messages: Sequence[dict[str, Any]], platform: str, draft: Draft) -> list[dict[str, Any]]:
    """An answer may be there once for each platform: those of ours, else those for none, else of the first there is."""
    by_platform: dict[str, list[dict[str, Any]]] = {}
    for each in messages:
        by_platform.setdefault(each.get("platform", UNSPECIFIED), []).append(each)
    if platform in by_platform:
        return by_platform[platform]
    if UNSPECIFIED in by_platform or not by_platform:
        return by_platform.get(UNSPECIFIED, [])
    draft.lost["other-platform"] += 1  # better than silence: the agent has no answer for us
    return next(iter(by_platform.values()))


def read_message(message: dict[str, Any], draft: Draft) -> None:
    """One `Intent.Message`, which holds one of its kinds."""
    kind = next((each for each in message if each != "platform"), "")
    body = message.get(kind)
    body = body if isinstance(body, dict) else {}
    match kind:
        case "text":
            for each in strings(body.get("text")):
                draft.text(each)
        case "image":
            draft.image(string(body.get("image_uri")), string(body.get("accessibility_text")))
        case "quick_replies":
            draft.offer([Option(each, each) for each in strings(body.get("quick_replies"))], string(body.get("title")))
        case "card":
            options = [link_or_value(string(each.get("text")), string(each.get("postback"))) for each in _all(body)]
            draft.card(
                Card(string(body.get("title")), string(body.get("subtitle")), body.get("image_uri"), tuple(options))
            )
        case "payload":
            read_payload(body, draft)
        case "simple_responses":
            for each in objects(body.get("simple_responses")):
                _simple(each, draft)
        case "basic_card" | "table_card":
            lines = [string(body.get("subtitle")), string(body.get("formatted_text")), *_rows(body)]
            shown = "\n".join(line for line in lines if line)
            draft.card(Card(string(body.get("title")), shown, _uri(body), tuple(_buttons(body))))
            if kind == "table_card":
                draft.lost["table"] += 1  # its cells are lines of text
        case "suggestions":
            titles = [string(each.get("title")) for each in objects(body.get("suggestions"))]
            draft.offer(Option(each, each) for each in titles)
        case "link_out_suggestion":
            name, uri = string(body.get("destination_name")), string(body.get("uri"))
            draft.offer([Option(name or uri, "", uri)] if uri else [])
        case "list_select" | "carousel_select":
            draft.text(body.get("title"), body.get("subtitle"))
            _items(objects(body.get("items")), draft)
        case "browse_carousel_card":
            draft.carousel(_page(each) for each in objects(body.get("items")))
        case "media_content":
            for each in objects(body.get("media_objects")):
                _medium(each, draft)
        case _:
            # Telephony and the like, of which ES's beta knows more; or a kind that is newer than this.
            draft.lost[f"message-{kind or 'empty'}"] += 1


def _all(body: dict[str, Any]) -> list[dict[str, Any]]:
    return objects(body.get("buttons"))


def _simple(each: dict[str, Any], draft: Draft) -> None:
    shown = string(each.get("display_text")) or string(each.get("text_to_speech"))
    if not shown and each.get("ssml"):
        shown = without_tags(string(each["ssml"]))
        draft.lost["speech"] += 1  # its pauses and emphasis
    draft.text(shown)


def _items(items: list[dict[str, Any]], draft: Draft) -> None:
    """What is chosen is told by its key; pictures and descriptions make cards of them."""
    options = []
    for each in items:
        info = each.get("info")
        key = string(info.get("key")) if isinstance(info, dict) else ""
        options.append(Option(string(each.get("title")) or key, key or string(each.get("title"))))
    if any(each.get("description") or _uri(each) for each in items):
        draft.carousel(Card(string(each.get("title")), string(each.get("description")), _uri(each)) for each in items)
    draft.offer(options)


def _page(each: dict[str, Any]) -> Card:
    action = each.get("open_uri_action")
    url = string(action.get("url")) if isinstance(action, dict) else ""
    title, lines = string(each.get("title")), [string(each.get("description")), string(each.get("footer"))]
    options = (Option(title or url, "", url),) if url else ()
    return Card(title, "\n".join(line for line in lines if line), _uri(each), options)


def _medium(each: dict[str, Any], draft: Draft) -> None:
    name, url = string(each.get("name")), string(each.get("content_url"))
    draft.text(each.get("description"))
    if url:
        draft.parts.append(File(url, name))
    else:
        draft.text(name)
    if each.get("large_image") or each.get("icon"):
        draft.lost["media-image"] += 1


def _rows(body: dict[str, Any]) -> list[str]:
    """Heads and rows of a table, cells with a bar between them."""
    rows = [[string(each.get("header")) for each in objects(body.get("column_properties"))]]
    rows += [[string(cell.get("text")) for cell in objects(row.get("cells"))] for row in objects(body.get("rows"))]
    return [" | ".join(cells) for cells in rows if any(cells)]


def _buttons(body: dict[str, Any]) -> list[Option]:
    found = []
    for each in _all(body):
        action = each.get("open_uri_action")
        uri = string(action.get("uri")) if isinstance(action, dict) else ""
        found.append(Option(string(each.get("title")) or uri, "" if uri else string(each.get("title")), uri or None))
    return found


def _uri(body: dict[str, Any]) -> str | None:
    image = body.get("image")
    return (string(image.get("image_uri")) if isinstance(image, dict) else "") or None
