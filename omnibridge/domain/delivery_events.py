"""What became of what we sent: turns of parties, moves that the hub was asked for, what was given up."""

from __future__ import annotations

from omnibridge.domain.events import Event, UserRef


class TurnRepeated(Event, frozen=True, tag="TurnRepeated"):
    """A turn that may have arrived, and is not known to have been processed, is about to be given again."""

    connection: str
    delivery_id: int


class MoveSucceeded(Event, frozen=True, tag="MoveSucceeded"):
    """A transfer, assignment or return to the queue that we asked for was carried out."""

    delivery_id: int
    move: str
    target: str = ""


class MoveFailed(Event, frozen=True, tag="MoveFailed"):
    """The hub refused a move; `code` is its error code."""

    delivery_id: int
    move: str
    code: str
    target: str = ""
    served_by: UserRef | None = None


class DeliveryDelayed(Event, frozen=True, tag="DeliveryDelayed"):
    """A turn waits longer than the visitor should be left without a word."""

    delivery_id: int
    connection: str


class DeliveryBuried(Event, frozen=True, tag="DeliveryBuried"):
    """Given up: deadline passed or the other side will never take it."""

    delivery_id: int
    command: str
    connection: str = ""
    code: str = ""
    message_id: str = ""
    """Of the visitor's message, when it was a turn."""


class TurnResent(Event, frozen=True, tag="TurnResent"):
    """An operator had a turn sent again that had been given up; `delivery_id` is the new one."""

    delivery_id: int
    connection: str
    message_id: str = ""
    text: str = ""
    choice_value: str = ""
    welcome: bool = False
    late: bool = False
