"""What is told of a conversation when it is offered: what is known of it, language, what was said before. Pure."""

from __future__ import annotations

import re
from typing import Any

from connectors.salesforce.settings import LANGUAGE, ChatSettings
from omnibridge.connector.desks import Opening

MOST_PIECES = 5
"""Of the conversation so far: each is a message, of which there is a limit, or ids of the last are remembered."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def known_of(opening: Opening) -> dict[str, Any]:
    return {"reason": opening.reason, "department": opening.department, **opening.facts}


def language_of(settings: ChatSettings, facts: dict[str, Any]) -> str:
    given = (str(facts.get(each) or "") for each in settings.language_facts)
    return next((each for each in given if LANGUAGE.fullmatch(each)), settings.language)


def history_lines(settings: ChatSettings, opening: Opening, now_ms: int) -> list[str]:
    """For the agent to read first, without the title; none where nothing is to be told."""
    if settings.history == "none":
        return []
    if settings.history == "summary" and (summary := plain(written(opening.facts.get(settings.summary_fact)))):
        return [summary]
    since = now_ms - settings.history_minutes * 60_000 if settings.history_minutes else 0
    chosen = [each for each in opening.said if each.text and (not each.ts or each.ts >= since)]
    names = {"visitor": settings.visitor_label, "bot": settings.bot_label, "agent": settings.agent_label}
    newest = chosen[-settings.history_messages :] if settings.history_messages else chosen
    return [f"{names[each.author]}: {plain(each.text)}" for each in newest]


def plain(text: str) -> str:
    """Without control characters: it comes from visitors, and goes to an agent's screen."""
    return _CONTROL.sub(" ", text)


def written(value: Any) -> str:
    """A fact."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
