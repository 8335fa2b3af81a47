"""Settings of a `[[connection]]` of kind `salesforce_messaging`, and what of them is checked beyond their types."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from connectors.salesforce_messaging.ids import long_id
from connectors.salesforce_messaging.tokens import Identity
from omnibridge.connector import ConfigError

Positive = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=0)]
_ATTRIBUTE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_FACT = re.compile(r"[a-z_]+(\.[^\s.]+)*")


class SalesforceMessagingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """url: as Setup shows it (`https://ACME.my.salesforce-scrt.com`). org_id: 15 or 18 characters.
    es_developer_name: of a published deployment of type Custom Client.

    agent_system: the agents' system in `omnibridge agents`; their ids are Salesforce user ids of 18 characters.
    routing_attributes: hidden pre-chat field = fact of the conversation. fixed_attributes: field = the same for all.
    language: for visitors of whom language_facts tell none, as `en_US`.
    history: what the agent reads first. messages: what was said, the newest history_messages of it (0 = all), of the
    last history_minutes (0 = any age); summary: the text of summary_fact, or the messages where there is none.
    history_title: stands above it. visitor_label, bot_label, agent_label: who said a line.
    business_hours: outside of those of the deployment the desk declines at once.
    accept_bots: a bot of Salesforce that joins has accepted; off: only its people do, its words are shown either way.
    automatic: automatic words of Salesforce are shown. receipts: Salesforce is told what was delivered.
    typing: it is told that the visitor types.
    trouble_s: no stream could be opened for so long: the visitor is told (`trouble`).
    files: visitors' files are given to it; file_types: which, empty = any; max_file_bytes: Salesforce takes 5 MB.

    user_key: private key (PEM, RSA) of user verification; user_key_id, user_issuer: as uploaded in Setup;
    user_audience: the org's My Domain URL, empty = left out. Empty key = visitors are guests, whose chats end with
    their token. user_fact: fact that says who the visitor is; empty, or nothing known = one user for each conversation.
    guest_end: when a guest's token is about to end, leave: the chat ends on both sides, and on_left follows (as
    `token-ended` in left_by and `[texts.desk]`); reopen: it goes on in another conversation, as another guest, and who
    takes that reads first what was said.
    renew_s: so long before its end a token is renewed, or a guest's chat ended or reopened.
    recheck_s: so often, about, entries are read although the stream is healthy, 0 = never: an event may be lost.
    turn_timeout_s: for one request. longest_text: what is longer goes in pieces.
    """

    url: str
    org_id: str
    es_developer_name: str
    agent_system: str = "salesforce"
    routing_attributes: dict[str, str] = {}
    fixed_attributes: dict[str, str] = {}
    language: str = "en_US"
    language_facts: tuple[str, ...] = ("visitor.language", "room.language")
    history: Literal["messages", "summary", "none"] = "messages"
    history_messages: Count = 50
    history_minutes: Count = 0
    history_title: str = "Conversation so far:"
    summary_fact: str = ""
    visitor_label: str = "Visitor"
    bot_label: str = "Bot"
    agent_label: str = "Agent"
    business_hours: bool = True
    accept_bots: bool = False
    automatic: bool = True
    receipts: bool = True
    typing: bool = True
    trouble_s: Positive = 4.0
    files: bool = True
    file_types: tuple[str, ...] = ()
    max_file_bytes: Annotated[int, msgspec.Meta(gt=0, le=5 << 20)] = 5 << 20
    user_key: str = ""
    user_key_id: str = ""
    user_issuer: str = ""
    user_audience: str = ""
    user_fact: str = ""
    guest_end: Literal["leave", "reopen"] = "leave"
    renew_s: Positive = 60.0
    recheck_s: Annotated[float, msgspec.Meta(ge=0)] = 300.0
    turn_timeout_s: Positive = 20.0
    longest_text: Annotated[int, msgspec.Meta(ge=100, le=10_000)] = 4_000

    def __post_init__(self) -> None:
        """So that `omnibridge config check` says it with its line, and not only doctor and start."""
        if not self.org_id.startswith("00D"):
            raise ValueError("org_id begins with 00D: Setup > Company Information, or the deployment's snippet")
        try:
            long_id(self.org_id)
        except ValueError as exc:
            raise ValueError(f"org_id: {exc}") from exc
        if (urlsplit(self.url).hostname or "").endswith(".my.salesforce.com"):
            raise ValueError("url is that of the deployment's snippet, as https://NAME.my.salesforce-scrt.com")
        try:
            checked(self)
        except ConfigError as exc:
            raise ValueError(str(exc)) from exc


def checked(settings: SalesforceMessagingSettings) -> Identity | None:
    """Who signs for visitors, None = they are guests. Raises ConfigError for what cannot work."""
    names = (*settings.routing_attributes, *settings.fixed_attributes)
    if wrong := [each for each in names if not _ATTRIBUTE.fullmatch(each)]:
        raise ConfigError(f"routing_attributes: {wrong[0]!r} is no API name of a field, such as Room_Id")
    if both := settings.routing_attributes.keys() & settings.fixed_attributes.keys():
        raise ConfigError(f"{min(both)} stands in routing_attributes and in fixed_attributes: keep one of them")
    facts = (*settings.routing_attributes.values(), *settings.language_facts)
    if wrong := [each for each in facts if not _FACT.fullmatch(each)]:
        raise ConfigError(f"{wrong[0]!r} is no fact; facts are such as visitor_email or room.FIELD")
    if settings.history == "summary" and not settings.summary_fact:
        raise ConfigError('history = "summary" needs summary_fact, such as bot.summary')
    if not re.fullmatch(r"[a-z]{2,3}([_-][A-Za-z]{2,4})?", settings.language):
        raise ConfigError("language is one such as en or en_US")
    if not settings.user_key:
        given = ("user_key_id", "user_issuer", "user_audience", "user_fact")
        if extra := [each for each in given if getattr(settings, each)]:
            raise ConfigError(f"{extra[0]} is of use with user_key only: add user_key_file, or leave it out")
        return None
    if missing := [each for each in ("user_key_id", "user_issuer") if not getattr(settings, each)]:
        raise ConfigError(f"user_key needs {missing[0]}: as in Setup > Embedded Service > User Verification")
    return Identity(settings.user_key, settings.user_key_id, settings.user_issuer, settings.user_audience)
