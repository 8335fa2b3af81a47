"""The event stream: its lines as frames, what was told before as nothing, and one connection after the other.

A stream carries all conversations of one user. It is resumed with the last event's id; as nobody promises how far
that reaches, the entries of each conversation are read too after every reconnect, before anything newer is told.
"""

from __future__ import annotations

import asyncio
import math
import random
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple

import httpx2
import msgspec

from connectors.salesforce_messaging.breaks import reason_of
from connectors.salesforce_messaging.client import OrgClient
from connectors.salesforce_messaging.entries import Entry, Event, Unreadable, events_of, mark_of, read_event
from connectors.salesforce_messaging.errors import from_exception, from_status
from connectors.salesforce_messaging.tokens import Access
from omnibridge.connector import (
    AnswerTooLarge,
    DeliveryError,
    DeliveryRejected,
    DeliveryRetryable,
    DeliveryUncertain,
    Flag,
)

MAX_FRAME_BYTES = 4 << 20
REMEMBERED = 64
"""Entries by which repeats are told from what is new."""
OVERLAP_MS = 60_000
"""Entries are read from so long before the newest: an event may have been lost before one that was not."""
FIRST_PAUSE_S, LONGEST_PAUSE_S, FACTOR = 1.0, 30.0, 1.5
"""Of the official sample, which gives up after ten tries; here the owner does."""
SPREAD, SHARED_SPREAD = (0.75, 1.0), (0.5, 1.5)
"""Of a pause, by chance. A connection that is shared breaks for a hundred streams at once."""
WITHOUT_S = 4.0
"""No stream for so long: the entries are read after each attempt to open one."""
PAGE, FEW = 50, 7
"""Entries of one listing; of one that is too long, as a page must not be full of those of one millisecond."""
_ID = re.compile(rb"[\x21-\x7e]{1,256}")
"""What may be sent back as a header."""


class Frame(NamedTuple):
    name: str
    id: str
    data: bytes


class Frames:
    """Lines in, frames out (the HTML standard's event streams)."""

    def __init__(self) -> None:
        self._name, self._id, self._data, self._size = "", "", list[bytes](), 0

    def feed(self, line: bytes) -> Frame | None:
        if not line:
            found = Frame(self._name or "message", self._id, b"\n".join(self._data)) if self._data else None
            self._name, self._data, self._size = "", [], 0
            return found
        key, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if key == b"data":
            self._size += len(line)
            if self._size > MAX_FRAME_BYTES:
                raise AnswerTooLarge("an event is too long")
            self._data.append(value)
        elif key == b"event":
            self._name = value.decode("utf-8", "replace")
        elif key == b"id" and _ID.fullmatch(value):
            self._id = value.decode()
        return None

    @property
    def under_way(self) -> str:
        """The last id: that of a frame that is not complete, if it came before its data."""
        return self._id


