"""Rooms that are no conversations with visitors: channels and direct messages. Clients of the hub need some.

The bridge has nothing to do with them; that they are there shows that it leaves them alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from omnibridge.sandbox.state import HubError, Message, User, new_id, now_ms


@dataclass
class Channel:
    """kind: c (public channel) or d (direct messages; no name). members: user ids."""

    id: str
    kind: str
    name: str
    ts: int
    members: set[str] = field(default_factory=set)
    messages: list[Message] = field(default_factory=list)
    last_ts: int = 0


class Channels:
    """`general`, whose members are all users, and direct messages between two. on_saved: told each message."""

    def __init__(self, users: dict[str, User], on_saved: Callable[[Message], None]) -> None:
        self._users, self._on_saved = users, on_saved
        self.by_id: dict[str, Channel] = {}
        self.reset()

    def reset(self) -> None:
        self.by_id.clear()
        self._seq = 0
        self.by_id["GENERAL"] = Channel("GENERAL", "c", "general", now_ms())

    def find(self, name_or_id: str) -> Channel | None:
        """Names with or without `#`."""
        name = name_or_id.removeprefix("#")
        return self.by_id.get(name_or_id) or next((each for each in self.by_id.values() if name == each.name), None)

    def may_see(self, user: User, channel: Channel) -> bool:
        return channel.kind == "c" or user.id in channel.members

    def is_member(self, user: User, channel: Channel) -> bool:
        return channel.id == "GENERAL" or user.id in channel.members

    def of(self, user: User) -> list[Channel]:
        return [each for each in self.by_id.values() if self.is_member(user, each)]

    def direct(self, user: User, other: User) -> Channel:
        """Made when it is not there. The id is both user ids in order, as on the real hub."""
        rid = "".join(sorted((user.id, other.id)))
        if rid not in self.by_id:
            self.by_id[rid] = Channel(rid, "d", "", now_ms(), {user.id, other.id})
        return self.by_id[rid]

    def say(self, channel: Channel, user: User, text: str, message_id: str, **extras: Any) -> Message:
        """Raises HubError for who may not."""
        if not self.may_see(user, channel):
            raise HubError("error-not-allowed", "Not allowed")
        self._seq += 1
        channel.last_ts = max(channel.last_ts + 1, now_ms())
        kind = "bot" if "bot" in user.roles else "agent"
        message = Message(
            message_id or new_id(), channel.id, text, channel.last_ts, self._seq, user, kind, "hub", "", extras
        )
        channel.messages.append(message)
        channel.members.add(user.id)
        self._on_saved(message)
        return message
