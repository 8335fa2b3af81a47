"""Who types, both ways, where a workspace has a realtime connection."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from omnibridge.bootstrap_bots import relay_of
from omnibridge.config import Settings
from omnibridge.connector import Connector, HearsTyping
from omnibridge.engine.counters import Counters
from omnibridge.engine.hub import Hub
from omnibridge.engine.speaking import CredentialsOf
from omnibridge.engine.typing_notices import PartyTyping, VisitorTyping
from omnibridge.storage.database import Database

if TYPE_CHECKING:
    from omnibridge.rocketchat.realtime.typist import Typists


class TypingBothWays:
    """visitors: told to connectors. parties: shown on the hubs, None = no workspace has a connection to show it on."""

    def __init__(self, connectors: Mapping[str, Connector], database: Database, counters: Counters) -> None:
        self._database, self._counters = database, counters
        hears = {name: each for name, each in connectors.items() if isinstance(each, HearsTyping)}
        self.visitors = VisitorTyping(
            hears, database.reader, database.secret, lambda outcome: counters.add("typing_told", 1, outcome)
        )
        self.parties: PartyTyping | None = None
        self._typists: dict[str, Typists] = {}

    def begin(self, settings: Settings, hubs: Mapping[str, Hub], credentials: CredentialsOf) -> PartyTyping | None:
        """As soon as it is known who the bot users are. May be called again."""
        live = [each for each in settings.workspace if each.realtime]
        if not live:
            return None
        from omnibridge.rocketchat.realtime.typist import Typists  # loads a library that only this needs

        for each in live:
            count = partial(self._counters.add, "typing_shown", 1, each.name)
            self._typists[each.name] = Typists(each.url, hubs[each.name].client.name_for_typing, count)
        self.parties = PartyTyping(
            hubs, self._typists, {each.name: relay_of(each) for each in live}, settings.engine.typing_after_s,
            self._database.reader, self._database.secret, credentials,
        )  # fmt: skip
        return self.parties

    def said(self, connection: str, session_id: str, is_typing: bool) -> None:
        """A connector's side types."""
        if self.parties is not None:
            self.parties.said(connection, session_id, is_typing)

    async def aclose(self) -> None:
        await self.visitors.aclose()
        if self.parties is not None:
            await self.parties.aclose()
        for each in self._typists.values():
            await each.aclose()
