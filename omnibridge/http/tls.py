"""TLS between a socket and a protocol, by the `ssl` module on two memory buffers.

Thousands of connections that only wait are ours to hold: uvloop's own layer keeps 256 KB of address space and some
20 KB of memory for each. OpenSSL's own share is what remains: 20 KB where a session is resumed, because then the
server's chain is not in memory once more for each connection (`python -m tests.bench.tls_memory`).
"""

from __future__ import annotations

import asyncio
import ssl
import time
from typing import Any, cast

PIECE = 4096
"""Encrypted bytes that are given to OpenSSL at once: its buffer grows to what it was given, and stays so."""
READ = 65_536
_NOTHING = [b""]
"""Written after each read: nothing is sent, but OpenSSL gives back the 16 KB that it takes for writing when the server
sends tickets (`SSL_write_ex` says that this may be done). Who only listens would keep them for ever."""
RESUMED_S = 3600.0
"""A server shows its certificate again after this, though it would let us resume for a day."""
MOST_SESSIONS = 64
"""Servers whose session is kept, by one client. Each keeps certificates in memory; webhooks and pictures of users may
lead to any number of servers."""


class Sessions:
    """What servers gave us to resume with, by their address."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, int], tuple[ssl.SSLSession, float]] = {}

    def of(self, server: tuple[str, int]) -> ssl.SSLSession | None:
        found, since = self._kept.get(server, (None, 0.0))
        return found if found is not None and time.monotonic() - since < RESUMED_S else None

    def offer(self, server: tuple[str, int], tls: ssl.SSLObject, tried: ssl.SSLSession | None) -> bool:
        """Kept where there is none, or none but the one that this connection tried in vain: the server forgot it, or
        it is of another context. False: the server may still give one. A resumed session is never kept: it would make
        the one that it came from younger."""
        kept = self.of(server)
        if tls.session_reused or (kept is not None and kept is not tried):
            return True
        session = tls.session
        if session is None or not session.has_ticket:
            return False
        self._kept.pop(server, None)
        while len(self._kept) >= MOST_SESSIONS:
            del self._kept[next(iter(self._kept))]
        self._kept[server] = session, time.monotonic()
        return True


class Secured(asyncio.Protocol):
    """Is the protocol of a socket, and the transport of `inner`, which hears of the connection once it is secure.

    Await `secure` first: it raises OSError (ssl.SSLError is one) when this is not the server that we wanted. An end
    that the server did not announce is ssl.SSLEOFError for `inner`: anybody on the way may have cut the rest off.
    """

    __slots__ = (
        "_in",
        "_inner",
        "_is_over",
        "_is_secure",
        "_out",
        "_server",
        "_sessions",
        "_shaken",
        "_tls",
        "_transport",
        "_tried",
        "_unsent",
    )

    def __init__(
        self, inner: asyncio.Protocol, context: ssl.SSLContext, server: tuple[str, int], sessions: Sessions
    ) -> None:
        self._inner, self._server = inner, server
        self._sessions: Sessions | None = sessions
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tried = tried = sessions.of(server)
        try:
            self._tls = context.wrap_bio(self._in, self._out, server_hostname=server[0], session=tried)
        except ValueError:  # of another context: trust was changed meanwhile
            self._tls = context.wrap_bio(self._in, self._out, server_hostname=server[0])
        self._shaken: asyncio.Future[None] | None = None
        self._is_secure = self._is_over = False
        self._unsent: list[bytes] = []
        self._transport: asyncio.Transport | None = None

    async def secure(self) -> None:
        """Call once connected."""
        self._shaken = asyncio.get_running_loop().create_future()
        try:
            if self.is_closing():
                raise ConnectionResetError("the other side hung up before the TLS handshake")
            self._shake()
            await self._shaken
            if self.is_closing():
                raise ConnectionResetError("the other side ended the connection right after the TLS handshake")
        except BaseException:
            self.abort()
            raise
        finally:
            self._shaken = None

    # -- of the socket ------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it

    def data_received(self, data: bytes) -> None:
        for at in range(0, len(data), PIECE):
            self._in.write(data[at : at + PIECE] if len(data) > PIECE else data)
            if self._is_secure:
                self._read()
            else:
                self._shake()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._is_secure:
            if exc is None and not self._is_over:
                exc = ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "the other side hung up without the good-bye of TLS")
            self._inner.connection_lost(exc)
        elif self._shaken is not None and not self._shaken.done():
            self._shaken.set_exception(exc or ConnectionResetError("the other side hung up in the TLS handshake"))

    # -- inside -------------------------------------------------------------------------------------------

    def _shake(self) -> None:
        """One step of the handshake."""
        if self._shaken is None or self._shaken.done():
            return
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLError as exc:
            self._flush()  # an alert says why
            self._shaken.set_exception(exc)
        else:
            self._flush()
            self._is_secure = True
            self._inner.connection_made(cast(asyncio.BaseTransport, self))
            self._shaken.set_result(None)
            self._read()  # what came with the last of the handshake

    def _read(self) -> None:
        try:
            while not self.is_closing():
                data = self._tls.read(READ)
                if not data:  # it said good-bye: nothing that is written now would be read
                    self._is_over = True
                    self._after()
                    self.close()
                    return
                self._inner.data_received(data)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as exc:
            self._fail(exc)
            return
        self._after()

    def _after(self) -> None:
        """Answers of the protocol itself, and what could not be sent before."""
        if self.is_closing():
            return
        if self._sessions is not None and self._sessions.offer(self._server, self._tls, self._tried):
            self._sessions = self._tried = None
        waiting, self._unsent = self._unsent or _NOTHING, []
        for each in waiting:
            self.write(each)

    def _flush(self) -> None:
        if self._out.pending and self._transport is not None and not self._transport.is_closing():
            self._transport.write(self._out.read())

    def _fail(self, exc: ssl.SSLError) -> None:
        """The connection is broken, and `inner` hears of it in `connection_lost`."""
        self._flush()
        inner, self._inner = self._inner, _Nobody()
        self.abort()
        asyncio.get_running_loop().call_soon(inner.connection_lost, exc)

    # -- for `inner`: what it uses of a transport ---------------------------------------------------------

    def write(self, data: bytes) -> None:
        if self._unsent:
            self._unsent.append(data)
            return
        try:
            self._tls.write(data)
        except ssl.SSLWantReadError:  # the server wants another handshake first
            self._unsent.append(data)
        except ssl.SSLError as exc:
            self._fail(exc)
        self._flush()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Who hears from now on, in place of `inner`."""
        self._inner = cast(asyncio.Protocol, protocol)

    def is_closing(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def close(self) -> None:
        """What was written is sent first, then our good-bye."""
        if self._transport is None or self._transport.is_closing():
            return
        self._is_over = True
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            pass  # it waits for the other side's: we do not
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        self._is_over = True
        if self._transport is not None:
            self._transport.abort()

    def get_write_buffer_size(self) -> int:
        """Bytes of requests that are not with the kernel yet."""
        if self._transport is None or self._transport.is_closing():
            return 0
        return sum(map(len, self._unsent)) + self._transport.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if self._transport is not None:
            self._transport.set_write_buffer_limits(high, low)

    def pause_reading(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "ssl_object":
            return self._tls
        return default if self._transport is None else self._transport.get_extra_info(name, default)


class _Nobody(asyncio.Protocol):
    """Who heard of the end already."""
