"""Dialogflow CX: turn -> DetectIntentRequest, QueryResult -> answer. Pure, on plain dicts in proto's own names.

Source: google-cloud-dialogflow-cx 2.9.0, `dialogflowcx_v3`. `language_code` is beside the input, an event has no
parameters of its own, and a null parameter would remove one.
"""

from __future__ import annotations

from typing import Any

from connectors.dialogflow.draft import Draft, Event, objects, string, strings
from connectors.dialogflow.payloads import read_payload
from connectors.dialogflow.request import Asked, without_tags
from connectors.dialogflow.settings import DialogflowSettings

NOT_UNDERSTOOD = ("NO_MATCH", "NO_INPUT")
FOR_PHONES = {
    "play_audio": "audio",
    "mixed_audio": "audio",
    "telephony_transfer_call": "telephony",
    "knowledge_info_card": "knowledge-info-card",
    "tool_call": "tool-call",
}
"""Kinds that nobody can read."""


def request(settings: DialogflowSettings, asked: Asked, versions: list[str]) -> dict[str, Any]:
    """A DetectIntentRequest as a plain dict."""
    parameters, language = dict(asked.parameters), asked.language
    query: dict[str, Any] = {"text": {"text": asked.what}}
    if isinstance(asked.what, Event):
        query = {"event": {"event": asked.what.name}}
        parameters |= asked.what.parameters
        language = asked.what.language or language
    params: dict[str, Any] = {"payload": asked.payload}
    if parameters:
        params["parameters"] = parameters
    if settings.keep_contexts_s:
        params["session_ttl"] = {"seconds": settings.keep_contexts_s}
    if settings.time_zone:
        params["time_zone"] = settings.time_zone
    if settings.platform:
        params["channel"] = settings.platform
    if settings.asks_sentiment and not isinstance(asked.what, Event):
        params["analyze_query_text_sentiment"] = True
    if versions:
        params["flow_versions"] = versions
    return {
        "session": asked.session,
        "query_input": {**query, "language_code": language},
        "query_params": params,
    }


def read(settings: DialogflowSettings, result: dict[str, Any], *, is_event: bool) -> Draft:
    """A QueryResult as a plain dict -> what is said and wanted."""
    draft = Draft(settings.department_keys)
    messages = _of_channel(objects(result.get("response_messages")), settings.platform, draft)
    is_read = any(each.get("text") or each.get("payload") for each in messages)
    for each in messages:
        read_message(each, draft, is_read=is_read)
    match = result.get("match") or {}
    draft.intent = string((match.get("intent") or {}).get("display_name")) or string(match.get("event"))
    diagnostic = result.get("diagnostic_info") or {}
    if diagnostic.get("end_conversation") is True:
        draft.close = True
    draft.fallback = draft.fallback or (match.get("match_type") in NOT_UNDERSTOOD and not is_event)
    return draft


def _of_channel(messages: list[dict[str, Any]], channel: str, draft: Draft) -> list[dict[str, Any]]:
    """Those of the channel, else those of none. What is no words (a handoff, an end) is always taken."""
    named = {each.get("channel", "") for each in messages}
    wanted = channel if channel in named else ""
    taken = [each for each in messages if each.get("channel", "") == wanted or not _is_shown(each)]
    if not any(map(_is_shown, taken)) and any(map(_is_shown, messages)):
        draft.lost["other-channel"] += 1  # better than silence: the agent has no answer for us
        return messages
    return taken


def _is_shown(message: dict[str, Any]) -> bool:
    return "text" in message or "payload" in message


def read_message(message: dict[str, Any], draft: Draft, *, is_read: bool = False) -> None:
    """One `ResponseMessage`. is_read: the answer has words, so that what is only spoken says them again."""
    kind = next((each for each in message if each not in ("response_type", "channel")), "")
    body = message.get(kind)
    body = body if isinstance(body, dict) else {}
    match kind:
        case "text":
            for each in strings(body.get("text")):
                draft.text(each)
        case "payload":
            read_payload(body, draft)
        case "live_agent_handoff":
            metadata = body.get("metadata") or {}
            draft.hand_over(draft.department(metadata), string(metadata.get("reason")))
        case "end_interaction":
            draft.close = True
        case "conversation_success":
            draft.lost["conversation-success"] += 1  # a mark for Google's statistics
        case "output_audio_text" if not is_read:
            draft.text(string(body.get("text")) or without_tags(string(body.get("ssml"))))
        case "output_audio_text":
            draft.lost["speech"] += 1
        case _:
            draft.lost[FOR_PHONES.get(kind, f"message-{kind or 'empty'}")] += 1
