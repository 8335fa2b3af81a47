"""A decision: what to do, the next state, and everything it was made from, so that it can be re-run."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from omnibridge.domain.commands import Command
from omnibridge.domain.conversation import Conversation

Trust = Literal["ours", "staff", "crm", "visitor"]


class Fact(msgspec.Struct, frozen=True):
    """One value that rules may read. origin: where it was found; trust: who could have written it."""

    value: Any
    origin: str
    trust: Trust


class Considered(msgspec.Struct, frozen=True, omit_defaults=True):
    """A rule or a candidate that was looked at, and why it was chosen or not."""

    name: str
    chosen: bool = False
    why: str = ""


class Decision(msgspec.Struct, frozen=True, omit_defaults=True):
    """Result of `route()`.

    refuse_spoken: pending words of the old party are refused, because somebody took control from it.
    When a party passes control by itself they stay: they were said before the move, in the same stream.
    """

    reason: str
    after: Conversation
    commands: tuple[Command, ...] = ()
    facts: dict[str, Fact] = {}
    considered: tuple[Considered, ...] = ()
    rule: str = ""
    refuse_spoken: bool = False
