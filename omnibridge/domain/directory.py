"""What the router may know about who exists: a snapshot, stored by hash with the decisions made from it."""

from __future__ import annotations

import msgspec


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


class Directory(msgspec.Struct, frozen=True):
    """All connections, in the order of the configuration."""

    connections: tuple[BotConnection, ...] = ()

    def connection(self, name: str) -> BotConnection | None:
        """By name; None when it is not configured (any more)."""
        return next((each for each in self.connections if each.name == name), None)

    def first_of(self, workspace: str) -> BotConnection | None:
        """The first connection of a workspace: where a chat goes when no rule says otherwise."""
        return next((each for each in self.connections if each.workspace == workspace), None)
