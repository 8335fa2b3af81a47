"""Who wants to know at once what happens in the hub: the realtime streams."""

from __future__ import annotations

from omnibridge.sandbox.state import Message, Room, User, Visitor


class Listener:
    """Called right after each change, in the same step of the event loop. All methods do nothing here."""

    def message_saved(self, message: Message) -> None:
        """Stored for the first time, or edited."""

    def message_deleted(self, message: Message) -> None:
        """Gone from its room."""

    def room_changed(self, room: Room, what: str, who: User | Visitor | None) -> None:
        """what: opened, or what stands in the room's log (assigned, unassigned, queued, closed, transfer:...)."""

    def visitor_changed(self, visitor: Visitor) -> None:
        """Name, e-mail or phone."""

    def user_changed(self, user: User) -> None:
        """Presence, or availability for livechat."""
