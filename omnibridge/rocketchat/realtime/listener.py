"""Listening for ever: a connection, and after it the next one; each gap is told, to be repaired from the REST side.

connect ─▶ log in ─▶ subscribe ─▶ live ──(anything goes wrong)──▶ pause ─▶ connect ...
                                   └ gap_ended: what was missed meanwhile is looked for
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from omnibridge.rocketchat.realtime.connection import (
    Connection,
    ConnectionLost,
    LoginRefused,
    NotSubscribed,
    Timing,
    open_socket,
)
from omnibridge.rocketchat.realtime.frames import ACTIVITY, INQUIRIES, MESSAGES, MY_MESSAGES, USER, Change
from omnibridge.rocketchat.realtime.translate import Typing, read_typing
from omnibridge.rocketchat.realtime.watch import RoomWatch

_log = structlog.get_logger("omnibridge.realtime")


class Intake(Protocol):
    """Where the listener puts what it hears. One workspace's."""

    async def take(self, change: Change) -> None:
        """Keep a frame; returns when another may come. Frames of a room stay in order. Raises nothing."""

    def typing(self, heard: Typing) -> None:
        """Somebody types, or has stopped."""

    async def departments(self) -> Sequence[str]:
        """Ids of departments, whose inquiries are told apart from the rest. Raises nothing."""

    def live(self, is_live: bool) -> None:
        """From now on everything is heard, or nothing is."""

    def gap_ended(self) -> None:
        """Something may have been missed up to now."""


class Listener:
    """One workspace's. user_id, token: the relay account. bot_ids: users to whom inquiries may be addressed.

    count: name of a counter and its labels after the workspace's.
    """

    def __init__(
        self,
        workspace: str,
        url: str,
        user_id: str,
        token: str,
        bot_ids: Sequence[str],
        intake: Intake,
        count: Callable[..., None],
        timing: Timing | None = None,
    ) -> None:
        self._workspace, self._url, self._user_id, self._token = workspace, url, user_id, token
        self._bot_ids, self._intake, self._count = tuple(bot_ids), intake, count
        self._timing = timing or Timing()
        self._watch: RoomWatch | None = None
        self._connection: Connection | None = None
        self.is_live = False

    async def serve(self) -> None:
        """Listen until cancelled."""
        failures = 0
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await self._listen()
            except LoginRefused as exc:
                self._note(str(exc), "Give [[workspace]] auth_token a personal access token that is valid.")
                failures, pause_s = 0, self._timing.refused_pause
            except (ConnectionLost, NotSubscribed) as exc:
                lasted = asyncio.get_running_loop().time() - began
                failures = 1 if lasted > self._timing.stable else failures + 1
                pause_s = self._pause_s(failures)
                self._note(str(exc), f"The next try is in {pause_s:.1f} s.")
            except Exception as exc:  # a defect here must not end the listening for good
                failures += 1
                pause_s = self._pause_s(failures)
                _log.exception("realtime_failed", workspace=self._workspace)
                self._note(type(exc).__name__, "")
            await asyncio.sleep(pause_s)

    async def _listen(self) -> None:
        """One connection, to its end. Raises LoginRefused, NotSubscribed, ConnectionLost."""
        socket = await open_socket(self._url, self._timing)
        connection = self._connection = Connection(
            socket, self._timing, self._hear, lambda outcome: self._count("realtime_frames", outcome)
        )
        reading = asyncio.create_task(connection.run())
        talking = asyncio.create_task(self._talk(connection))
        try:
            await asyncio.wait((reading, talking), return_when=asyncio.FIRST_COMPLETED)
            # A refusal says more than the end of the connection that follows from it.
            for each in (talking, reading):
                if each.done():
                    each.result()
        finally:
            self._ended()
            await connection.end(talking, reading)

    def _ended(self) -> None:
        was_live, self.is_live = self.is_live, False
        self._watch = self._connection = None
        if was_live:
            self._count("realtime_gaps")
            self._intake.live(False)

    async def _talk(self, connection: Connection) -> None:
        await connection.log_in(self._token)
        await connection.subscribe(MESSAGES, MY_MESSAGES)
        await self._subscribe_to_the_rest(connection)
        self._watch = RoomWatch(connection)
        self.is_live = True
        self._count("realtime_connects")
        _log.info("realtime_live", workspace=self._workspace)
        self._intake.live(True)
        self._intake.gap_ended()
        await self._watch.run()

    async def _subscribe_to_the_rest(self, connection: Connection) -> None:
        """Streams that only make it faster: what the hub refuses of them is logged and done without."""
        departments = [f"department/{each}" for each in await self._intake.departments()]
        agents = [f"agent/{each}" for each in self._bot_ids]
        wanted = [(INQUIRIES, each) for each in ("public", *departments, *agents)]
        for stream, event in [*wanted, (USER, f"{self._user_id}/rooms-changed")]:
            try:
                await connection.subscribe(stream, event)
            except NotSubscribed as exc:
                self._count("realtime_refused", stream)
                _log.warning("realtime_stream_refused", workspace=self._workspace, stream=stream, code=exc.code)
                if exc.code == "too-many-requests":
                    return  # a hundred departments: their messages come all the same

    async def _hear(self, change: Change) -> None:
        if change.kind == ACTIVITY:
            heard = read_typing(change.room, change.raw)
            if heard is not None:
                self._intake.typing(heard)
            return
        if self._watch is not None and change.kind == "message":
            self._watch.want(change.room)
        await self._intake.take(change)

    def leave(self, room: str) -> None:
        """A room is closed: what is told of it alone is not needed any more."""
        if self._watch is not None:
            self._watch.leave(room)

    def _note(self, reason: str, what_to_do: str) -> None:
        self._count("realtime_failures")
        _log.warning("realtime_lost", workspace=self._workspace, reason=reason[:200], hint=what_to_do)

    def _pause_s(self, failures: int) -> float:
        """Doubled up to the longest; by chance between half of it and all, so that many do not come back at once."""
        longest = min(self._timing.longest_pause, self._timing.first_pause * 2.0 ** min(failures - 1, 10))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, protects nothing
