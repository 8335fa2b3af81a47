"""Sentences of ours that visitors read, in the language that their conversation's facts tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec


class Texts(msgspec.Struct, frozen=True):
    """Sentences of ours that a visitor may read; empty = say nothing.

    desk: what a desk's `CODE` is for visitors: why it does not take a conversation or ended it, or a notice of it;
    `CONNECTION:CODE` goes first.
    languages: whole sets of sentences, by `de` or `de-AT`, lower case. language_facts: which facts tell a visitor's.
    """

    bot_down: str = "The assistant cannot be reached right now."
    delayed: str = "One moment please, this is taking longer than usual."
    nobody_online: str = "Nobody is available right now. Please leave a message or try again later."
    handover: str = "I am connecting you with a colleague."
    undeliverable: str = "One answer could not be delivered. Please ask again."
    no_files: str = "I cannot read files. Please describe it in words."
    file_too_big: str = "{name} is too big: at most {limit} can be read here."
    file_type: str = "{name} cannot be read here: files of this type are not taken."
    file_count: str = "At most {limit} files can be read at a time; the others were not."
    file_lost: str = "A file for you could not be delivered: {name}."
    close_comment: str = "Closed by the assistant."
    speaks_as: str = "{name}: "
    queue_position: str = "You are number {position} in the queue."
    queue_position_wait: str = "You are number {position} in the queue; the wait is about {minutes} min."
    queue_wait: str = "The wait is about {minutes} min."
    desk_left: str = ""
    pressed: str = ""
    desk: dict[str, str] = {}
    language_facts: tuple[str, ...] = ("visitor.language", "room.language")
    languages: dict[str, Texts] = {}

    def for_facts(self, read: Callable[[str], Any]) -> Texts:
        """Those of the first fact that tells a language we have; `de` serves `de-AT`. read: a fact, or None."""
        if not self.languages:
            return self
        for name in self.language_facts:
            wanted = language_tag(read(name))
            found = self.languages.get(wanted) or self.languages.get(wanted.partition("-")[0])
            if found is not None:
                return found
        return self

    def of_desk(self, connection: str, code: str) -> str | None:
        """What the visitor reads when this desk tells that code; empty = nothing at all, None = it is not said here."""
        wanted = code.casefold()
        return self.desk.get(f"{connection}:{wanted}", self.desk.get(wanted))


def language_tag(value: Any) -> str:
    """`de_AT` -> `de-at`. Empty for what is no text."""
    return value.strip().replace("_", "-").casefold() if isinstance(value, str) else ""
