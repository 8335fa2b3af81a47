"""Settings of a `[[connection]]` of kind `salesforce_messaging`, and what of them is checked beyond their types."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from connectors.salesforce.ids import long_id
from connectors.salesforce.settings import API_NAME, ChatSettings, Length, Positive
from connectors.salesforce_messaging.tokens import Identity
from omnibridge.connector import ConfigError


class SalesforceMessagingSettings(ChatSettings, frozen=True, forbid_unknown_fields=True):
    """url: as Setup shows it (`https://ACME.my.salesforce-scrt.com`). org_id: 15 or 18 characters.
    es_developer_name: of a published deployment of type Custom Client.

    routing_attributes: hidden pre-chat field = fact of the conversation. fixed_attributes: field = the same for all.
    business_hours: outside of those of the deployment the desk declines at once.
    accept_bots: a bot of Salesforce that joins has accepted; off: only its people do, its words are shown either way.
    automatic: automatic words of Salesforce are shown. receipts: Salesforce is told what was delivered.

    user_key: private key (PEM, RSA) of user verification; user_key_id, user_issuer: as uploaded in Setup;
    user_audience: the org's My Domain URL, empty = left out. Empty key = visitors are guests, whose chats end with
    their token. user_fact: fact that says who the visitor is; empty, or nothing known = one user for each conversation.
    guest_end: when a guest's token is about to end, leave: the chat ends on both sides, and on_left follows (as
    `token-ended` in left_by and `[texts.desk]`); reopen: it goes on in another conversation, as another guest, and who
    takes that reads first what was said.
    renew_s: so long before its end a token is renewed, or a guest's chat ended or reopened.
    recheck_s: so often, about, entries are read although the stream is healthy, 0 = never: an event may be lost.
    longest_text: what is longer goes in pieces.
    streams: http2 = up to a hundred chats' streams share a connection, if Salesforce speaks HTTP/2 for them.
    """

    url: str
    org_id: str
    es_developer_name: str
    routing_attributes: dict[str, str] = msgspec.field(default_factory=dict)
    fixed_attributes: dict[str, str] = msgspec.field(default_factory=dict)
    business_hours: bool = True
    accept_bots: bool = False
    automatic: bool = True
    receipts: bool = True
    user_key: str = ""
    user_key_id: str = ""
    user_issuer: str = ""
    user_audience: str = ""
    user_fact: str = ""
    guest_end: Literal["leave", "reopen"] = "leave"
    renew_s: Positive = 60.0
    recheck_s: Annotated[float, msgspec.Meta(ge=0)] = 300.0
    longest_text: Length = 4_000
    streams: Literal["http1", "http2"] = "http1"

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
    if wrong := [each for each in names if not API_NAME.fullmatch(each)]:
        raise ConfigError(f"routing_attributes: {wrong[0]!r} is no API name of a field, such as Room_Id")
    if both := settings.routing_attributes.keys() & settings.fixed_attributes.keys():
        raise ConfigError(f"{min(both)} stands in routing_attributes and in fixed_attributes: keep one of them")
    settings.check(settings.routing_attributes.values(), "visitor_email or room.FIELD")
    if not settings.user_key:
        given = ("user_key_id", "user_issuer", "user_audience", "user_fact")
        if extra := [each for each in given if getattr(settings, each)]:
            raise ConfigError(f"{extra[0]} is of use with user_key only: add user_key_file, or leave it out")
        return None
    if missing := [each for each in ("user_key_id", "user_issuer") if not getattr(settings, each)]:
        raise ConfigError(f"user_key needs {missing[0]}: as in Setup > Embedded Service > User Verification")
    return Identity(settings.user_key, settings.user_key_id, settings.user_issuer, settings.user_audience)
