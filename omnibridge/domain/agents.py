"""People that an external system knows by its own id, and what became of the wish to have one in Rocket.Chat."""

from __future__ import annotations

import msgspec


class ExternalAgent(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who shall serve, as the external system names him. All but `system` and `id` may be missing."""

    system: str
    id: str
    name: str = ""
    avatar_url: str = ""
    language: str = ""
    departments: tuple[str, ...] = ()


class AgentFound(msgspec.Struct, frozen=True, omit_defaults=True):
    """The user that serves for him. mode: mapped, provisioned, pooled or shared. persona: who the visitor sees."""

    system: str
    external_id: str
    user_id: str
    username: str
    mode: str
    persona: str = ""


class AgentRefused(msgspec.Struct, frozen=True, omit_defaults=True):
    """There is no user for him. reason: unknown, conflict, creation_off, not_synced, over_budget, waiting_approval,
    pool_exhausted or hub_error. text: the same for people."""

    system: str
    external_id: str
    reason: str
    text: str
