"""rasa-sdk's ActionExecutor behind a small app of our own, in place of its sanic server.

The SDK's server listens on all addresses, asks for no password and answers a failed action with the whole
request, personal data included. Ours answers as it does otherwise: 400 for a rejected execution, 404 for an
unknown action, 449 for a missing domain. Source: rasa-sdk 3.21.1, tried with Rasa 3.6.21. One executor
remembers one domain: run one server for each Rasa server.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import importlib
import json
import logging
import os
import socket
import sys
import traceback
import zlib
from collections.abc import Callable
from typing import Any

import uvicorn
from rasa_sdk.executor import ActionExecutor
from rasa_sdk.interfaces import ActionExecutionRejection, ActionMissingDomainException, ActionNotFoundException
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from omnibridge.connector import ConfigError

_log = logging.getLogger("omnibridge.rasa.actions")

LARGEST = 16 * 1024 * 1024
"""Of a request, as sent and inflated. A call carries the whole conversation and the domain: 7.5 kB after two turns."""

Credentials = tuple[str, str]


class RefusedCall(Exception):
    """status, and what is wrong with the request."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status, self.error = status, error


class ActionServer:
    """credentials: user and password of basic auth; None = nobody is asked."""

    def __init__(self, executor: ActionExecutor, credentials: Credentials | None = None) -> None:
        self._executor = executor
        self._wanted = ":".join(credentials).encode() if credentials else None

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/webhook", self.webhook, methods=["POST"]),
                Route("/actions", self.actions),
                Route("/health", self.health),
            ],
            exception_handlers={RefusedCall: _refused},
        )

    async def health(self, _: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def actions(self, request: Request) -> Response:
        self._authenticate(request)
        return JSONResponse([{"name": name} for name in self._executor.actions])

    async def webhook(self, request: Request) -> Response:
        """Run one action. An action that blocks holds up all others, as in the SDK's own server."""
        self._authenticate(request)
        call = await _read(request)
        try:
            result = await self._executor.run(call)
        except ActionExecutionRejection as exc:
            return JSONResponse({"error": exc.message, "action_name": exc.action_name}, 400)
        except ActionNotFoundException as exc:
            return JSONResponse({"error": exc.message, "action_name": exc.action_name}, 404)
        except ActionMissingDomainException as exc:
            return JSONResponse({"error": exc.message, "action_name": exc.action_name}, 449)
        except Exception as exc:
            return self._failed(str(call.get("next_action")), exc)
        return JSONResponse(result.model_dump() if result else None)

    def _failed(self, action: str, exc: Exception) -> Response:
        """Neither the answer nor the log repeats the message: it may hold what the visitor wrote."""
        known = action if action in self._executor.actions else "?"
        where = "".join(traceback.format_tb(exc.__traceback__)[-3:])
        _log.error("action %s failed: %s\n%s", known, type(exc).__name__, where)
        return JSONResponse({"error": f"the action failed: {type(exc).__name__}", "action_name": known}, 500)

    def _authenticate(self, request: Request) -> None:
        if self._wanted is not None and not hmac.compare_digest(_given(request), self._wanted):
            raise RefusedCall(401, "set basic_auth of action_endpoint in Rasa's endpoints.yml")


def load_executor(module: str = "") -> ActionExecutor:
    """An executor with our actions, and those of a module or package. Raises ConfigError."""
    executor = ActionExecutor()
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # as `python -m rasa_sdk` has it
    for name in ("connectors.rasa.actions", module):
        if not name:
            continue
        try:
            importlib.import_module(name)
        except Exception as exc:
            raise ConfigError(f"--actions-module {name} cannot be imported: {type(exc).__name__}: {exc}") from exc
        executor.register_package(name)
    return executor


def serve(
    executor: ActionExecutor, host: str, port: int, credentials: Credentials | None, tell: Callable[[str], None]
) -> None:
    """Until SIGINT or SIGTERM. tell: is given the address. Raises ConfigError when it cannot listen there."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(512)
    except OSError as exc:
        listening.close()
        raise ConfigError(f"cannot listen on {host}:{port}: {exc.strerror}") from exc
    shown = f"[{host}]" if ":" in host else host
    tell(f"http://{shown}:{listening.getsockname()[1]}/webhook")
    app = ActionServer(executor, credentials).app()
    config = uvicorn.Config(app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=5)
    uvicorn.Server(config).run(sockets=[listening])


async def _read(request: Request) -> dict[str, Any]:
    """The call. Raises RefusedCall."""
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > LARGEST:
                raise RefusedCall(413, "the request is too large")
    except ClientDisconnect:
        raise RefusedCall(400, "cut off") from None
    if request.headers.get("content-encoding") == "deflate":
        body = bytearray(_inflate(bytes(body)))
    try:
        call = json.loads(body)
    except (ValueError, RecursionError):
        raise RefusedCall(400, "the request is not JSON") from None
    if not isinstance(call, dict):
        raise RefusedCall(400, "Invalid body request")
    return call


def _inflate(body: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        plain = inflater.decompress(body, LARGEST)
    except zlib.error:
        raise RefusedCall(400, "the request is not deflated") from None
    if inflater.unconsumed_tail:
        raise RefusedCall(413, "the request is too large")
    return plain


def _given(request: Request) -> bytes:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return b""


async def _refused(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, RefusedCall)
    headers = {"WWW-Authenticate": 'Basic realm="actions"'} if exc.status == 401 else None
    return JSONResponse({"error": exc.error}, exc.status, headers)
