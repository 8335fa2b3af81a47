"""Settings of a `[[connection]]` that both chats have, and what of them is checked beyond their types."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

from omnibridge.connector import ConfigError

Positive = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Length = Annotated[int, msgspec.Meta(ge=100, le=10_000)]
API_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
LANGUAGE = re.compile(r"[a-z]{2,3}([_-][A-Za-z]{2,4})?")
_FACT = re.compile(r"[a-z_]+(\.[^\s.]+)*")


class ChatSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """agent_system: the agents' system in `omnibridge agents`; their ids are Salesforce user ids of 18 characters.
    language: for visitors of whom language_facts tell none, as `en_US`.
    history: what the agent reads first. messages: what was said, the newest history_messages of it (0 = all), of the
    last history_minutes (0 = any age); summary: the text of summary_fact, or the messages where there is none.
    history_title: stands above it. visitor_label, bot_label, agent_label: who said a line.
    typing: Salesforce is told that the visitor types.
    trouble_s: nothing could be had of Salesforce for so long: the visitor is told (`trouble`). Shorter than
    `[engine] notice_after_s`, so that he does not read first that it takes longer.
    files: visitors' files are given to it; file_types: which, empty = any; max_file_bytes: Salesforce takes 5 MB.
    turn_timeout_s: for one request.
    """

    agent_system: str = "salesforce"
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
    typing: bool = True
    trouble_s: Positive = 4.0
    files: bool = True
    file_types: tuple[str, ...] = ()
    max_file_bytes: Annotated[int, msgspec.Meta(gt=0, le=5 << 20)] = 5 << 20
    turn_timeout_s: Positive = 20.0

    def check(self, facts: Iterable[str], such_as: str) -> None:
        """facts: those that other settings name. Raises ConfigError for what cannot work."""
        if wrong := [each for each in (*facts, *self.language_facts) if not _FACT.fullmatch(each)]:
            raise ConfigError(f"{wrong[0]!r} is no fact; facts are such as {such_as}")
        if self.history == "summary" and not self.summary_fact:
            raise ConfigError('history = "summary" needs summary_fact, such as bot.summary')
        if not LANGUAGE.fullmatch(self.language):
            raise ConfigError("language is one such as en or en_US")
