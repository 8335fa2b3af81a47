"""HTTP/2 out, for streams of events alone: up to a hundred of them on one TLS connection. `h2` reads the frames.

Each stream has a window of its own, which opens as its lines are read: who does not read stalls himself only. What
the server says of one stream ends that one; what breaks the connection ends all of them, each with the error that a
connection of its own would have had. Needs the package h2, which the core does not: imported by who was asked for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import cast

import h2.events as told
import httpx2
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import H2Error, StreamClosedError
from h2.settings import SettingCodes, Settings
from hpack import HeaderTuple

from omnibridge.http.connection import HEAD_BYTES
from omnibridge.http.goaway import GoAways
from omnibridge.http.shared_stream import NotProcessed, NotShared, SharedStream

MOST = 100
"""Streams of a connection: more would break at once with it."""
WINDOW = 65_535
"""Bytes of one stream that nobody has read yet; then its server has to wait."""
SHARED_WINDOW = 4 * MOST * WINDOW
"""Never the limit: h2 says what was read when half of it was, and all the streams may be stalled."""
QUIET_S, ANSWER_S = 30.0, 15.0
"""After so long without a byte the other side is asked whether it lives, and has so long to answer. Also when a stream
begins."""
IDLE_S = 10.0
"""A connection without a stream is closed after this."""
UNSENT = 1 << 20
"""Who sends pings and settings, and reads no answers, would fill our memory."""


class _H2(H2Connection):
    MAX_CLOSED_STREAMS = 1024  # remembered; by itself 65,536: megabytes of a connection that lives for days


class Http2(asyncio.Protocol):
    """One connection. gone: told once, when it takes no more streams. settled: True when the server said how many
    it takes, False when it is lost before."""

    def __init__(self, gone: Callable[[Http2], None]) -> None:
        self._gone = gone
        self._h2 = _H2(H2Configuration(client_side=True, header_encoding=None))
        self._h2.local_settings = Settings(
            client=True,
            initial_values={
                SettingCodes.ENABLE_PUSH: 0,
                SettingCodes.INITIAL_WINDOW_SIZE: WINDOW,
                SettingCodes.MAX_HEADER_LIST_SIZE: HEAD_BYTES,
            },
        )
        self._goaways = GoAways()
        self._streams: dict[int, SharedStream] = {}
        self._loop = asyncio.get_running_loop()
        self.settled: asyncio.Future[bool] = self._loop.create_future()
        self._is_leaving = self._is_over = False
        self._is_heard = self._is_asked = False
        self._looking: asyncio.TimerHandle | None = None
        self._idling: asyncio.TimerHandle | None = None

    @property
    def room(self) -> int:
        """So many more streams may begin."""
        if self._is_leaving or not self.settled.done() or self._transport.is_closing():
            return 0
        return min(MOST, self._h2.remote_settings.max_concurrent_streams) - len(self._streams)

    @property
    def streams(self) -> int:
        return len(self._streams)

    def begin(self, stream: SharedStream, headers: Sequence[tuple[str, str] | HeaderTuple]) -> None:
        """Raises NotProcessed."""
        try:
            number = self._h2.get_next_available_stream_id()
            self._h2.send_headers(number, headers, end_stream=True)
        except H2Error as exc:  # all numbers were used
            self._leave_slowly()
            raise NotProcessed("this connection takes no more streams") from exc
        self._streams[number] = stream
        stream.began(self, number)
        if self._idling is not None:
            self._idling.cancel()
            self._idling = None
        if not self._is_asked:  # else a dead connection would be given streams until it is noticed
            self._ask()
        self._flush()

    def was_read(self, number: int, size: int) -> None:
        """Bytes of a stream: as many more may come."""
        if size and not self._is_over:
            self._h2.acknowledge_received_data(size, number)
            self._flush()

    def leave(self, number: int, unread: int) -> None:
        """Nothing more is wanted of this stream."""
        stream = self._streams.pop(number, None)
        if self._is_over:
            return
        if unread:
            self._h2.acknowledge_received_data(unread, number)
        if stream is not None:
            with contextlib.suppress(StreamClosedError):  # its end came in the read that we are at
                self._h2.reset_stream(number, ErrorCodes.CANCEL)
        self._flush()
        self._look_for_the_last()

    def close(self) -> None:
        """Streams that are left hear of it."""
        if self._is_over:
            return
        if self._streams:
            self._break(httpx2.ReadError("the stream was closed"))
            return
        self._h2.close_connection()
        self._flush()
        self._stop()
        self._transport.close()

    # -- asyncio.Protocol -------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # `Secured` is no subclass of it
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(SHARED_WINDOW - WINDOW)
        self._flush()
        self._looking = self._loop.call_later(QUIET_S, self._look)
        self._idling = self._loop.call_later(IDLE_S, self._idle)

    def data_received(self, data: bytes) -> None:
        if self._is_over:
            return
        self._is_heard = True
        try:
            data, goaways = self._goaways.taken_from(data)
            for event in self._h2.receive_data(data):
                self._take(event)
        except (H2Error, ValueError) as exc:
            self._break(httpx2.ReadError(f"not an answer in HTTP/2 ({type(exc).__name__})"), exc)
            return
        for last, code in goaways:
            self._goes_away(last, code)
        self._flush()
        self._look_for_the_last()

    def connection_lost(self, exc: Exception | None) -> None:
        self._break(httpx2.ReadError("the connection broke before the answer was complete"), exc)

    # -- inside -------------------------------------------------------------------------------------------

    def _take(self, event: told.Event) -> None:
        match event:
            case told.DataReceived(stream_id=number, data=data, flow_controlled_length=size):
                stream = self._streams.get(number)
                if stream is not None:
                    stream.came(data)
                self.was_read(number, size - len(data) if stream is not None else size)
            case told.ResponseReceived(stream_id=number, headers=headers):
                if number in self._streams:
                    self._streams[number].answered(headers)
            case told.StreamEnded(stream_id=number):
                if number in self._streams:
                    self._streams.pop(number).ended()
            case told.StreamReset(stream_id=number, error_code=code):
                if number in self._streams:
                    stream = self._streams.pop(number)
                    stream.broke(_reset(stream, int(code)))
            case told.RemoteSettingsChanged():
                if not self.settled.done():
                    self.settled.set_result(True)

    def _goes_away(self, last: int, code: int) -> None:
        """What began after `last` was not looked at. The others go on, for as long as the server likes."""
        self._leave_slowly()
        for number in [each for each in self._streams if each > last]:
            stream = self._streams.pop(number)
            why = f"the server takes no more requests on this connection (code {code})"
            stream.broke(httpx2.ReadError(why) if stream.is_answered else NotProcessed(why))

    def _leave_slowly(self) -> None:
        if not self._is_leaving:
            self._is_leaving = True
            self._gone(self)

    def _look_for_the_last(self) -> None:
        if self._streams or self._is_over:
            return
        if self._is_leaving:
            self.close()
        elif self._idling is None:
            self._idling = self._loop.call_later(IDLE_S, self._idle)

    def _idle(self) -> None:
        self._leave_slowly()
        self.close()

    def _look(self) -> None:
        """Whether the other side lives. Any byte of it is a sign."""
        if self._is_heard:
            self._is_heard = self._is_asked = False
            self._looking = self._loop.call_later(QUIET_S, self._look)
        elif self._is_asked:
            self._break(httpx2.ReadTimeout(f"no sign of life for {ANSWER_S:g} s"))
        else:
            self._ask()
            self._flush()

    def _ask(self) -> None:
        self._is_heard, self._is_asked = False, True
        self._h2.ping(b"omnibrdg")
        if self._looking is not None:
            self._looking.cancel()
        self._looking = self._loop.call_later(ANSWER_S, self._look)

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data and not self._is_over and not self._transport.is_closing():
            self._transport.write(data)
            if self._transport.get_write_buffer_size() > UNSENT:
                self._break(httpx2.WriteError("the other side does not read"))

    def _break(self, error: httpx2.TransportError, cause: BaseException | None = None) -> None:
        """The end of all streams."""
        if self._is_over:
            return
        self._stop()
        streams, self._streams = self._streams, {}
        for each in streams.values():
            each.broke(type(error)(str(error)), cause)  # each its own: it gathers the frames of who raises it
        self._transport.abort()

    def _stop(self) -> None:
        self._is_over = True
        self._leave_slowly()
        for timer in (self._looking, self._idling):
            if timer is not None:
                timer.cancel()
        if not self.settled.done():
            self.settled.set_result(False)


def _reset(stream: SharedStream, code: int) -> httpx2.TransportError | NotProcessed:
    why = f"the server reset the stream (code {code})"
    if not stream.is_answered and code == ErrorCodes.HTTP_1_1_REQUIRED:
        return NotShared(why)
    if not stream.is_answered and code == ErrorCodes.REFUSED_STREAM:
        return NotProcessed(why)
    return httpx2.ReadError(why)
