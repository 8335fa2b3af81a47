"""Showing that somebody types, as his own user: a visitor is shown whose face it is. Source: rocketchat-api 6.4, 8.3.

A connection for each user who types, made when it is needed and closed when it was silent. The hub allows 40 calls of
a `stream-*` in 40 s to a connection: what is beyond that is not shown, it is told to nobody and kept nowhere. But who
was shown to type is always shown to have stopped: a widget would have him type for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from omnibridge.errors import DeliveryError
from omnibridge.rocketchat.calls import Credentials
from omnibridge.rocketchat.realtime.connection import Connection, ConnectionLost, LoginRefused, Timing, open_socket
from omnibridge.rocketchat.realtime.frames import ACTIVITY, ROOM, Change

_log = structlog.get_logger("omnibridge.realtime")

BURST = 10
PAUSE_S = 1.4
"""So it is 10 + 28 in any 40 s."""

SILENT_S = 60.0
"""A connection on which nothing was shown for so long is closed."""

PAUSES_S = (1.0, 5.0, 30.0)
"""After a connection that failed; then it is given up, until somebody types again."""

TYPISTS = 50
"""Users who are connected at a time."""


class Typists:
    """One workspace's. name_of: how the hub knows a user in this matter: his user name, or his name where the
    workspace shows real names. count: outcome of each wish: `shown`, `dropped`, `failed`."""

    def __init__(
        self,
        url: str,
        name_of: Callable[[Credentials], Awaitable[str]],
        count: Callable[[str], None],
        timing: Timing | None = None,
    ) -> None:
        self._url, self._name_of, self._count, self._timing = url, name_of, count, timing or Timing()
        self._typists: dict[str, _Typist] = {}

    def show(self, account: Credentials, room: str, is_typing: bool) -> None:
        """As soon as may be; to be repeated every 5 s while he types. Raises nothing, waits for nothing."""
        typist = self._typists.get(account.user_id)
        if typist is None:
            if not is_typing:
                return
            if len(self._typists) >= TYPISTS:
                self._count("dropped")
                return
            typist = self._typists[account.user_id] = _Typist(
                self._url, account, self._name_of, self._count, self._timing
            )
            typist.task.add_done_callback(lambda _: self._typists.pop(account.user_id, None))
        typist.wish(room, is_typing)

    async def aclose(self) -> None:
        """Who types is shown to type until the hub's clients forget it."""
        tasks = [each.task for each in self._typists.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Typist:
    """One user's connection, from his first wish to his silence."""

    def __init__(
        self,
        url: str,
        account: Credentials,
        name_of: Callable[[Credentials], Awaitable[str]],
        count: Callable[[str], None],
        timing: Timing,
    ) -> None:
        self._url, self._account, self._name_of, self._count, self._timing = url, account, name_of, count, timing
        self._wishes: dict[str, bool] = {}
        self._shown: set[str] = set()
        self._changed = asyncio.Event()
        self._spare, self._spare_at = float(BURST), asyncio.get_running_loop().time()
        self.task = asyncio.create_task(self._run())

    def wish(self, room: str, is_typing: bool) -> None:
        """The last one for a room counts."""
        if not is_typing and room not in self._shown:
            self._wishes.pop(room, None)  # over before it was shown
            return
        if is_typing and len(self._wishes) >= BURST and room not in self._wishes:
            self._count("dropped")
            return
        self._wishes[room] = is_typing
        self._changed.set()

    async def _run(self) -> None:
        for pause_s in (*PAUSES_S, None):
            try:
                await self._talk()
                return
            except (ConnectionLost, LoginRefused, DeliveryError) as exc:
                self._count("failed")
                _log.info("typing_not_shown", user_id=self._account.user_id, reason=str(exc)[:200])
                if pause_s is None or isinstance(exc, LoginRefused):
                    return
                self._wishes = dict.fromkeys(self._shown, False)
                await asyncio.sleep(pause_s)

    async def _talk(self) -> None:
        """Until nothing is wished any more. Raises ConnectionLost, LoginRefused, DeliveryError."""
        name = await self._name_of(self._account)
        socket = await open_socket(self._url, self._timing)
        connection = Connection(socket, self._timing, _ignore, lambda _: None)
        reading = asyncio.create_task(connection.run())
        showing = asyncio.create_task(self._show(connection, name))
        try:
            await asyncio.wait((reading, showing), return_when=asyncio.FIRST_COMPLETED)
            for each in (showing, reading):
                if each.done():
                    each.result()
        finally:
            await connection.end(reading, showing)

    async def _show(self, connection: Connection, name: str) -> None:
        await connection.log_in(self._account.auth_token)
        while True:
            while self._wishes:
                room = next((each for each, typing in self._wishes.items() if not typing), next(iter(self._wishes)))
                await self._tell(connection, name, room, self._wishes.pop(room))
            self._changed.clear()
            try:
                async with asyncio.timeout(SILENT_S):
                    await self._changed.wait()
            except TimeoutError:
                if not self._wishes:
                    return

    async def _tell(self, connection: Connection, name: str, room: str, is_typing: bool) -> None:
        """A beginning is shown only where there is something left for its end too; an end waits until it may go."""
        now = asyncio.get_running_loop().time()
        self._spare, self._spare_at = min(float(BURST), self._spare + (now - self._spare_at) / PAUSE_S), now
        if is_typing and self._spare < 1 + len(self._shown | {room}):
            self._count("dropped")
            return
        if self._spare < 1:
            await asyncio.sleep((1 - self._spare) * PAUSE_S)
        self._spare -= 1
        if is_typing:
            self._shown.add(room)
        await connection.call(ROOM, f"{room}/{ACTIVITY}", name, ["user-typing"] if is_typing else [])
        if is_typing:
            self._count("shown")
        else:
            self._shown.discard(room)


async def _ignore(_: Change) -> None:
    """Nothing is subscribed to."""
