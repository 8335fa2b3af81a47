"""What the realtime connection hears, put into the journal: rooms in order, and unknown rooms read before their words.

No frame tells a room's department and fields, which rules need: on the first sight of a room it is read once, and
what was heard meanwhile waits for that. A frame that is lost here is repaired as any gap is.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, MutableMapping, Sequence
from typing import Any

import msgspec
import structlog

from omnibridge.clock import Clock
from omnibridge.engine.counters import Counters
from omnibridge.engine.ids import IdSequence
from omnibridge.engine.interpreter import HISTORY, LIVE
from omnibridge.engine.lanes import Lanes
from omnibridge.errors import DeliveryError, DeliveryRejected
from omnibridge.rocketchat.client import RocketChatClient
from omnibridge.rocketchat.realtime.frames import Change
from omnibridge.rocketchat.realtime.translate import Typing, read_live
from omnibridge.rocketchat.reconcile import RoomHistory
from omnibridge.rocketchat.rooms import RoomInfo
from omnibridge.storage import conversations
from omnibridge.storage.database import Database
from omnibridge.storage.journal import Observation

_log = structlog.get_logger("omnibridge.realtime")
_encode = msgspec.json.Encoder().encode

AT_A_TIME = 256
"""Frames that are being journalled; then the socket waits, and with it the hub."""

REMEMBERED = 10_000
"""Rooms known to be known."""

WAITING = 500
"""Frames of one unknown room that wait for it to be read; the rest is left to the reconciler."""

BEGINS = ("message", "inquiry", "room")
"""Kinds of frames after which an unknown room is read; of a deletion in one nothing would follow."""

TRIES = 4
FIRST_PAUSE_S = 0.25


class LiveIntake:
    """Implements `rocketchat.realtime.listener.Intake`. windows: the lanes' own: nothing is held while we are live.

    ask: have everything compared, because something was missed. left: told of each room that is closed.
    typed: told who types.
    """

    def __init__(
        self,
        workspace: str,
        client: RocketChatClient,
        database: Database,
        lanes: Lanes,
        ids: IdSequence,
        clock: Clock,
        counters: Counters,
        windows: MutableMapping[str, int],
        ask: Callable[[], None],
    ) -> None:
        self._workspace, self._client, self._database, self._lanes = workspace, client, database, lanes
        self._ids, self._clock, self._counters = ids, clock, counters
        self._windows, self._window, self._ask = windows, windows.get(workspace, 0), ask
        self._known: OrderedDict[str, None] = OrderedDict()
        self._opening: dict[str, list[Observation]] = {}
        self._slots = asyncio.Semaphore(AT_A_TIME)
        self._tasks: set[asyncio.Task[None]] = set()
        self.left: Callable[[str], None] = lambda room: None
        self.typed: Callable[[Typing], None] = lambda heard: None

    async def take(self, change: Change) -> None:
        """Tasks begin in the order in which they were made, and a lane keeps the order of what reaches it."""
        row = Observation(
            self._ids.next(), self._workspace, change.room, LIVE, change.kind, self._clock.now_ms(), change.raw
        )
        reading = row.read = read_live(row.kind, row.room, row.body)
        if reading.closed:
            self.left(row.room)
        waiting = self._opening.get(change.room)
        if waiting is not None:
            if len(waiting) < WAITING:
                waiting.append(row)
            else:
                self._missed("overflow", row.room)
            return
        is_known = self._is_known(change.room)
        if not is_known and change.kind not in BEGINS:
            return
        await self._slots.acquire()
        if not is_known:
            self._opening[change.room] = [row]
        self._start(self._put(row) if is_known else self._open(change.room))

    def typing(self, heard: Typing) -> None:
        """Passed on, and kept nowhere."""
        self._counters.add("realtime_typing")
        self.typed(heard)

    async def departments(self) -> Sequence[str]:
        try:
            return [each.id for each in await self._client.departments()]
        except DeliveryError as exc:
            _log.warning("departments_not_read", workspace=self._workspace, code=exc.code, reason=str(exc))
            return []

    def live(self, is_live: bool) -> None:
        """On one socket messages cannot overtake each other: then nothing needs to be held (design, I3)."""
        self._windows[self._workspace] = 0 if is_live else self._window

    def gap_ended(self) -> None:
        self._ask()

    async def aclose(self) -> None:
        """What is not journalled yet is dropped: the next start looks for it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._slots.release()

    def _is_known(self, room: str) -> bool:
        if room in self._known:
            self._known.move_to_end(room)
            return True
        if conversations.load(self._database.reader, self._workspace, room) is None:
            return False
        self._remember(room)
        return True

    def _remember(self, room: str) -> None:
        self._known[room] = None
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    async def _put(self, row: Observation) -> None:
        try:
            await self._lanes.take_in(row)
        except Exception as exc:
            _log.error("frame_not_stored", room=row.room, kind=row.kind, reason=f"{type(exc).__name__}: {exc}")
            self._missed("not-stored", row.room)

    async def _open(self, room: str) -> None:
        """The room first, then what was heard of it; recorded only, if the room cannot be read."""
        waiting = self._opening[room]
        try:
            read = await self._read(room)
            if read is not None:
                now = self._clock.now_ms()
                body = _encode(RoomHistory(read, ()))
                await self._put(Observation(self._ids.next(), self._workspace, room, "hub-read", HISTORY, now, body))
                self._remember(room)
            else:
                self._missed("room-not-read", room)
            while waiting:
                await self._put(waiting.pop(0))
        finally:
            del self._opening[room]

    async def _read(self, room: str) -> RoomInfo | None:
        pause_s = FIRST_PAUSE_S
        for attempt in range(TRIES):
            try:
                return await self._client.room_with_visitor(room)
            except DeliveryRejected as exc:
                _log.warning("room_not_read", room=room, code=exc.code, reason=str(exc))
                return None
            except DeliveryError as exc:
                _log.info("room_not_read", room=room, code=exc.code, reason=str(exc))
            if attempt + 1 < TRIES:
                await asyncio.sleep(pause_s)
                pause_s *= 2
        return None

    def _missed(self, why: str, room: str) -> None:
        self._counters.add("realtime_missed", 1, self._workspace, why)
        _log.warning("realtime_missed", workspace=self._workspace, room=room, why=why)
        self._ask()
