"""What is told of a conversation when it is offered: routing attributes, language, and what was said before. Pure."""

from __future__ import annotations

import re
from typing import Any

from connectors.salesforce_messaging.client import NewSession
from connectors.salesforce_messaging.content import pieces
from connectors.salesforce_messaging.settings import SalesforceMessagingSettings
from omnibridge.connector import Said
from omnibridge.connector.desks import Opening

LONGEST_ATTRIBUTE = 255
MOST_PIECES = 5
"""Of the conversation so far: each is a message, and a minute takes 22."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def session_of(settings: SalesforceMessagingSettings, opening: Opening) -> NewSession:
    """Facts that are not known are left out."""
    known = {"reason": opening.reason, "department": opening.department, **opening.facts}
    found = dict(settings.fixed_attributes)
    for name, fact in settings.routing_attributes.items():
        value = known.get(fact)
        if value not in (None, ""):
            found[name] = plain(_written(value))[:LONGEST_ATTRIBUTE]
    return NewSession(found, language_of(settings, opening.facts))


def language_of(settings: SalesforceMessagingSettings, facts: dict[str, Any]) -> str:
    for each in settings.language_facts:
        given = str(facts.get(each) or "")
        if re.fullmatch(r"[a-z]{2,3}([_-][A-Za-z]{2,4})?", given):
            return given.replace("-", "_")
    return settings.language


def history_of(settings: SalesforceMessagingSettings, opening: Opening, now_ms: int) -> tuple[str, ...]:
    """Messages for the agent to read first; of a conversation that is too long, its end."""
    if settings.history == "none":
        return ()
    summary = plain(str(opening.facts.get(settings.summary_fact) or "")) if settings.history == "summary" else ""
    lines = [summary] if summary else _lines(settings, opening.said, now_ms)
    return with_title(settings, settings.history_title, lines)


def with_title(settings: SalesforceMessagingSettings, title: str, lines: list[str]) -> tuple[str, ...]:
    """As messages; what is too much of them is left out at the beginning."""
    if not lines:
        return ()
    return tuple(pieces("\n".join([title, *lines] if title else lines), settings.longest_text)[-MOST_PIECES:])


def _lines(settings: SalesforceMessagingSettings, said: tuple[Said, ...], now_ms: int) -> list[str]:
    since = now_ms - settings.history_minutes * 60_000 if settings.history_minutes else 0
    chosen = [each for each in said if each.text and (not each.ts or each.ts >= since)]
    names = {"visitor": settings.visitor_label, "bot": settings.bot_label, "agent": settings.agent_label}
    newest = chosen[-settings.history_messages :] if settings.history_messages else chosen
    return [f"{names[each.author]}: {plain(each.text)}" for each in newest]


def plain(text: str) -> str:
    """Without control characters: it comes from visitors, and goes to an agent's screen."""
    return _CONTROL.sub(" ", text)


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
