"""Google's async client on a channel of ours: one call, its deadline, and what became of it.

Rules that bite, from the libraries' source and tried: `timeout=` bounds nothing unless `retry=None`; a client belongs
to the loop that it was made in; there is no option for a plain-text endpoint, so the channel is made here. A channel
that does not stand is found before anything is sent, which makes "not sent" certain.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from typing import Any

from connectors.dialogflow.credentials import SCOPES, found_by_google, service_account
from connectors.dialogflow.errors import from_exception
from connectors.dialogflow.names import Target
from connectors.dialogflow.settings import Edition
from omnibridge.connector import DeliveryError, DeliveryRejected, DeliveryRetryable, DeliveryUncertain

CONNECT_S = 4.0
"""For a connection; the call's own time begins after it."""

CREDENTIALS_S = 10.0
"""For finding credentials, where Google's libraries ask a metadata server."""

READ_S = 3.0
"""For reading a context: the turn's own deadline goes on meanwhile."""

LEAVE_S = 60.0
"""For calls on a channel whose token was refused; their own deadlines are shorter."""

OPTIONS = (
    # Out of the box the pause between attempts to connect grows to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", int(CONNECT_S * 1000)),  # despite its name: how long an attempt may take
    ("grpc.max_reconnect_backoff_ms", 1000),
    # A connection that died without a word is found while a call waits on it.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # One that stood unused may be gone without our knowing, and a call on it would be uncertain.
    ("grpc.client_idle_timeout_ms", 60_000),
    # gRPC itself repeats a call that it knows no server has seen: a stream that was refused, one above the last of a
    # GOAWAY. No other: a policy would come from the service's DNS entry, which is not looked at.
    ("grpc.enable_retries", 1),
    ("grpc.service_config_disable_resolution", 1),
)


