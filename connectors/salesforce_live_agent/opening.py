"""What is told of a conversation when it is offered: who asks, pre-chat details, what was said before. Pure."""

from __future__ import annotations

from typing import Any

from connectors.salesforce.ids import short_id
from connectors.salesforce.opening import MOST_PIECES, history_lines, known_of, language_of, plain, written
from connectors.salesforce_live_agent.client import Detail, Entity, FieldMap, Visitor
from connectors.salesforce_live_agent.settings import (
    EntitySettings,
    FieldSettings,
    SalesforceLiveAgentSettings,
    override_of,
)
from omnibridge.connector.desks import Opening

LONGEST_DETAIL, LONGEST_NAME = 1_000, 80
MOST_FACTS = 30


def visitor_of(settings: SalesforceLiveAgentSettings, opening: Opening) -> Visitor:
    known = known_of(opening)
    names = (written(known.get(each)) for each in settings.visitor_name_facts)
    name = next((each for each in names if each.strip()), settings.visitor_name)
    buttons = {key.strip().casefold(): button for key, button in settings.department_buttons.items()}
    called = (opening.department, written(known.get("department")), written(known.get("department_name")))
    button = next((buttons[each] for name in called if (each := name.strip().casefold()) in buttons), "")
    try:
        agent = short_id(written(known.get(settings.agent_fact))) if settings.agent_fact else ""
    except ValueError:
        agent = ""
    details = _details(settings, known)
    return Visitor(
        plain(name)[:LONGEST_NAME],
        language=language_of(settings, opening.facts).replace("_", "-"),
        details=tuple(details),
        entities=tuple(_entities(settings, {each.label for each in details})),
        agent_id=agent,
        overrides=tuple(map(override_of, settings.button_overrides)),
        button_id=short_id(button) if button else "",
    )


def _details(settings: SalesforceLiveAgentSettings, known: dict[str, Any]) -> list[Detail]:
    found = []
    for each in settings.details:
        value = each.value or written(known.get(each.fact))
        if value:
            value = plain(value)[:LONGEST_DETAIL]
            maps = each.entity_maps, each.entity_field_maps
            found.append(Detail(each.label, value, each.transcript_fields, each.display, *maps))
    return found


def _entities(settings: SalesforceLiveAgentSettings, labels: set[str]) -> list[Entity]:
    """labels: of the details that are told. A record of which nothing is known is neither looked for nor made, and
    none is linked to it."""
    found = [(each, tuple(field for field in each.fields if field.label in labels)) for each in settings.entities]
    found = [(each, fields) for each, fields in found if fields or not each.fields]
    names = {each.name for each, _ in found} | ({each.link_to_entity for each, _ in found} - _names(settings))
    return [_entity(each, fields, is_linked=each.link_to_entity in names) for each, fields in found]


def _names(settings: SalesforceLiveAgentSettings) -> set[str]:
    return {each.name for each in settings.entities}


def _entity(each: EntitySettings, given: tuple[FieldSettings, ...], *, is_linked: bool) -> Entity:
    fields = tuple(FieldMap(field.field, field.label, field.find, field.exact, field.create) for field in given)
    links = (each.link_to_entity, each.link_to_field) if is_linked else ("", "")
    return Entity(each.name, fields, each.show_on_create, *links, each.save_to_transcript)


def event_of(settings: SalesforceLiveAgentSettings, opening: Opening) -> dict[str, str]:
    """What who accepts is told in an event of its own."""
    if not settings.event_on_accept:
        return {}
    known = {"department": opening.department, "reason": opening.reason, **opening.facts}
    found = {name: plain(written(value))[:LONGEST_DETAIL] for name, value in known.items()}
    return {name: value for name, value in list(found.items())[:MOST_FACTS] if value}


def history_of(settings: SalesforceLiveAgentSettings, opening: Opening, now_ms: int) -> tuple[str, ...]:
    """Messages for the agent to read first; of a conversation that is too long, its end."""
    lines = history_lines(settings, opening, now_ms)
    if not lines:
        return ()
    text = "\n".join([settings.history_title, *lines] if settings.history_title else lines)
    return cut(text, settings.longest_text)[-MOST_PIECES:]


def pieces(text: str, longest: int) -> tuple[str, ...]:
    """At most so long each, cut between words where that can be."""
    return tuple(each.strip() for each in cut(text, longest) if each.strip())


def cut(text: str, longest: int) -> tuple[str, ...]:
    """The same, and together they are the text."""
    found = []
    while len(text) > longest:
        at = max(text.rfind("\n", longest // 2, longest), text.rfind(" ", longest // 2, longest))
        at = at if at > 0 else longest
        found.append(text[:at])
        text = text[at:]
    return (*found, text)