class Place(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far one conversation is known. at: milliseconds, of the one in the middle of the last entries, 0 = none yet:
    a clock that is wrong tells of few. checked: the same when the entries were read last.

    seen: marks and times of the last entries. floor: time of the newest one that is no longer among them; what is not
    newer than that was told.
    """

    at: int = 0
    floor: int = 0
    seen: tuple[tuple[str, int], ...] = ()
    checked: int = 0

    def knows(self, entry: Entry) -> bool:
        mark = entry.mark
        return 0 < entry.at <= self.floor or any(each == mark for each, _ in self.seen)

    def after(self, entry: Entry) -> Place:
        seen = (*self.seen, (entry.mark, entry.at))
        gone, seen = [at for _, at in seen[:-REMEMBERED]], seen[-REMEMBERED:]
        times = sorted(at for _, at in seen if at) or [0]
        # One that says that it is of tomorrow does not make all of today's old.
        floor = max([self.floor, *(min(at, times[len(times) // 4]) for at in gone)])
        return Place(times[(len(times) - 1) // 2], floor, seen, self.checked)

    @property
    def since(self) -> int:
        """Where to begin to read entries again: what was lost since they were read last is behind that."""
        return max(0, self.floor, min(self.at, self.checked) - OVERLAP_MS)


class Position(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far a user's events are known: to be kept together with what they led to. last_event_id: for the next
    stream."""

    last_event_id: str
    places: dict[str, Place] = {}

    def place(self, conversation: str) -> Place:
        return self.places.get(conversation) or Place()

    def has_message(self, conversation: str, message_id: str) -> bool:
        """Whether it is among the last that were told."""
        mark = mark_of("Message", message_id)
        return any(each == mark for each, _ in self.place(conversation).seen)

    def after(self, conversation: str, entry: Entry, event_id: str = "") -> Position:
        places = self.places
        if not entry.is_transient:
            places = {**places, conversation: self.place(conversation).after(entry)}
        return Position(event_id or self.last_event_id, places)

    def checked(self, conversation: str) -> Position:
        """Its entries were read up to the newest."""
        place = self.place(conversation)
        places = {**self.places, conversation: msgspec.structs.replace(place, checked=place.at)}
        return Position(self.last_event_id, places)

    def passed(self, event_id: str) -> Position:
        return Position(event_id or self.last_event_id, self.places)


Take = Callable[[Position, tuple[Event, ...]], Awaitable[None]]


class NotTaken(Exception):
    """`take` failed; its error is the cause. Nothing after it was read."""


class Events:
    """Listens for one user until it is cancelled, or may not any more.

    take: is given what happened, in order, each thing once, and the position after it; nothing else is read while it
    works. conversations: those whose entries are read after a reconnect. count: of things for the metrics.
    opened: set while a stream is open; open it before the first message is sent (reference 2.8).
    held: seconds for which nobody else may listen for this user, waits until there are any. It is asked again while
    the stream lives; without an answer in time the stream is closed.
    recheck_s: so often, about, entries are read although the stream is healthy: an event may be lost without a break;
    0 = never.
    noticed: told True when a stream is open and caught up, False when it is not any more, or could not be opened; then
    why, where something failed.
    """

    def __init__(
        self,
        org: OrgClient,
        access: Access,
        position: Position | None,
        conversations: Callable[[], Iterable[str]],
        take: Take,
        count: Callable[[str, int], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        held: Callable[[], Awaitable[float]] | None = None,
        noticed: Callable[[bool, str], None] = lambda is_open, reason: None,
        recheck_s: float = 0.0,
    ) -> None:
        self._held, self._noticed, self._recheck_s, self._recheck_at = held, noticed, recheck_s, math.inf
        self._org, self._conversations, self._take, self._count = org, conversations, take, count
        self.access = access
        self.position = position or Position(access.last_event_id)
        self._is_resumed = position is not None
        self._sleep, self._pause_s, self._spread = sleep, FIRST_PAUSE_S, SPREAD
        self._gone_since: float | None = None
        self.opened = Flag()

    async def run(self) -> None:
        """Raises TokenDead (begin again with another token, and this position), or DeliveryRejected: it never works.

        NotTaken: what `take` raised.
        """
        while True:
            asked_s, reason = 0.0, ""
            try:
                await self._listen()
            except DeliveryError as exc:
                reason = reason_of(exc)
                if isinstance(exc, DeliveryRejected) or exc.code == "token":
                    raise
                self._count("stream_broken", 1)
                asked_s = (exc.retry_after_s or 0.0) if isinstance(exc, DeliveryRetryable) else 0.0
            finally:
                self.opened.clear()
                self._noticed(False, reason)
            await self._do_without(reason)
            await self._sleep(asked_s + self._pause_s * random.uniform(*self._spread))  # noqa: S311 - no secret
            self._pause_s = min(LONGEST_PAUSE_S, self._pause_s * FACTOR)

    async def _listen(self) -> None:
        """One connection. Returns when it ends in good order, raises DeliveryError when it breaks."""
        loop = asyncio.get_running_loop()
        seconds = await self._held() if self._held else None
        until = None if seconds is None else loop.time() + seconds
        try:
            async with (
                asyncio.timeout_at(until) as limit,
                self._org.stream(self.access, self.position.last_event_id) as stream,
            ):
                self._spread = SHARED_SPREAD if stream.is_shared else SPREAD
                if stream.status != 200:
                    raise from_status(stream.status, stream.headers.get("retry-after", ""), self._org.now_s())
                if not stream.headers.get("content-type", "").startswith("text/event-stream"):
                    raise DeliveryUncertain("what answers is no event stream", code="no-stream")
                if self._is_resumed:
                    await self._catch_up()
                self._is_resumed = True
                self._check_later()
                self._count("streams_shared", stream.is_shared)
                self.opened.set()
                self._gone_since = None
                self._noticed(True, "")
                frames = Frames()
                try:
                    async for line in stream:
                        if self._held and seconds and until is not None and loop.time() > until - seconds / 2:
                            seconds = await self._held()
                            until = loop.time() + seconds
                            limit.reschedule(until)
                        frame = frames.feed(line)
                        if frame is not None:
                            self._pause_s = FIRST_PAUSE_S
                            await self._took(frame)
                            frame = None  # it may be hours until the next
                            if loop.time() >= self._recheck_at:  # pings come often enough
                                await self._check_again()
                except AnswerTooLarge:  # the next stream must not begin with it again; the entries may have it
                    self.position = self.position.passed(frames.under_way)
                    raise
        except (httpx2.HTTPError, TimeoutError) as exc:
            raise from_exception(exc) from exc

    async def _took(self, frame: Frame) -> None:
        try:
            envelope = read_event(frame.name, frame.data)
        except ValueError:
            self._count("events_unreadable", 1)
            unreadable = Unreadable(conversation="", id=frame.id, kind=frame.name)
            await self._given(self.position.passed(frame.id), (unreadable,))
            return
        if envelope is None:
            if frame.name != "ping":
                self._count("events_ignored", 1)
            self.position = self.position.passed(frame.id)
            return
        await self._give(envelope.conversation_id, envelope.conversation_entry, frame.id)

    def _check_later(self) -> None:
        if self._recheck_s:
            pause_s = self._recheck_s * random.uniform(0.75, 1.25)  # noqa: S311 - no secret
            self._recheck_at = asyncio.get_running_loop().time() + pause_s

    async def _do_without(self, reason: str) -> None:
        """While no stream can be opened, and there is somebody who answers, what happens is read as entries."""
        now = asyncio.get_running_loop().time()
        self._gone_since = now if self._gone_since is None else self._gone_since
        if reason and not reason.startswith("not-sent") and now - self._gone_since >= WITHOUT_S:
            await self._check_again()

    async def _check_again(self) -> None:
        """The stream goes on whatever comes of it."""
        self._check_later()
        try:
            await self._catch_up()
        except DeliveryError as exc:
            if exc.code == "token":
                raise
            self._count("rechecks_failed", 1)

    async def _catch_up(self) -> None:
        """The entries of each conversation since shortly before the newest that is known."""
        for conversation in tuple(self._conversations()):
            begin = self.position.place(conversation).since
            limit = PAGE
            while True:
                try:
                    entries = await self._entries(conversation, begin, limit)
                except DeliveryUncertain as exc:
                    if exc.code not in ("answer-too-large", "bad-answer"):
                        raise
                    self._count("entries_unreadable", 1)
                    if limit == FEW:  # the stream may still tell what is behind it
                        break
                    limit = FEW
                    continue
                for each in entries:
                    if not self.position.place(conversation).knows(each):
                        self._count("events_caught_up", 1)
                        await self._give(conversation, each, "")
                if len(entries) < limit:
                    self.position = self.position.checked(conversation)
                    break
                # That millisecond again, as the page may have cut it; the last may be of tomorrow.
                begin = max(begin + 1, entries[-2].at)

    async def _entries(self, conversation: str, since_ms: int, limit: int) -> list[Entry]:
        try:
            return await self._org.entries(self.access, conversation, since_ms, limit)
        except DeliveryRejected as exc:
            if exc.code != "not-found":  # it was not made yet
                raise
            return []

    async def _give(self, conversation: str, entry: Entry, event_id: str) -> None:
        if conversation not in self._conversations():  # of a user who has others: nothing of it is kept
            self.position = self.position.passed(event_id)
            return
        if self.position.place(conversation).knows(entry):
            self.position = self.position.passed(event_id)
            self._count("events_repeated", 1)
            return
        after = self.position.after(conversation, entry, event_id)
        found = events_of(conversation, entry)
        if found:
            await self._given(after, found)
        self.position = after

    async def _given(self, after: Position, found: tuple[Event, ...]) -> None:
        """The position moves only when it was taken."""
        try:
            await self._take(after, found)
        except Exception as exc:
            raise NotTaken("what happened could not be kept") from exc
        self.position = after
