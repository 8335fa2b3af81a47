"""One workspace as the senders see it: how it is reached, who posts, and who of its users is no person."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from omnibridge.domain.events import UserRef
from omnibridge.rocketchat.app_client import AppClient
from omnibridge.rocketchat.client import Credentials, RocketChatClient
from omnibridge.rocketchat.rooms import RoomInfo


@dataclass(frozen=True)
class Hub:
    """posters: connection -> its bot user's credentials.

    bot_ids: connection -> user id. holders: user ids of those who only hold conversations.
    only_by_decision: whether a user is left out when people are looked for. app: the companion app, where it is.
    """

    client: RocketChatClient
    posters: Mapping[str, Credentials]
    bot_ids: Mapping[str, str]
    holders: frozenset[str] = frozenset()
    only_by_decision: Callable[[UserRef], bool] | None = None
    app: AppClient | None = None

    def is_ours(self, user: UserRef) -> bool:
        """Whether he is a bot, a holder, or somebody that we made: no person is pushed out when a bot gets the room."""
        if user.id in self.holders or user.id in self.bot_ids.values():
            return True
        return bool(self.only_by_decision and self.only_by_decision(user))

    def person_of(self, room: RoomInfo) -> UserRef | None:
        """Who serves it, if that is neither a bot nor a holder."""
        served_by = room.served_by
        return served_by if served_by and served_by.id not in self.no_people else None

    @property
    def no_people(self) -> set[str]:
        """User ids that are bots or holders."""
        return {*self.bot_ids.values(), *self.holders}
