"""Settings of a `[[connection]]` of kind `dialogflow`."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Edition = Literal["es", "cx"]
LongText = Literal["", "split", "cut", "whole", "tell"]
Seconds = Annotated[float, msgspec.Meta(gt=0)]


class DialogflowSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """edition: `es` or `cx`. project: empty = that of the key. location: `global` or a region such as
    `europe-west1`; an agent's never changes. agent: CX only, the agent's UUID. environment: empty = the draft.
    flow_versions: CX only, `FLOW/VERSION` each, in place of what the environment says.

    credentials: the JSON of a service account's key, or its PEM alone with `client_email`; empty = what Google's
    libraries find (workload identity, GOOGLE_APPLICATION_CREDENTIALS).
    url: empty = Google's host for the location. `grpc://127.0.0.1:PORT` is a simulator on this machine, without TLS.

    languages: those of the agent, the first one for visitors whose language is none of them. language_facts: facts
    that may tell a visitor's language, the first that does counts.
    platform: ES: messages for this platform only, such as `FACEBOOK`, else those for none. CX: the channel.
    welcome: event when a conversation starts, such as `Welcome`; close_event: when it ends; empty = none.
    facts_context: ES: the facts are parameters of this context, `#omnibridge.visitor_name`; empty = of none.
    fields: parameter of the agent = custom field of the room that it is written to. sentiment: have the visitor's
    words judged, for rules: `bot.sentiment_score`, -1 to 1. sentiment_field: write that to this custom field too.
    department_keys: where a handoff's metadata may name the department.

    turn_timeout_s: for one request; the agent's own webhook has 5 s.
    settle_s: ES: after a call that broke, how long the agent may still be at work on it, before it is believed that the
    turn never arrived and it is given again; 0 = that is not found out. lost_text: what the visitor reads when it did
    and its answer is lost; counts as not understood. Empty = people take over.
    long_text: for what is longer than 256 characters. split: in pieces, one after the other; cut: the first 256, the
    rest is in the payload; tell: the visitor reads `long_text_answer`; whole: as it is, CX alone takes that.
    Empty = split for ES, whole for CX.
    silent_text: what the visitor reads when the agent says nothing to a message; counts as not understood.
    keep_contexts_s: how long what the agent knew is kept for it while people serve; 0 = not at all.
    keep_alive_event: ES: an event that is sent to it meanwhile every `keep_alive_every_s`, until `keep_contexts_s`.
    """

    edition: Edition = "es"
    project: str = ""
    location: str = "global"
    agent: str = ""
    environment: str = ""
    flow_versions: tuple[str, ...] = ()
    credentials: str = ""
    client_email: str = ""
    url: str = ""
    languages: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = ("en",)
    language_facts: tuple[str, ...] = ("visitor.language", "room.language")
    time_zone: str = ""
    platform: str = ""
    welcome: str = ""
    close_event: str = ""
    facts_context: str = "omnibridge"
    fields: dict[str, str] = {}
    sentiment: bool = False
    sentiment_field: str = ""
    department_keys: tuple[str, ...] = ("department", "team", "skill")
    turn_timeout_s: Seconds = 8.0
    settle_s: Annotated[float, msgspec.Meta(ge=0)] = 6.0
    lost_text: str = ""
    long_text: LongText = ""
    long_text_answer: str = "That is too long for me. Please say it in one or two sentences."
    silent_text: str = ""
    keep_contexts_s: Annotated[int, msgspec.Meta(ge=0, le=86_400)] = 7200
    keep_alive_event: str = ""
    keep_alive_every_s: Seconds = 300.0

    @property
    def asks_sentiment(self) -> bool:
        """Google charges for it."""
        return self.sentiment or bool(self.sentiment_field)

    def __post_init__(self) -> None:
        """What `omnibridge config check` finds. Raises ValueError; never with a part of the key."""
        from connectors.dialogflow.credentials import project_of, read_key
        from connectors.dialogflow.names import check

        key = read_key(self.credentials, self.client_email)
        check(self, self.project or project_of(key))
