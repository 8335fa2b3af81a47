"""What the router may know about who exists: a snapshot, stored by hash with the decisions made from it."""

from __future__ import annotations

from typing import Literal

import msgspec

from omnibridge.domain.files import FilePolicy

OnFailure = Literal["ladder", "queue", "bot"]
"""What follows when a decider names nobody who can serve."""


Way = Literal["ladder", "queue", "bot", "close"]
"""What follows when a desk does not take a conversation, or has ended it: people of the workspace by the ladder, or
whoever takes it from the queue, or the bot that gave it, or the close."""


class Desk(msgspec.Struct, frozen=True, omit_defaults=True):
    """How people of another system are asked to take conversations. Times in ms.

    offer: for somebody of the desk to accept. turn: how long the visitor's words wait for a desk that is down.
    declined_by, left_by: what follows for a reason of its own, by its code in lower case.
    """

    offer_ms: int = 180_000
    turn_ms: int = 86_400_000
    on_declined: Way = "ladder"
    on_left: Way = "close"
    declined_by: dict[str, Way] = {}
    left_by: dict[str, Way] = {}


class BotConnection(msgspec.Struct, frozen=True, omit_defaults=True):
    """A configured backend and the Rocket.Chat user that speaks for it in one workspace.

    fallbacks: answers not understood in a row before people are asked; 0 = never.
    """

    name: str
    workspace: str
    user_id: str
    username: str
    welcomes: bool = False
    fallbacks: int = 3
    handover_when_down: bool = True
    decider: str = ""
    """Who is asked when this bot gives way; empty = as the rules say."""
    hands_to: str = ""
    """The desk that is offered the conversation when this bot gives way, before anything else."""
    desk: Desk | None = None
    """It is no bot, but people behind it."""
    files: FilePolicy | None = None
    """What it takes of visitors' files; None = none at all."""
    uploads: bool = False
    """Its pictures and files are uploaded into the room; off: the visitor gets links."""
    hears_edits: bool = False
    """It wants to know when a visitor changes or deletes what he wrote."""


class HoldingBot(msgspec.Struct, frozen=True):
    """A user that has conversations until it is decided who serves them; it never says anything."""

    workspace: str
    user_id: str
    username: str


class Decider(msgspec.Struct, frozen=True, omit_defaults=True):
    """An external system that is asked who shall serve. Times in ms.

    timeout: for its answer. ticket: for the decision that it promised. move: for the agent to be given the room.
    asks: questions per handover; a named agent who cannot serve leads to the next one, with his id excluded.
    on_failure: people by the ladder of the rules, or wait in the queue, or the bot goes on.
    """

    name: str
    timeout_ms: int = 3_000
    ticket_ms: int = 60_000
    move_ms: int = 30_000
    asks: int = 2
    on_failure: OnFailure = "ladder"
    over_auto_selection: bool = False
    """Asked about a new visitor, its answer counts more than whom the hub chose at once by itself."""


class Directory(msgspec.Struct, frozen=True, omit_defaults=True):
    """All connections, in the order of the configuration, and who decides and holds."""

    connections: tuple[BotConnection, ...] = ()
    deciders: tuple[Decider, ...] = ()
    holders: tuple[HoldingBot, ...] = ()
    look_again_ms: int = 30_000
    """What a holding bot has, and nothing is under way for, is decided again after this long."""
    departments: dict[str, dict[str, str]] | None = None
    """Workspace -> id -> name, as known when this was made. None = no rule asks."""
    choosing: tuple[str, ...] = ()
    """Workspaces whose hub gives new visitors to agents by itself."""

    def departments_of(self, workspace: str) -> dict[str, str] | None:
        """Id -> name; None when no rule asks for any."""
        return None if self.departments is None else self.departments.get(workspace, {})

    def decider(self, name: str) -> Decider | None:
        """By name; None when it is not configured (any more)."""
        return next((each for each in self.deciders if each.name == name), None)

    def holds(self, workspace: str, user_id: str) -> bool:
        """Whether a user only holds conversations."""
        return any(each.user_id == user_id and each.workspace == workspace for each in self.holders)

    def serving_ids(self) -> set[str]:
        """User ids that are no people: bots, and those who hold conversations."""
        return {each.user_id for each in self.connections} | {each.user_id for each in self.holders}

    def connection(self, name: str) -> BotConnection | None:
        """By name; None when it is not configured (any more)."""
        return next((each for each in self.connections if each.name == name), None)

    def first_of(self, workspace: str) -> BotConnection | None:
        """The first connection of a workspace: where a chat goes when no rule says otherwise."""
        return next((each for each in self.connections if each.workspace == workspace), None)
