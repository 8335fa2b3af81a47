"""Settings of Rocket.Chat's official Salesforce Live Agent app as settings of ours. Pure.

Ids are those of the app (RocketChat/Apps.Salesforce.LiveAgent, enum/AppSettingId.ts) and of its first releases.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from connectors.salesforce.ids import short_id
from connectors.salesforce_live_agent.client import normalised
from omnibridge.connector import ConfigError

CONNECTION = {
    "salesforce_bot_username": "rocketchat_user",
    "salesforce_chat_api_endpoint": "endpoint",
    "salesforce_organisation_id": "org_id",
    "salesforce_deployment_id": "deployment_id",
    "salesforce_button_id": "button_id",
}
TEXTS = {
    "finding_liveagent_message": "handover",
    "la_chat_ended_message": "desk_left",
    "la_queue_position_message": "queue_position",
    "la_no_liveagent_available": "nobody_online",
}
DETAILS = """\
facts = ["workspace", "room", "department", "visitor_name", "visitor_email"]
details = [
    { label = "E-mail Address", fact = "visitor_email", transcript_fields = ["c__EmailAddress"], entity_field_maps = [
        { entityName = "Contact", fieldName = "Email", isAutoQueryable = true, isExactMatchable = true },
    ] },
]"""
"""What it told of a visitor beside his name (helperFunctions/SalesforceAPIHelpers.ts)."""

EVENTS = "our bots are told by their own protocol that they have the visitor again"
NOT_TAKEN = {
    "handover_department_name": "a desk needs no department: the bot hands to it by name (hands_to)",
    "chat_handover_department_name": "the bot that handed over gets the visitor back without one: on_left",
    "chat_bot_username": 'put hands_to = "salesforce" into the [[connection]] of this bot',
    "dialogflow_bot_username": 'put hands_to = "salesforce" into the [[connection]] of this bot',
    "salesforce_bot_password": "a personal access token of the user instead: rocketchat_token_file",
    "dialogflow_bot_password": "a personal access token of the user instead: rocketchat_token_file",
    "la_no_queue_message": "who is next in the queue is told nothing",
    "technical_difficulty_message": "see trouble and trouble-over of [texts.desk]",
    "dialogflow_enable_end_event": EVENTS,
    "dialogflow_agent_ended_chat_event_name": EVENTS,
    "dialogflow_customer_ended_chat_event_name": EVENTS,
    "dialogflow_agent_unavailable_event_name": EVENTS,
    "dialogflow_session_error_event_name": EVENTS,
    "dialogflow_customer_idle_timeout_event_name": EVENTS,
    "dialogflow_end_event_language_code": EVENTS,
    "debug_button": "see [server] log_level",
    "log_level": "see [server] log_level",
}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class Imported(NamedTuple):
    """toml: to be added to a configuration. not_taken: (id, why), in the order given."""

    toml: str
    not_taken: tuple[tuple[str, str], ...]


def imported(given: bytes) -> Imported:
    """given: JSON of the app's settings, as its REST endpoint answers (`/api/apps/ID/settings`), a list of them, or
    plain id = value. Raises ConfigError. Secrets are not repeated."""
    values = _values(given)
    connection = {ours: values[theirs] for theirs, ours in CONNECTION.items() if values.get(theirs)}
    if missing := [theirs for theirs, ours in CONNECTION.items() if ours not in connection]:
        raise ConfigError(f"{missing[0]} is missing or empty: these are not the settings of a set-up app")
    try:
        connection["endpoint"] = normalised(connection["endpoint"])
        for each in ("org_id", "deployment_id", "button_id"):
            short_id(connection[each])
    except ConfigError as exc:
        raise ConfigError(f"salesforce_chat_api_endpoint: {exc}") from None
    except ValueError as exc:
        raise ConfigError(f"{each}: {exc}") from None
    not_taken = [(name, NOT_TAKEN.get(name, "it is not known")) for name in values if _is_left(name, values[name])]
    has_bot = bool(values.get("chat_bot_username") or values.get("dialogflow_bot_username"))
    way = "bot" if has_bot else "close"
    lines = ["[[connection]]", 'name = "salesforce"', 'kind = "salesforce_live_agent"']
    lines += [f"{key} = {_quoted(value)}" for key, value in connection.items()]
    lines += ['rocketchat_token_file = "salesforce_token"', f'on_declined = "{way}"', f'on_left = "{way}"']
    lines.append(DETAILS)
    of_desk: list[str] = []
    warning = values.get("customer_timeout_warning_message", "")
    if "%t" in warning:
        not_taken.append(("customer_timeout_warning_message", "%t: no time is counted down; [texts.desk] idle-warning"))
    elif warning:
        of_desk = ["[texts.desk]", f"idle-warning = {_quoted(warning)}"]
    texts = [f"{ours} = {_quoted(_text(values[theirs]))}" for theirs, ours in TEXTS.items() if values.get(theirs)]
    if texts:
        lines += ["", "[texts]", *texts]
    if of_desk:
        lines += ["", *of_desk]
    lines += [f"# not taken: {_CONTROL.sub(' ', name)[:80]}: {why}" for name, why in not_taken]
    return Imported("\n".join(lines) + "\n", tuple(not_taken))


def _is_left(name: str, value: str) -> bool:
    return bool(value) and name not in CONNECTION and name not in TEXTS and name != "customer_timeout_warning_message"


def _text(value: str) -> str:
    return value.replace("%s", "{position}")


def _values(given: bytes) -> dict[str, str]:
    """Of settings that were never changed, what they were shipped with."""
    try:
        found: Any = json.loads(given)
    except (ValueError, RecursionError):
        raise ConfigError("the file is not JSON: save the answer of /api/apps/ID/settings") from None
    found = found.get("settings", found) if isinstance(found, dict) else found
    if isinstance(found, list):
        found = {str(each.get("id", "")): each for each in found if isinstance(each, dict)}
    if not isinstance(found, dict):
        raise ConfigError("the file is neither an object nor a list of settings")
    values = {}
    for name, each in found.items():
        value = each
        if isinstance(each, dict):
            value = each.get("value")
            value = each.get("packageValue") if value is None else value
        values[str(name)] = "" if value is None or value is False else str(value).strip()
    return values


def _quoted(value: str) -> str:
    """JSON's strings are TOML's, once control characters are out."""
    return json.dumps(_CONTROL.sub(" ", value), ensure_ascii=False)
