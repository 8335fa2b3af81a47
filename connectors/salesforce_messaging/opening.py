"""What is told of a conversation when it is offered: routing attributes, language, and what was said before. Pure."""

from __future__ import annotations

from connectors.salesforce.opening import MOST_PIECES, history_lines, known_of, language_of, plain, written
from connectors.salesforce_messaging.client import NewSession
from connectors.salesforce_messaging.content import pieces
from connectors.salesforce_messaging.settings import SalesforceMessagingSettings
from omnibridge.connector.desks import Opening

LONGEST_ATTRIBUTE = 255


def session_of(settings: SalesforceMessagingSettings, opening: Opening) -> NewSession:
    """Facts that are not known are left out."""
    known = known_of(opening)
    found = dict(settings.fixed_attributes)
    for name, fact in settings.routing_attributes.items():
        value = known.get(fact)
        if value not in (None, ""):
            found[name] = plain(written(value))[:LONGEST_ATTRIBUTE]
    return NewSession(found, language_of(settings, opening.facts).replace("-", "_"))


def history_of(settings: SalesforceMessagingSettings, opening: Opening, now_ms: int) -> tuple[str, ...]:
    """Messages for the agent to read first; of a conversation that is too long, its end."""
    return with_title(settings, settings.history_title, history_lines(settings, opening, now_ms))


def with_title(settings: SalesforceMessagingSettings, title: str, lines: list[str]) -> tuple[str, ...]:
    """As messages; what is too much of them is left out at the beginning."""
    if not lines:
        return ()
    return tuple(pieces("\n".join([title, *lines] if title else lines), settings.longest_text)[-MOST_PIECES:])
