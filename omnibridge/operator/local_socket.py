"""The running server's local socket, beside its database: a small HTTP app for the operator's commands.

Only the user who runs the server can open it (mode 0600). It carries what changes rows; everything that only
reads is read from the database.
"""

from __future__ import annotations

import http.client
import os
import socket
import stat
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from omnibridge.errors import ConfigError, OmnibridgeError
from omnibridge.operator.actions import Order, Outcome
from omnibridge.operator.live import Operator
from omnibridge.operator.tokens import TokenOrder

LONGEST = 107
"""Bytes of a Unix socket's address, by the kernel."""

TIMEOUT_S = 120.0
T = TypeVar("T")


class NoServer(OmnibridgeError):
    """No server listens at this database's socket."""


class Answer(msgspec.Struct):
    """Of every request; problem: why nothing was done."""

    outcomes: list[Outcome] = []
    problem: str = ""


def socket_path(database: Path) -> Path:
    """Where the server of a database listens."""
    return Path(f"{database}.sock")


Handler = Callable[[bytes], Awaitable[bytes]]
"""JSON in, JSON out; for parts that bring their own requests."""


def create_app(operator: Operator, others: Mapping[str, Handler] | None = None) -> Starlette:
    """POST /deliveries/resend and /deliveries/bury, an Order each; /tokens/change, a TokenOrder; /NAME for others."""

    async def change_tokens(request: Request) -> Response:
        try:
            order = msgspec.json.decode(await request.body(), type=TokenOrder)
        except msgspec.DecodeError as exc:
            return _reply(Answer(problem=f"not an order: {exc}"), 400)
        return _reply(Answer([await operator.change_tokens(order)]), 200)

    return Starlette(
        routes=[
            Route("/deliveries/resend", _endpoint(operator.resend), methods=["POST"]),
            Route("/deliveries/bury", _endpoint(operator.bury), methods=["POST"]),
            *(Route(f"/{name}", _raw_endpoint(each), methods=["POST"]) for name, each in (others or {}).items()),
            Route("/tokens/change", change_tokens, methods=["POST"]),
        ]
    )


def _raw_endpoint(handle: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return Response(await handle(await request.body()), media_type="application/json")

    return endpoint


def _endpoint(carry_out: Callable[[Order], Awaitable[list[Outcome]]]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            order = msgspec.json.decode(await request.body(), type=Order)
        except msgspec.DecodeError as exc:
            return _reply(Answer(problem=f"not an order: {exc}"), 400)
        return _reply(Answer(await carry_out(order)), 200)

    return endpoint


def _reply(answer: Answer, status: int) -> Response:
    return Response(msgspec.json.encode(answer), status, media_type="application/json")


def listen(path: Path) -> socket.socket:
    """A listening socket that only this user can open. Raises ConfigError.

    Call it while holding the database's lock: then a socket that is there already belongs to a dead process.
    """
    try:
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()
        else:
            raise ConfigError(f"{path}: is in the way: the server listens there for commands; move it")
    except FileNotFoundError:
        pass  # the usual case
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(listening.fileno(), 0o600)  # before it has a name, so that there is no moment of another mode
        with _address(path) as address:
            listening.bind(address)
        path.chmod(0o600)
        listening.listen(16)
    except ConfigError:
        listening.close()
        raise
    except OSError as exc:
        listening.close()
        raise ConfigError(f"{path}: cannot listen for commands: {exc.strerror or exc}") from exc
    return listening


def or_directly(database: Path, ask: Callable[[Path], T], alone: Callable[[], T]) -> T:
    """What `ask` has of the running server at its socket; without one, what `alone` has under the database's lock.

    Raises ConfigError, OmnibridgeError."""
    path = socket_path(database)
    try:
        return ask(path)
    except NoServer:
        pass  # then the database's lock is free, or its holder takes no commands
    try:
        return alone()
    except ConfigError as exc:
        raise ConfigError([*exc.problems, f"and nobody takes commands at {path}"]) from exc


def call(path: Path, action: str, order: Order) -> list[Outcome]:
    """Ask the running server. Raises NoServer, ConfigError."""
    return send(path, f"deliveries/{action}", msgspec.json.encode(order))


def send(path: Path, name: str, order: bytes) -> list[Outcome]:
    """Ask the running server for something that has outcomes. Raises NoServer, ConfigError."""
    try:
        answer = msgspec.json.decode(exchange(path, name, order), type=Answer)
    except msgspec.DecodeError as exc:
        raise _no_answer(path, exc) from exc
    if answer.problem:
        raise OmnibridgeError(f"the server refused: {answer.problem}")
    return answer.outcomes


def exchange(path: Path, name: str, body: bytes, timeout_s: float = TIMEOUT_S) -> bytes:
    """What the running server answers. Raises NoServer, ConfigError."""
    connection = _Connection(path, timeout_s)
    try:
        connection.request("POST", f"/{name}", body)
        answer = connection.getresponse()
        if answer.status == 404:
            raise ConfigError(f"{path}: the running server does not know {name}: it is of another version")
        return answer.read()
    except (FileNotFoundError, ConnectionRefusedError) as exc:
        raise NoServer(f"{path}: {exc.strerror}") from exc
    except PermissionError as exc:
        raise ConfigError(f"{path}: belongs to another user; run this as the user who runs the server") from exc
    except (OSError, http.client.HTTPException) as exc:
        raise _no_answer(path, exc) from exc
    finally:
        connection.close()


def _no_answer(path: Path, exc: Exception) -> OmnibridgeError:
    return OmnibridgeError(f"{path}: the server did not answer ({exc}); look with `deliveries list`")


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        with _address(self._path) as address:
            self.sock.connect(address)


@contextmanager
def _address(path: Path) -> Iterator[str]:
    """A name for the socket that the kernel takes: a long path is shortened through its open folder (Linux)."""
    if len(os.fsencode(path)) <= LONGEST:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        address = f"/proc/self/fd/{folder}/{path.name}"
        if len(os.fsencode(address)) > LONGEST:
            raise ConfigError(f"{path.name}: is too long a name for a socket; give the database a shorter one")
        yield address
    finally:
        os.close(folder)
