"""What a desk tells: people of another system took the conversation, will not take it, or ended it."""

from __future__ import annotations

from typing import Literal

from omnibridge.domain.agents import ExternalAgent
from omnibridge.domain.events import Event


class PartyAccepted(Event, frozen=True, tag="PartyAccepted"):
    """Somebody of a desk takes the conversation; agent: who, as far as the desk tells."""

    connection: str
    agent: ExternalAgent | None = None


class PartyDeclined(Event, frozen=True, tag="PartyDeclined"):
    """Nobody of a desk will take it: closed, nobody there, or refused. text: the desk's own words, for staff;
    says: what the visitor reads if the operator has no sentence for the code."""

    connection: str
    code: str
    text: str = ""
    says: str = ""


class PartyLeft(Event, frozen=True, tag="PartyLeft"):
    """A desk ended the conversation on its side. reason: a word of the connector's."""

    connection: str
    reason: str = ""


class NoticeGiven(Event, frozen=True, tag="NoticeGiven"):
    """A desk has something for the visitor to read. code: a word of the connector's; text: what is read if the operator
    has no words for it. values: of the `{names}` in either. line: it cannot be reached for now, or can again."""

    connection: str
    code: str
    text: str = ""
    values: dict[str, str] = {}  # noqa: RUF012  (msgspec copies it)
    line: Literal["", "lost", "back"] = ""


class QueuePositionChanged(Event, frozen=True, tag="QueuePositionChanged"):
    """Where the visitor stands in a desk's queue. position: 1 = next; 0 = not told. wait_s: -1 = not told.
    again: somebody had accepted, and gave it back."""

    connection: str
    position: int = 0
    wait_s: int = -1
    again: bool = False
