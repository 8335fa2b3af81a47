"""Comparing the hub's rooms and histories with what is known. Pure; what follows from it is in `derive.py`.

Everything is told in the hub's own time, which may differ from ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from omnibridge.rocketchat.rooms import HubMessage, RoomInfo


class RoomHistory(msgspec.Struct, frozen=True):
    """A room as the hub shows it, and those of its messages that no report told us of, oldest first.

    answered_at_ms: what the visitor wrote before is answered, 0 = nothing is. known_server: id of who served, as we
    knew it when the hub was asked; empty = nobody. known_changes: how often service had changed by then, -1 = not
    counted. deleted: ids of messages that we know.
    """

    room: RoomInfo
    messages: tuple[HubMessage, ...]
    answered_at_ms: int = 0
    known_server: str = ""
    deleted: tuple[str, ...] = ()
    known_changes: int = -1


@dataclass(frozen=True)
class Missing:
    """What we lack of a history, oldest first. answered_at_ms: what the visitor wrote before is answered, 0 =
    nothing is. n_young: how many more there are that a report may still tell."""

    messages: tuple[HubMessage, ...] = ()
    answered_at_ms: int = 0
    n_young: int = 0


@dataclass(frozen=True)
class Known:
    """A conversation of ours as far as a room list can contradict it. server: id of who serves. changes: how often
    that changed."""

    closed: bool
    server: str
    department: str
    changes: int = 0


class Told(Protocol):
    """What we were told of one conversation, or did in it."""

    def is_posted(self, message: HubMessage) -> bool:
        """Reported before, or written by us."""

    def is_edited(self, message: HubMessage) -> bool:
        """Its last edit was reported before, or it is ours."""

    def lacks_deletion(self, message_id: str) -> bool:
        """A message that was reported, or written by us, and that nobody told us is deleted."""

    def answers(self, message_id: str) -> str | None:
        """For words of ours the id of the visitor's message that they answer, empty when they answer none (as
        "one moment please"); None for words of others."""


def hub_clock_ms(told_ms: int | None, now_ms: int) -> int:
    """Now by the hub's clock, which it tells in whole seconds, a second old perhaps: ours, if they agree so far."""
    if told_ms is None or 0 <= now_ms - told_ms <= 2_500:
        return now_ms
    return told_ms


def needs_history(room: RoomInfo, since_ms: int) -> bool:
    """Whether something was written after the time up to which all rooms were compared."""
    return room.last_message_at_ms > since_ms


def is_before(room: RoomInfo, since_ms: int) -> bool:
    """An unknown room that was there, and silent, before we were: not ours to begin with."""
    return room.created_at_ms <= since_ms and not needs_history(room, since_ms)


def differs(room: RoomInfo, known: Known | None, settled_ms: int) -> bool:
    """Whether the room tells of a change that no report has told. settled_ms: a report of what happened later
    may still be on its way."""
    if known is None:
        return not room.open or room.created_at_ms <= settled_ms
    if known.closed or not room.open:
        return not known.closed  # what is closed stays closed: the list may be older than the close
    server = room.served_by.id if room.served_by else ""
    is_other = server != known.server or bool(room.department and room.department != known.department)
    return is_other and room.served_at_ms <= settled_ms


def missing(history: Sequence[HubMessage], room: RoomInfo, told: Told, since_ms: int, settled_ms: int) -> Missing:
    """What a history has and we lack.

    What was written up to since_ms was compared before, or belongs to a time before we were: an old message comes
    along when the hub touched it since. What was written after settled_ms is left to its report, unless the room
    is closed.
    """
    said = sorted((each for each in history if not each.system_type), key=lambda each: each.ts_ms)
    unknown = [each for each in said if _is_lacking(each, told, since_ms)]
    lacking = [each for each in unknown if each.ts_ms <= settled_ms or not room.open]
    if not lacking:
        return Missing(n_young=len(unknown))
    times = {each.id: each.ts_ms for each in said}
    answers = (_answered_ms(each, told, times) for each in said if not is_by_visitor(each, room))
    return Missing(tuple(lacking), max(answers, default=0), len(unknown) - len(lacking))


def _is_lacking(message: HubMessage, told: Told, since_ms: int) -> bool:
    if told.is_posted(message):
        return message.edited_at_ms is not None and not told.is_edited(message)
    return message.ts_ms > since_ms


def _answered_ms(message: HubMessage, told: Told, times: Mapping[str, int]) -> int:
    """Up to when this word answers what the visitor wrote. What our bot says answers the message it was given,
    whenever it appears: after a start it still answers what came before the gap."""
    turn = told.answers(message.id)
    return message.ts_ms if turn is None else times.get(turn, 0)


def is_by_visitor(message: HubMessage, room: RoomInfo) -> bool:
    """By the visitor's token, which only his messages have, or by the author's id (9.1)."""
    return message.from_visitor or bool(room.visitor_id and message.author_id == room.visitor_id)
