"""Settings of a `[[connection]]` of kind `salesforce_live_agent`, and what of them is checked beyond their types."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec

from connectors.salesforce.ids import short_id
from connectors.salesforce.settings import API_NAME, ChatSettings, Length
from omnibridge.connector import ConfigError

_BOT_FACT = re.compile(r"[a-z][a-z0-9_]{0,63}")


class DetailSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A pre-chat detail: `fact` of the conversation, or the same `value` for all. A fact not known is left out.

    transcript_fields: API names on LiveChatTranscript. entity_maps, entity_field_maps: sent as they are.
    """

    label: str
    fact: str = ""
    value: str = ""
    display: bool = True
    transcript_fields: tuple[str, ...] = ()
    entity_maps: tuple[dict[str, Any], ...] = ()
    entity_field_maps: tuple[dict[str, Any], ...] = ()


class FieldSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """field: API name. label: of the detail that has the value. find, exact, create: how a record is found or made."""

    field: str
    label: str
    find: bool = False
    exact: bool = False
    create: bool = False


class EntitySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A record that Salesforce finds or makes for the chat. save_to_transcript: a look-up field such as `ContactId`."""

    name: str
    fields: tuple[FieldSettings, ...] = ()
    show_on_create: bool = False
    link_to_entity: str = ""
    link_to_field: str = ""
    save_to_transcript: str = ""


class SalesforceLiveAgentSettings(ChatSettings, frozen=True, forbid_unknown_fields=True):
    """endpoint: as Setup shows it (`https://d.la1-c1-xxx.salesforceliveagent.com/chat/rest/`). org_id, deployment_id,
    button_id: 15 or 18 characters.
    department_buttons: button of a department, for others than button_id: by what the bot names when it gives the
    conversation away, or by the id of the room's department, or, with "department_name" in `facts`, by its name.
    agent_fact: fact that names one agent (Salesforce user id), the button's if he is not there.
    button_overrides: buttons and agents (`agent_button` for both) to be tried one after the other instead.

    visitor_name_facts: the first that is known is the visitor's name; visitor_name: where none is.
    details, entities: pre-chat details, and records that are found or made of them.
    availability: ask first whether anybody is online, and decline at once where nobody is.
    idle: the time-outs that Salesforce tells are run here.
    sensitive_data: the org's rules for sensitive data are applied to what the visitor says and said before. A rule that
    cannot be applied (its pattern is not understood, or takes too long): `withhold` gives the words to nobody there and
    tells the visitor so, `send` gives them without that rule. `off`: no rule is applied.
    files: one goes to an agent who asked for it; file_links: else as a link, in the visitor's words.
    custom_events: those of agents are kept as contents that nobody is shown; else they are dropped, but for the types
    in event_facts (their data is the fact `bot.NAME` for rules), event_fields (it is written to this custom field of
    the room) and event_texts (the visitor reads this, `{data}` in it).
    event_on_accept: type of an event with the facts of the conversation (`facts`) as JSON, told to who accepts.
    restarts: so often a chat that is lost before anybody accepted is begun anew. longest_text: what is longer goes in
    pieces.
    """

    endpoint: str
    org_id: str
    deployment_id: str
    button_id: str
    department_buttons: dict[str, str] = msgspec.field(default_factory=dict)
    agent_fact: str = ""
    button_overrides: tuple[str, ...] = ()
    api_version: Annotated[int, msgspec.Meta(ge=37, le=99)] = 49
    visitor_name_facts: tuple[str, ...] = ("visitor_name", "visitor_username")
    visitor_name: str = "Visitor"
    details: tuple[DetailSettings, ...] = ()
    entities: tuple[EntitySettings, ...] = ()
    availability: bool = True
    idle: bool = True
    sensitive_data: Literal["withhold", "send", "off"] = "withhold"
    file_links: bool = True
    custom_events: bool = False
    event_facts: dict[str, str] = msgspec.field(default_factory=dict)
    event_fields: dict[str, str] = msgspec.field(default_factory=dict)
    event_texts: dict[str, str] = msgspec.field(default_factory=dict)
    event_on_accept: str = ""
    restarts: Annotated[int, msgspec.Meta(ge=0, le=10)] = 2
    longest_text: Length = 2_000
    most_chats: Annotated[int, msgspec.Meta(gt=0)] = 20_000

    def __post_init__(self) -> None:
        """So that `omnibridge config check` says it with its line, and not only doctor and start."""
        for key, prefix in (("org_id", "00D"), ("deployment_id", "572"), ("button_id", "573")):
            given = getattr(self, key)
            try:
                short_id(given)
            except ValueError as exc:
                raise ValueError(f"{key}: {exc}") from exc
            if not given.startswith(prefix):
                raise ValueError(f"{key} begins with {prefix}: is it another one of the three?")
        try:
            check(self)
        except ConfigError as exc:
            raise ValueError(str(exc)) from exc


def check(settings: SalesforceLiveAgentSettings) -> None:
    """Raises ConfigError for what cannot work. The address is checked by the client."""
    for department, button in settings.department_buttons.items():
        try:
            short_id(button)
        except ValueError as exc:
            raise ConfigError(f"department_buttons: {department}: {exc}") from None
    for each in settings.button_overrides:
        try:
            override_of(each)
        except ValueError as exc:
            raise ConfigError(f"button_overrides: {exc}") from None
    if wrong_names := [each for each in settings.event_facts.values() if not _BOT_FACT.fullmatch(each)]:
        raise ConfigError(f"event_facts: {wrong_names[0]!r}: a fact is letters, digits and _, without bot. in front")
    labels = [each.label for each in settings.details]
    if twice := [each for each in labels if labels.count(each) > 1]:
        raise ConfigError(f"details: the label {twice[0]!r} stands there twice")
    for detail in settings.details:
        if bool(detail.fact) == bool(detail.value):
            raise ConfigError(f"details: {detail.label!r} needs either fact or value")
        _names("details: transcript_fields", detail.transcript_fields)
    for entity in settings.entities:
        _check_entity(entity, labels)
    facts = (*(each.fact for each in settings.details), settings.agent_fact, settings.summary_fact)
    settings.check((*filter(None, facts), *settings.visitor_name_facts), "visitor_email or room.product")


def override_of(text: str) -> str:
    """A button, an agent, or `agent_button`, in ids of 15 characters. Raises ValueError."""
    return "_".join(short_id(each) for each in text.split("_", 1))


def _check_entity(entity: EntitySettings, labels: list[str]) -> None:
    _names("entities: name", (entity.name,))
    if bool(entity.link_to_entity) != bool(entity.link_to_field):
        raise ConfigError(f"entities: {entity.name} needs link_to_entity and link_to_field, or neither")
    for each in entity.fields:
        _names(f"entities: {entity.name}", (each.field,))
        if each.label not in labels:
            raise ConfigError(f"entities: {entity.name}.{each.field}: no detail has the label {each.label!r}")
        if entity.name == "Case" and each.find and each.exact:
            raise ConfigError(
                f"entities: Case.{each.field} with find and exact attaches the chat to an old case: use create only"
            )


def _names(where: str, names: tuple[str, ...]) -> None:
    if wrong := [each for each in names if not API_NAME.fullmatch(each)]:
        raise ConfigError(f"{where}: {wrong[0]!r} is no API name, such as Rocket_Room__c")
