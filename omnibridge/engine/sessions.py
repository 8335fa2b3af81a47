"""Sessions with desks: opened once, followed by one, gone on with after a restart.

    OpenSession ──▶ connector.open ──▶ state kept ──▶ connector.follow ──tell──▶ journal ──▶ lane
                                          ▲ with each thing told, in its commit

A session is followed only while it is *held*: until a time that is written down and renewed for all of them in one
statement. A process that was stopped for a minute asks again before it asks the desk for anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

import msgspec
import structlog

from omnibridge.clock import Clock
from omnibridge.connector.analysis import Said
from omnibridge.connector.desks import HoldsSessions, Opening
from omnibridge.engine.counters import Counters
from omnibridge.engine.desk_events import DESK, told_key
from omnibridge.engine.ids import IdSequence, session_id
from omnibridge.engine.lanes import Lanes
from omnibridge.errors import StorageError
from omnibridge.storage import conversations, sessions
from omnibridge.storage.database import Database
from omnibridge.storage.journal import Observation
from omnibridge.storage.sessions import SessionRow
from omnibridge.storage.writer import Unit

_log = structlog.get_logger("omnibridge.sessions")

HELD_MS = 30_000
MARGIN_MS = 5_000
"""A request for news ends this long before nobody is sure any more that we may ask."""

RENEW_S = 8.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
AT_A_TIME, PACE_S = 50, 0.125
"""At a start: so many sessions are followed again, then a breath: neither side has all of them in one moment. 5,000
take 13 s, well within the 40 s that a desk waits for its visitor; at 1,000 a second, each with a TLS handshake, some
connections took longer than their time limit."""

Key = tuple[int, str]
"""(conversation id, connection)"""


class Seal(Protocol):
    """Encrypts what is kept: it holds keys of the desk."""

    def encrypt(self, text: str) -> str: ...

    def decrypt(self, sealed: str) -> str: ...


class OpenedSession:
    """connector.desks.Session. One object for each open session: keep it small."""

    __slots__ = ("_keeper", "_key", "id", "opened_at", "room", "workspace")

    def __init__(self, keeper: Sessions, key: Key, name: str, workspace: str, room: str, opened_at: int) -> None:
        self._keeper, self._key, self.id, self.opened_at = keeper, key, name, opened_at
        self.workspace, self.room = workspace, room

    @property
    def state(self) -> bytes:
        """Read when it is asked for: connectors keep what they made of it."""
        return self._keeper.state(self._key)

    async def tell(self, key: str, body: bytes, state: bytes | None = None) -> None:
        await self._keeper.told(self, self._key, key, body, state)

    async def save(self, state: bytes) -> None:
        await self._keeper.saved(self, self._key, state)

    async def held(self) -> float:
        return await self._keeper.held()

    def typing(self, is_typing: bool) -> None:
        self._keeper.types(self._key[1], self.id, is_typing)


class Sessions:
    """desks: connection -> its connector, of those that hold sessions. seal: None only where there are none.

    said_before: what was said in a conversation, by its id. types: (connection, session id, is typing).
    """

    def __init__(
        self,
        desks: Mapping[str, HoldsSessions],
        database: Database,
        lanes: Lanes,
        ids: IdSequence,
        clock: Clock,
        boot: str,
        counters: Counters,
        seal: Seal | None,
        said_before: Callable[[int], tuple[Said, ...]],
        types: Callable[[str, str, bool], None],
    ) -> None:
        self.desks, self._database, self._lanes, self._ids, self._clock = desks, database, lanes, ids, clock
        self._boot, self._counters, self._seal, self._said_before = boot, counters, seal, said_before
        self.types = types
        self._following: dict[Key, tuple[asyncio.Task[None], int]] = {}
        self._held_until = 0
        self._renewed = asyncio.Event()

    async def resume(self) -> int:
        """Go on with those that are open; before anything is sent. This process holds the database alone, which proves
        that whoever followed them is dead, so nothing has to be waited for. Returns how many."""
        if not self.desks:
            return 0
        await self._hold(partial(sessions.take, owner=self._boot))
        reader, n_followed = self._database.reader, 0
        for row in sessions.all_open(reader):
            key = (row.conversation_id, row.connection)
            has_it = sessions.has_conversation(reader, *key)
            if not has_it and not sessions.is_being_closed(reader, *key):
                # The desk could not be told that it is over.
                await self._database.writer.submit(partial(sessions.end, conversation_id=key[0], connection=key[1]))
                continue
            try:
                session = self._attach(row)
            except StorageError:  # keys that are missing: of all of them
                raise
            except Exception as exc:
                # One state that its connector cannot read, such as of a newer version, is no reason to follow none.
                self._counters.add("sessions_unreadable", 1, key[1])
                _log.error("session_unreadable", connection=key[1], conversation=key[0], reason=type(exc).__name__)
                continue
            if session is not None and has_it:
                self._follow(key, session, PACE_S * (n_followed // AT_A_TIME))
                n_followed += 1
        return n_followed

    async def keep_held(self) -> None:
        """Renew for ever."""
        while True:
            await asyncio.sleep(RENEW_S)
            try:
                await self._hold(partial(sessions.renew, owner=self._boot))
            except Exception as exc:  # whoever needs to be sure waits in held()
                _log.warning("sessions_not_renewed", reason=f"{type(exc).__name__}: {exc}")

    async def open(self, conversation_id: int, connection: str, opening: Opening, asked_at: int) -> None:
        """Have it open, however often this is called. asked_at: when it was decided; one that was open before is an
        earlier one, whose end could not be told to the desk. Raises DeliveryError, and what the database raises."""
        connector, key = self.desks[connection], (conversation_id, connection)
        if key in self._following:
            if self._following[key][1] >= asked_at:
                return
            await self.end(conversation_id, connection)
        said = self._said_before(conversation_id)
        coming = sessions.turns_to_come(
            self._database.reader, conversation_id, connection
        )  # after that: none is missed
        said = tuple(each for each in said if each.message_id not in coming)
        state = await connector.open(msgspec.structs.replace(opening, said=said))
        opened_at = max(self._clock.now_ms(), asked_at)
        row = SessionRow(conversation_id, connection, self._sealed(state), self._boot, self._held_until, opened_at)
        await self._database.writer.submit(partial(sessions.put, row=row))
        session = self._attach(row)
        if session is not None:
            self._follow(key, session, 0.0)

    async def stop_following(self, conversation_id: int, connection: str) -> None:
        """The desk has the conversation no more: before it is told, for it may not be to be reached for long."""
        task, _ = self._following.pop((conversation_id, connection), (None, 0))
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def end(self, conversation_id: int, connection: str) -> None:
        """It is over, and nothing is asked of the desk any more."""
        key = (conversation_id, connection)
        await self._database.writer.submit(
            partial(sessions.end, conversation_id=conversation_id, connection=connection)
        )
        self.desks[connection].detach(self._name(key))
        await self.stop_following(conversation_id, connection)

    @property
    def n_followed(self) -> int:
        return len(self._following)

    async def aclose(self) -> None:
        """Stop following; the desks keep the sessions."""
        tasks = [task for task, _ in self._following.values()]
        self._following.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- for the sessions ---------------------------------------------------------------------------------

    async def told(self, session: OpenedSession, key: Key, name: str, body: bytes, state: bytes | None) -> None:
        row = Observation(
            self._ids.next(),
            session.workspace,
            session.room,
            DESK,
            key[1],
            self._clock.now_ms(),
            body,
            told_key(session.id, session.opened_at, name),
        )
        self._counters.add("observations", 1, DESK, key[1])
        await self._lanes.tell(row, self._state_unit(session, key, state) if state is not None else None)

    async def saved(self, session: OpenedSession, key: Key, state: bytes) -> None:
        await self._database.writer.submit(self._state_unit(session, key, state))

    def state(self, key: Key) -> bytes:
        """Raises StorageError for a session that is over."""
        row = sessions.load(self._database.reader, *key)
        if row is None:
            raise StorageError("the session is over, and nothing is kept of it")
        return self._opened(row.state)

    async def held(self) -> float:
        while (left := self._held_until - MARGIN_MS - self._clock.now_ms()) <= 0:
            self._renewed.clear()
            await self._renewed.wait()
        return left / 1000

    # -- inside -------------------------------------------------------------------------------------------

    async def _hold(self, statement: Callable[..., None]) -> None:
        until = self._clock.now_ms() + HELD_MS
        await self._database.writer.submit(partial(statement, until=until))
        self._held_until = until
        self._renewed.set()

    def _attach(self, row: SessionRow) -> OpenedSession | None:
        connector = self.desks.get(row.connection)
        found = conversations.room_of(self._database.reader, row.conversation_id)
        if connector is None or found is None:
            _log.warning("session_without_owner", conversation=row.conversation_id, connection=row.connection)
            return None
        key = (row.conversation_id, row.connection)
        session = OpenedSession(self, key, self._name(key), *found, row.opened_at)
        connector.attach(session)
        return session

    def _follow(self, key: Key, session: OpenedSession, after_s: float) -> None:
        task = asyncio.create_task(self._follow_on(key, session, after_s))
        self._following[key] = (task, session.opened_at)

    async def _follow_on(self, key: Key, session: OpenedSession, after_s: float) -> None:
        connector, pause_s = self.desks[key[1]], FIRST_PAUSE_S
        if after_s:
            await asyncio.sleep(after_s)
        while True:
            began = self._clock.monotonic()
            try:
                await connector.follow(session)
                return
            except Exception as exc:
                # A connector's mistake, or a database that is not to be written: neither ends the session.
                self._counters.add("sessions_interrupted", 1, key[1])
                _log.warning("session_interrupted", connection=key[1], room=session.room, reason=type(exc).__name__)
            if self._clock.monotonic() - began > LONGEST_PAUSE_S:
                pause_s = FIRST_PAUSE_S
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _name(self, key: Key) -> str:
        return session_id(self._database.secret, *key)

    def _state_unit(self, session: OpenedSession, key: Key, state: bytes) -> Unit:
        return partial(
            sessions.save_state,
            conversation_id=key[0],
            connection=key[1],
            opened_at=session.opened_at,
            state=self._sealed(state),
        )

    def _sealed(self, state: bytes) -> str:
        assert self._seal is not None
        return self._seal.encrypt(state.decode("latin-1"))

    def _opened(self, sealed: str) -> bytes:
        if self._seal is None:
            raise StorageError("sessions with desks are kept encrypted: put [agents] token_keys back")
        return self._seal.decrypt(sealed).encode("latin-1")
