"""TLS between a socket and a protocol, by the `ssl` module on two memory buffers.

Thousands of connections that only wait are ours to hold: uvloop's own layer keeps 256 KB of address space and some
20 KB of memory for each. OpenSSL's own share is what remains: 30 to 40 KB, less where a session is resumed, because
then the server's certificates are not in memory once more for each connection.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from typing import Any, cast

PIECE = 4096
"""Encrypted bytes that are given to OpenSSL at once: its buffer grows to what it was given, and stays so."""
READ = 65_536
RESUMED_S = 3600.0
"""A server shows its certificate again after this, though it would let us resume for a day."""


class Sessions:
    """What servers gave us to resume with, by their address."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, int], tuple[ssl.SSLSession, float]] = {}

    def of(self, server: tuple[str, int]) -> ssl.SSLSession | None:
        found, since = self._kept.get(server, (None, 0.0))
        return found if found is not None and time.monotonic() - since < RESUMED_S else None

    def offer(self, server: tuple[str, int], tls: ssl.SSLObject) -> bool:
        """Kept where there is none. False: the server may still give one. A resumed session is never kept: it would
        make the one that it came from younger."""
        if tls.session_reused or self.of(server) is not None:
            return True
        session = tls.session
        if session is None or not session.has_ticket:
            return False
        self._kept[server] = session, time.monotonic()
        return True


class Secured(asyncio.Protocol):
    """Is the protocol of a socket, and the transport of `inner`, which hears of the connection once it is secure.

    Await `secure` first: it raises OSError (ssl.SSLError is one) when this is not the server that we wanted.
    """

    __slots__ = (
        "_in",
        "_inner",
        "_is_secure",
        "_out",
        "_server",
        "_sessions",
        "_shaken",
        "_tls",
        "_transport",
        "_unsent",
    )

    def __init__(
        self, inner: asyncio.Protocol, context: ssl.SSLContext, server: tuple[str, int], sessions: Sessions
    ) -> None:
        self._inner, self._server = inner, server
        self._sessions: Sessions | None = sessions
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = sessions.of(server)
        try:
            self._tls = context.wrap_bio(self._in, self._out, server_hostname=server[0], session=session)
        except ValueError:  # of another context: trust was changed meanwhile
            self._tls = context.wrap_bio(self._in, self._out, server_hostname=server[0])
        self._shaken: asyncio.Future[None] | None = None
        self._is_secure = False
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

    def connection_lost(self, exc: Exception | None) -> None:
        if self._is_secure:
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

    def _read(self) -> None:
        try:
            while not self.is_closing():
                data = self._tls.read(READ)
                if not data:  # it said good-bye: nothing that is written now would be read
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
        if self._sessions is not None and self._sessions.offer(self._server, self._tls):
            self._sessions = None
        if self._unsent:
            waiting, self._unsent = self._unsent, []
            for each in waiting:
                self.write(each)
        self._flush()

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
            return
        self._flush()

    def is_closing(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def close(self) -> None:
        """What was written is sent first, then our good-bye."""
        if self._transport is None or self._transport.is_closing():
            return
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            pass  # it waits for the other side's: we do not
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

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
