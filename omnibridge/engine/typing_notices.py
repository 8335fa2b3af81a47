"""Who types, both ways. It is over before it could be decided on: nothing of it is journalled or sent by the outbox.

visitor ─▶ realtime connection ─▶ VisitorTyping ─▶ connector.on_typing
connector.typing, or a turn that takes long ─▶ PartyTyping ─▶ the hub, as the user who serves
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
import structlog

from omnibridge.connector.interface import HearsTyping
from omnibridge.domain.conversation import Conversation
from omnibridge.engine.hub import Hub
from omnibridge.engine.ids import conversation_of, session_id
from omnibridge.engine.speaking import CredentialsOf, nobody
from omnibridge.errors import DeliveryError
from omnibridge.rocketchat.calls import Credentials
from omnibridge.rocketchat.realtime.translate import EXPIRES_S, Typing
from omnibridge.storage import conversations

_log = structlog.get_logger("omnibridge.typing")
_state = msgspec.json.Decoder(Conversation)

REPEAT_S = 5.0
"""So often it is said again that somebody still types (rocketchat-api 8.3)."""

SWEEP_S = 0.25
CALL_S = 5.0
"""A connector has this long to take a notice."""


class Shows(Protocol):
    """Of one workspace: shows on the hub that a user types. Raises nothing."""

    def show(self, account: Credentials, room: str, is_typing: bool) -> None: ...


class VisitorTyping:
    """hears: connection -> its connector, of those that want it. count: outcome of each notice."""

    def __init__(
        self, hears: Mapping[str, HearsTyping], reader: Any, secret: bytes, count: Callable[[str], None]
    ) -> None:
        self._hears, self._reader, self._secret, self._count = hears, reader, secret, count
        self._latest: dict[tuple[str, str], Typing] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def heard(self, workspace: str, notice: Typing) -> None:
        """While a connector is told, only the last notice of the same room waits."""
        if not self._hears:
            return
        key = (workspace, notice.room)
        is_told_now = key in self._latest
        self._latest[key] = notice
        if not is_told_now:
            task = asyncio.create_task(self._tell(key))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _tell(self, key: tuple[str, str]) -> None:
        told: Typing | None = None
        try:
            while told is not self._latest[key]:
                told = self._latest[key]
                await self._one(key[0], told)
        finally:
            del self._latest[key]

    async def _one(self, workspace: str, notice: Typing) -> None:
        """To the party in control, if it is the visitor who types."""
        found = conversations.load(self._reader, workspace, notice.room)
        if found is None:
            return
        conversation = _state.decode(found[2])
        connection = conversation.control.connection
        hears = self._hears.get(connection)
        if hears is None or conversation.closed or conversation.facts.get("visitor_username") != notice.username:
            return
        try:
            async with asyncio.timeout(CALL_S):
                await hears.on_typing(session_id(self._secret, found[0], connection), notice.is_typing)
            self._count("told")
        except (DeliveryError, TimeoutError):
            self._count("failed")
        except Exception as exc:  # a connector's defect; the next notice is tried all the same
            self._count("failed")
            _log.warning("connector_bug", connection=connection, reason=f"{type(exc).__name__}: {exc}"[:200])


@dataclass
class _Shown:
    """Somebody who types. show_at: when it is said, or said again. ends_at: when he has stopped without a word.
    account: as whom, once it was shown."""

    workspace: str
    conversation: Conversation
    connection: str
    show_at: float
    ends_at: float
    account: Credentials | None = None


class PartyTyping:
    """hubs, shows, relays: by workspace; those without a realtime connection are left out. after_s: turns that take
    longer are shown; 0 = none. credentials: of users that we made for external agents.

    One timer for all that is under way, so that a turn that is quick costs no more than a place in a table.
    """

    def __init__(
        self,
        hubs: Mapping[str, Hub],
        shows: Mapping[str, Shows],
        relays: Mapping[str, Credentials],
        after_s: float,
        reader: Any,
        secret: bytes,
        credentials: CredentialsOf = nobody,
    ) -> None:
        self._hubs, self._shows, self._relays, self._after_s = hubs, shows, relays, after_s
        self._reader, self._secret, self._credentials = reader, secret, credentials
        self._under_way: dict[object, _Shown] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def turn_began(self, key: int, workspace: str, conversation: Conversation, connection: str) -> None:
        """key: of the turn."""
        if self._after_s and workspace in self._shows:
            due = asyncio.get_running_loop().time() + self._after_s
            self._begin(key, _Shown(workspace, conversation, connection, due, float("inf")))

    def turn_ended(self, key: object) -> None:
        """Also for one that was never shown, or not told of."""
        shown = self._under_way.pop(key, None)
        if shown is not None and shown.account is not None:
            self._shows[shown.workspace].show(shown.account, shown.conversation.room, False)

    def said(self, connection: str, session: str, is_typing: bool) -> None:
        """A connector says that its side types, or has stopped; after EXPIRES_S without a word it has."""
        identity = conversation_of(self._secret, session, connection)
        place = conversations.room_of(self._reader, identity) if identity is not None else None
        if place is None or place[0] not in self._shows:
            return
        key, now = (connection, identity), asyncio.get_running_loop().time()
        known = self._under_way.get(key)
        if not is_typing:
            self.turn_ended(key)
        elif known is not None:
            known.ends_at = now + EXPIRES_S
        else:
            found = conversations.load(self._reader, *place)
            conversation = _state.decode(found[2]) if found else None
            if conversation and not conversation.closed and conversation.control.connection == connection:
                self._begin(key, _Shown(place[0], conversation, connection, now, now + EXPIRES_S))

    async def aclose(self) -> None:
        """Nobody is shown to type any more."""
        if self._sweeper:
            self._sweeper.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, key: object, shown: _Shown) -> None:
        self._under_way[key] = shown
        if shown.show_at <= asyncio.get_running_loop().time():
            self._show(shown)
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        now = asyncio.get_running_loop().time()
        for key, shown in list(self._under_way.items()):
            if shown.ends_at <= now:
                self.turn_ended(key)
            elif shown.show_at <= now:
                self._show(shown)
        self._sweeper = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep) if self._under_way else None

    def _show(self, shown: _Shown) -> None:
        shown.show_at = asyncio.get_running_loop().time() + REPEAT_S
        if shown.account is not None:
            self._shows[shown.workspace].show(shown.account, shown.conversation.room, True)
            return
        task = asyncio.create_task(self._find_and_show(shown))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _find_and_show(self, shown: _Shown) -> None:
        account = await self._account(shown)
        if shown in self._under_way.values():  # it may be over meanwhile
            shown.account = account
            self._shows[shown.workspace].show(account, shown.conversation.room, True)

    async def _account(self, shown: _Shown) -> Credentials:
        """Of who serves, so that the visitor sees his face; of the relay account when we cannot speak as he."""
        hub, served_by = self._hubs[shown.workspace], shown.conversation.served_by
        relay = self._relays[shown.workspace]
        if served_by is None:
            return relay
        if served_by.id == hub.bot_ids.get(shown.connection):
            return hub.posters[shown.connection]
        try:
            return await self._credentials(shown.workspace, served_by.id, None) or relay
        except DeliveryError:
            return relay