def load(edition: Edition) -> tuple[Any, Any]:
    """The client's class and its transport's. Takes a second or two, so not in the event loop. Raises ImportError."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its core prints lines of its own to stderr
    if edition == "cx":
        from google.cloud.dialogflowcx_v3.services.sessions import SessionsAsyncClient as CxClient
        from google.cloud.dialogflowcx_v3.services.sessions.transports import (
            SessionsGrpcAsyncIOTransport as CxTransport,
        )

        return CxClient, CxTransport
    from google.cloud.dialogflow_v2.services.sessions import SessionsAsyncClient
    from google.cloud.dialogflow_v2.services.sessions.transports import SessionsGrpcAsyncIOTransport

    return SessionsAsyncClient, SessionsGrpcAsyncIOTransport


class DialogflowClient:
    """key: of a service account, as `read_key` made it; None = what Google's libraries find, nothing for a simulator.

    The channel is made at the first call, in its loop; a new one, with fresh credentials, after a refused token.
    """

    def __init__(self, edition: Edition, target: Target, key: dict[str, Any] | None, count: Callable[[str, int], None]):
        self._edition, self._target, self._count = edition, target, count
        self._signed = service_account(key) if key else None
        self._key = key
        self._line: _Line | None = None
        self._making = asyncio.Lock()
        self._leaving: dict[asyncio.Task[None], _Line] = {}
        self._is_open = True

    async def detect(self, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        """One DetectIntent: its QueryResult as a plain dict. Raises DeliveryError.

        A refused token is renewed and the call made once more: such a call was not processed.
        """
        return await self._renewing(lambda line: line.call(lambda: line.detect(request, timeout_s), timeout_s))

    async def context(self, name: str) -> dict[str, Any] | None:
        """Parameters of a context of ES; None when it is not there. Reading moves nothing. Raises DeliveryError."""
        try:
            return await self._renewing(lambda line: line.call(lambda: line.context(name), READ_S))
        except DeliveryUncertain as exc:
            raise DeliveryRetryable(str(exc), code=exc.code) from exc
        except DeliveryRejected as exc:
            if exc.code == "not-found":
                return None
            raise

    async def _renewing(self, call: Callable[[_Line], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        line = await self._standing()
        try:
            return await call(line)
        except DeliveryError as exc:
            if exc.code != "unauthorized":
                raise
        self._count("tokens_renewed", 1)
        self._leave(line)
        return await call(await self._standing())

    async def aclose(self) -> None:
        self._is_open = False
        lines = {*self._leaving.values(), *([self._line] if self._line else [])}
        self._line = None
        for task in self._leaving:
            task.cancel()
        await asyncio.gather(*self._leaving, *(each.aclose() for each in lines), return_exceptions=True)

    async def _standing(self) -> _Line:
        """A line that is connected. Raises DeliveryRetryable when there is none: nothing was sent."""
        async with self._making:  # one at a time: the first credentials may take a while
            if not self._is_open:
                raise DeliveryRetryable("the connection is closed", code="closed")
            if self._line is None:
                try:
                    self._line = await self._make()
                except TimeoutError:
                    raise DeliveryRetryable("no credentials for Dialogflow in time", code="credentials") from None
                except Exception as exc:
                    raise from_exception(exc) from exc
            line = self._line
        await line.ready()
        return line

    async def _make(self) -> _Line:
        if self._target.is_plain:
            return _Line(self._edition, self._target, None, self._signed)
        credentials = self._signed
        if credentials is None:
            async with asyncio.timeout(CREDENTIALS_S):
                credentials = await asyncio.to_thread(found_by_google)
        line = _Line(self._edition, self._target, credentials, None)
        if not self._is_open:  # closed while Google's libraries looked
            await line.aclose()
        return line

    def _leave(self, line: _Line) -> None:
        """The next call makes a new one. Calls of others that are under way on this one end by themselves."""
        if self._line is not line:
            return
        self._line = None
        self._signed = service_account(self._key) if self._key else None
        task = asyncio.create_task(line.leave())
        self._leaving[task] = line
        task.add_done_callback(lambda done: self._leaving.pop(done, None))


class _Line:
    """One channel with its client. token_of: credentials whose token is sent on a channel that carries none itself."""

    def __init__(self, edition: Edition, target: Target, credentials: Any, token_of: Any) -> None:
        import grpc

        client, transport = load(edition)
        if target.is_plain:
            options = (*OPTIONS, ("grpc.enable_http_proxy", 0))
            self._channel: Any = grpc.aio.insecure_channel(target.host, options=options)
        else:
            self._channel = transport.create_channel(
                target.host, credentials=credentials, scopes=list(SCOPES), options=OPTIONS
            )
        self._client: Any = client(transport=transport(channel=self._channel))
        self._contexts: Any = None
        self._states, self._token_of = grpc.ChannelConnectivity, token_of
        self._under_way, self._is_idle = 0, asyncio.Event()
        self._is_idle.set()

    async def ready(self) -> None:
        """Raises DeliveryRetryable when the channel does not stand in time."""
        states = self._states
        try:
            async with asyncio.timeout(CONNECT_S):
                while (state := self._channel.get_state(try_to_connect=True)) is not states.READY:
                    if state in (states.TRANSIENT_FAILURE, states.SHUTDOWN):
                        raise DeliveryRetryable("Dialogflow cannot be reached", code="not-sent")
                    await self._channel.wait_for_state_change(state)
        except TimeoutError:
            raise DeliveryRetryable(f"no connection to Dialogflow within {CONNECT_S:g} s", code="not-sent") from None
        except DeliveryError:
            raise
        except Exception as exc:
            raise from_exception(exc) from exc

    async def detect(self, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        from google.protobuf.json_format import MessageToDict

        answer = await self._client.detect_intent(
            request=request, retry=None, timeout=timeout_s, metadata=self._metadata()
        )
        return _result(type(answer).pb(answer), MessageToDict)

    async def context(self, name: str) -> dict[str, Any]:
        """ES alone."""
        from google.cloud.dialogflow_v2.services.contexts import ContextsAsyncClient
        from google.cloud.dialogflow_v2.services.contexts.transports import ContextsGrpcAsyncIOTransport
        from google.protobuf.json_format import MessageToDict

        make: Any = ContextsAsyncClient
        if self._contexts is None:
            self._contexts = make(transport=ContextsGrpcAsyncIOTransport(channel=self._channel))
        found = await self._contexts.get_context(
            request={"name": name}, retry=None, timeout=READ_S, metadata=self._metadata()
        )
        return dict(MessageToDict(type(found).pb(found).parameters))

    async def call(self, made: Callable[[], Awaitable[dict[str, Any]]], timeout_s: float) -> dict[str, Any]:
        """Raises DeliveryError."""
        self._under_way += 1
        self._is_idle.clear()
        try:
            return await self._call(made, timeout_s)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._is_idle.set()

    async def _call(self, made: Callable[[], Awaitable[dict[str, Any]]], timeout_s: float) -> dict[str, Any]:
        try:
            # gRPC's own deadline comes first and tells more; ours is for a client that would not keep it.
            async with asyncio.timeout(timeout_s + 1.0):
                return await made()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # The channel was closed under the call, which gRPC tells like this; nobody cancelled us.
            raise DeliveryUncertain("the connection was closed meanwhile", code="cut") from None
        except Exception as exc:
            raise from_exception(exc) from exc

    def _metadata(self) -> list[tuple[str, str]]:
        if self._token_of is None:
            return []
        headers: dict[str, str] = {}
        self._token_of.before_request(None, "POST", "https://dialogflow.googleapis.com/", headers)
        return [(name.lower(), value) for name, value in headers.items()]

    async def leave(self) -> None:
        """Close it when no call is under way any more. gRPC's own grace period cannot be cut short."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                await self._is_idle.wait()
        await self.aclose()

    async def aclose(self) -> None:
        """Calls under way end as uncertain. Raises nothing: nothing can be done about what does not close well."""
        with contextlib.suppress(Exception):
            await self._channel.close(None)


def _result(answer: Any, to_dict: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """The QueryResult, and the webhook's failures beside it, without their details: those may be of unknown types."""
    result = answer.query_result
    failures = [answer.webhook_status] if hasattr(answer, "webhook_status") else list(result.webhook_statuses)
    failed = [each.code for each in failures if each.code]
    for name in ("webhook_statuses", "trace_blocks", "webhook_payloads", "data_store_connection_signals"):
        if name in result.DESCRIPTOR.fields_by_name:
            result.ClearField(name)
    found = to_dict(result, preserving_proto_field_name=True)
    return {**_whole(found), "webhook_failures": failed}


def _whole(value: Any) -> Any:
    """A struct's numbers are doubles: `7.0` was `7`."""
    if isinstance(value, dict):
        return {key: _whole(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_whole(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value
