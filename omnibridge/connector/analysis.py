"""Analysing without speaking: what an analyser is told, what it may find, and the protocols of both.

An analyser hears what is said in conversations and returns findings: for people beside the conversation, never for
the visitor. It has no bot user and is never in control.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import msgspec

from omnibridge.connector.context import ConnectorContext

MOST_ITEMS = 20
"""Findings of one message."""

LONGEST_TEXT = 2_000
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class _Finding(msgspec.Struct, frozen=True, tag_field="kind", omit_defaults=True):
    pass


class Intent(_Finding, frozen=True, tag="intent"):
    """What the writer wants. confidence: 0 to 1."""

    name: str
    confidence: float = 0.0


class SuggestedReply(_Finding, frozen=True, tag="reply"):
    """Words that the agent might use."""

    text: str


class Label(_Finding, frozen=True, tag="label"):
    """Anything with a number: a sentiment, a topic, a language."""

    name: str
    score: float = 0.0


class Reference(_Finding, frozen=True, tag="link"):
    """Something to read. url: http or https."""

    title: str
    url: str


class Note(_Finding, frozen=True, tag="note"):
    text: str


Finding = Intent | SuggestedReply | Label | Reference | Note


class Findings(msgspec.Struct, frozen=True, omit_defaults=True):
    """later: nothing yet, the analyser's system will post it to `results_path` with the message's `correlation`."""

    items: tuple[Finding, ...] = ()
    later: bool = False


Author = Literal["visitor", "agent", "bot"]


class Observed(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message of a conversation, once for each of its texts.

    session_id: as in `Turn`, but another one: never a conversation that a bot of ours leads.
    change: a deleted message has no text any more, and findings of it are not wanted.
    control: who leads the conversation now.
    correlation: what the findings of exactly this text are posted with, for some time. results_path: where.
    """

    workspace: str
    room: str
    session_id: str
    message_id: str
    author: Author
    text: str = ""
    ts: int = 0
    change: Literal["posted", "edited", "deleted"] = "posted"
    control: Literal["nobody", "bot", "people"] = "nobody"
    correlation: str = ""
    results_path: str = ""


class Said(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of a transcript. ts: the hub's time in ms."""

    message_id: str
    author: Author
    text: str
    ts: int = 0


class Transcript(msgspec.Struct, frozen=True, omit_defaults=True):
    """A conversation that is over, in the order in which it was said. id: the same for every attempt.

    complete: False when the hub could not be read; then it is what was reported to us.
    """

    id: str
    workspace: str
    room: str
    session_id: str
    said: tuple[Said, ...] = ()
    complete: bool = True


class Suggestion(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a bot would make of a text. intent: '' = none was found."""

    intent: str = ""
    confidence: float = 0.0
    reply: str = ""


class AnalysingConnector(Protocol):
    """Required of a connector that only analyses (`[[analyser]]`). Rules of the methods: as `Connector`'s."""

    settings_type: ClassVar[type[msgspec.Struct]]

    async def initialize(self, context: ConnectorContext) -> None: ...

    async def aclose(self) -> None: ...


@runtime_checkable
class Analyzes(Protocol):
    """Looks at messages. A connector that speaks too is asked with `analyses = true` of its connection."""

    version: str
    """Of the analyser: findings are kept by it, so those of another version are told apart."""

    async def on_observed(self, message: Observed) -> Findings | None:
        """What it finds; None = nothing. One call per conversation at a time, in the order in which it was said.

        May be called again with the same message: after a crash, or when it raised. Raises as `on_message`.
        """
        ...


@runtime_checkable
class ReadsTranscripts(Protocol):
    """Learns from conversations that are over."""

    async def on_transcript(self, transcript: Transcript) -> None:
        """Once for each conversation, after all its messages. Raises as `on_message`; then it is given again."""
        ...


@runtime_checkable
class HearsSettings(Protocol):
    """Wants to know what was changed before it is initialized again."""

    async def settings_changed(self, old: Any, new: Any) -> None:
        """Two instances of `settings_type`. Raises nothing."""
        ...


@runtime_checkable
class Suggests(Protocol):
    """A bot that can be asked what it would say, without being in a conversation."""

    async def suggest(self, text: str, session_id: str) -> Suggestion:
        """In a session of its own; nothing of it reaches a visitor. Raises as `on_message`."""
        ...


def bounded(found: Findings) -> Findings:
    """What is kept of findings: so many, of that length, without control characters and odd addresses."""
    items = [each for each in map(_bounded, found.items[:MOST_ITEMS]) if each is not None]
    return Findings(tuple(items), found.later)


def _bounded(item: Finding) -> Finding | None:
    match item:
        case Intent(name, confidence):
            return Intent(_clean(name, 200), _between(confidence, 1.0))
        case Label(name, score):
            return Label(_clean(name, 200), _between(score, 1e9))
        case Reference(title, url):
            is_sound = url.startswith(("http://", "https://")) and len(url) <= LONGEST_TEXT and url.isprintable()
            return Reference(_clean(title, 200), url) if is_sound and " " not in url else None
        case SuggestedReply(text):
            return SuggestedReply(_clean(text, LONGEST_TEXT))
        case Note(text):
            return Note(_clean(text, LONGEST_TEXT))


def _clean(text: str, longest: int) -> str:
    return _CONTROL.sub(" ", text)[:longest]


def _between(number: float, most: float) -> float:
    """NaN becomes 0."""
    return min(most, max(-most, number)) if number == number else 0.0
