"""People of an external system, and who they are on the hub."""

from __future__ import annotations

from typing import Literal

import msgspec

Mode = Literal["mapped", "provisioned", "pooled", "shared"]
"""An existing user; one that we made for this person; a proxy that carries the persona now; one bot for all."""

Reason = Literal[
    "unknown",
    "conflict",
    "creation_off",
    "not_synced",
    "over_budget",
    "waiting_seat",
    "waiting_approval",
    "pool_exhausted",
    "hub_error",
    "hub_refused",
    "limit",
]
"""Why nobody was found. conflict: two users claim the id, or one that nobody confirmed. waiting_seat: over the budget,
and the room shall wait. hub_error: try again. hub_refused: the hub says no, and would say it again.
limit: he has as many conversations as he may."""


class ExternalAgent(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who shall serve. system: name of the external system. id: theirs. departments: ids or names on the hub."""

    system: str
    id: str
    name: str = ""
    avatar_url: str = ""
    language: str = ""
    departments: tuple[str, ...] = ()


class AgentFound(msgspec.Struct, frozen=True, omit_defaults=True):
    """A user of the hub who can take the room now. persona: whose name is shown; '' = the user's own."""

    system: str
    external_id: str
    user_id: str
    username: str
    mode: str
    persona: str = ""


class AgentRefused(msgspec.Struct, frozen=True, omit_defaults=True):
    """Nobody can. reason: see `Reason`. text: what to do, for an operator."""

    system: str
    external_id: str
    reason: str
    text: str


class AgentPresence(msgspec.Struct, frozen=True):
    """Somebody on the hub made an agent available for chats, or not."""

    workspace: str
    system: str
    external_id: str
    available: bool
