"""Server-sent events of the simulated org: one feed per user, any number of streams that read it, and their faults."""

from __future__ import annotations

import asyncio
import bisect
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from connectors.salesforce_messaging.simulated.tokens import Token
from omnibridge.connector.simulating import cut, gone


@dataclass
class StreamFaults:
    """Of all streams. cut_after: reset the connection that would write one more than so many events, once.

    cut_every: reset each connection after so many events. within: the reset comes in the middle of the next event's
    bytes. stalled: nothing is written, not even pings. replay: so many events at most are replayed; the others are
    in the entries only. lose: so many of the next events never reach any stream.
    """

    double: bool = False
    unknown: bool = False
    cut_after: int | None = None
    cut_every: int | None = None
    within: bool = False
    stalled: bool = False
    replay: int | None = None
    lose: int = 0
    ping_s: float = 20.0


@dataclass
class Feed:
    """events: (id, name, data), ids grow but are not without gaps. open: streams that read now."""

    events: list[tuple[int, str, str]] = field(default_factory=list)
    wakes: set[asyncio.Event] = field(default_factory=set)
    open: int = 0
    most_open: int = 0
    opened: int = 0

    def after(self, last_id: int) -> list[tuple[int, str, str]]:
        return self.events[bisect.bisect_right(self.events, last_id, key=lambda each: each[0]) :]


class Feeds:
    """Events of each subject. written: what went to sockets, in order: (subject, event id, name)."""

    def __init__(self) -> None:
        self.faults = StreamFaults()
        self.by_subject: dict[str, Feed] = {}
        self.written: list[tuple[str, int, str]] = []
        self.last_id = 100
        self._is_cut = asyncio.Event()

    def of(self, subject: str) -> Feed:
        return self.by_subject.setdefault(subject, Feed())

    def push(self, subject: str, name: str, data: dict[str, Any]) -> None:
        self.last_id += 1 + self.last_id % 3
        if self.faults.lose > 0:
            self.faults.lose -= 1
            return
        feed = self.of(subject)
        feed.events.append((self.last_id, name, json.dumps(data)))
        for each in feed.wakes:
            each.set()

    def cut_all(self) -> None:
        """Reset every stream that is open."""
        self._is_cut.set()
        self._is_cut = asyncio.Event()
        self.wake_all()

    def wake_all(self) -> None:
        """Streams look at their tokens and faults again."""
        for feed in self.by_subject.values():
            for each in feed.wakes:
                each.set()


class EventStream(Response):
    """One stream. is_alive: whether its token still is; it ends in good order when not."""

    media_type = "text/event-stream"

    def __init__(self, feeds: Feeds, token: Token, last_id: int, is_alive: Callable[[], bool]) -> None:
        super().__init__()
        self._feeds, self._token, self._is_alive = feeds, token, is_alive
        self._feed, self._at = feeds.of(token.subject), last_id
        self._wake, self._count = asyncio.Event(), 0
        self._cut_all = feeds._is_cut

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        feed = self._feed
        feed.wakes.add(self._wake)
        feed.open, feed.opened = feed.open + 1, feed.opened + 1
        feed.most_open = max(feed.open, feed.most_open)
        leaving = asyncio.create_task(gone(receive))
        try:
            headers = [(b"content-type", b"text/event-stream;charset=utf-8"), (b"cache-control", b"no-cache")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await self._run(send, leaving)
            if not leaving.done() and not self._is_alive():
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            elif not leaving.done():
                await cut(scope, _when(leaving))
        finally:
            feed.wakes.discard(self._wake)
            feed.open -= 1
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)

    async def _run(self, send: Send, leaving: asyncio.Task[None]) -> None:
        """Until the stream is to end."""
        faults = self._feeds.faults
        missed = self._feed.after(self._at)
        if faults.replay is not None and len(missed) > faults.replay:
            self._at = missed[len(missed) - faults.replay - 1][0]
        while not leaving.done() and self._is_alive() and not self._cut_all.is_set():
            self._wake.clear()
            for event in () if faults.stalled else self._feed.after(self._at):
                if not await self._write(event, send):
                    return
            waking = asyncio.create_task(self._wake.wait())
            done, _ = await asyncio.wait({waking, leaving}, timeout=faults.ping_s, return_when=asyncio.FIRST_COMPLETED)
            waking.cancel()
            if not done and not faults.stalled:
                await _send(send, "event: ping\ndata: 0\n\n")

    async def _write(self, event: tuple[int, str, str], send: Send) -> bool:
        """False: this connection is to be reset."""
        faults, (number, name, data) = self._feeds.faults, event
        frame = f"event: {name}\nid: {number}\ndata: {data}\n\n"
        is_last = faults.cut_every is not None and self._count >= faults.cut_every
        if faults.cut_after is not None:
            is_last = is_last or faults.cut_after <= 0
            faults.cut_after = None if faults.cut_after <= 0 else faults.cut_after - 1
        if is_last:
            if faults.within:
                await _send(send, frame[: len(frame) // 2])
            return False
        if faults.unknown:
            await _send(send, f'event: CONVERSATION_SOMETHING_NEW\nid: {number}\ndata: {{"new": true}}\n\n')
        for _ in range(2 if faults.double else 1):
            await _send(send, frame)
            self._feeds.written.append((self._token.subject, number, name))
        self._at, self._count = number, self._count + 1
        return True


async def _send(send: Send, text: str) -> None:
    await send({"type": "http.response.body", "body": text.encode(), "more_body": True})


def _when(leaving: asyncio.Task[None]) -> Receive:
    """A `receive` for `cut`: somebody reads the real one already."""

    async def receive() -> Any:
        await leaving
        return {"type": "http.disconnect"}

    return receive
