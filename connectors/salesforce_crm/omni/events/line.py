"""One gRPC channel to the Pub/Sub API: its calls, with the token of the org, and errors by what may be done about them.

An error keeps the name of the status, and the vendor's error code of the trailers; never its words.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Literal

from connectors.salesforce_crm.omni.events.address import Address
from connectors.salesforce_crm.omni.events.messages import LATEST, SERVICE, messages

if TYPE_CHECKING:
    from connectors.salesforce_crm.login import Access

CALL_S = 3.0
"""For GetTopic and GetSchema: doctor asks for several in 5 s."""

SILENCE_S = 300.0
"""The server says something every 270 s (reference 4.3): after this, the stream is dead."""

SETTLED_S = 5.0
"""A stream that was not refused for so long stands: some servers say nothing at all before the first event."""

MOST_REQUESTED = 100
"""Events that may be on their way in one stream, as the server allows (reference 4.3)."""

FEW = MOST_REQUESTED // 2
"""So few left: more are asked for. At none the server closes the stream after a minute."""

OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 1000),  # who waits for longer is the listener, with jitter
    ("grpc.use_local_subchannel_pool", 1),  # else a new channel inherits the back-off of the one before
)

Kind = Literal["session", "refused", "lost"]
_KINDS: dict[str, Kind] = {
    "UNAUTHENTICATED": "session",
    **dict.fromkeys(("PERMISSION_DENIED", "NOT_FOUND", "INVALID_ARGUMENT", "UNIMPLEMENTED"), "refused"),
}


class Failed(Exception):
    """kind: `session`: log in anew. refused: it will be again, until an admin does something. lost: try again."""

    def __init__(self, kind: Kind, code: str) -> None:
        super().__init__(code)
        self.kind, self.code = kind, code


class Line:
    """Close it. Needs the extra."""

    def __init__(self, address: Address, proxy: str = "") -> None:
        import grpc

        made = messages()
        self._fetch, self._topic, self._schema = (made[f"{each}Request"] for each in ("Fetch", "Topic", "Schema"))
        way = [("grpc.http_proxy", proxy)] if proxy and not address.is_plain else [("grpc.enable_http_proxy", 0)]
        options = (*OPTIONS, *way)
        if address.is_plain:
            self._channel: Any = grpc.aio.insecure_channel(address.host, options=options)
        else:
            self._channel = grpc.aio.secure_channel(address.host, grpc.ssl_channel_credentials(), options=options)
        self._end = grpc.aio.EOF
        self._error = grpc.RpcError

        def unary(name: str, answer: str) -> Any:
            asked = made[f"{name.removeprefix('Get')}Request"]
            return self._channel.unary_unary(f"/{SERVICE}/{name}", asked.SerializeToString, made[answer].FromString)

        self._get_topic, self._get_schema = unary("GetTopic", "TopicInfo"), unary("GetSchema", "SchemaInfo")
        self._subscribe = self._channel.stream_stream(
            f"/{SERVICE}/Subscribe", self._fetch.SerializeToString, made["FetchResponse"].FromString
        )

    async def topic(self, name: str, access: Access) -> Any:
        """A TopicInfo. Raises Failed."""
        return await self._call(self._get_topic, self._topic(topic_name=name), access)

    async def schema(self, schema_id: str, access: Access) -> str:
        """Avro, as JSON. Raises Failed."""
        found = await self._call(self._get_schema, self._schema(schema_id=schema_id), access)
        return str(found.schema_json)

    async def events(self, topic: str, access: Access) -> AsyncIterator[list[Any]]:
        """ProducerEvents as they come; [] = the stream stands, or the server says that it does. Ends by Failed alone.
        Close it: the call ends with it."""
        call, reading, is_new = self._subscribe(metadata=_metadata(access)), None, True
        left, is_confirmed = MOST_REQUESTED, True
        try:
            await self._within(call.write(self._fetch(topic_name=topic, replay_preset=LATEST, num_requested=left)))
            # Memory is bounded by flow control: the next answer is read when this one has been dealt with.
            while True:
                reading = asyncio.ensure_future(call.read())
                if is_new and not (await asyncio.wait({reading}, timeout=SETTLED_S))[0]:
                    yield []
                is_new = False
                answer = await self._answer(reading)
                left = max(0, left - len(answer.events))
                if is_confirmed and answer.pending_num_requested == 0:
                    left = 0  # it counts otherwise than we do, and would end the stream
                is_confirmed = True
                if left <= FEW:
                    more = MOST_REQUESTED - left
                    await self._within(call.write(self._fetch(topic_name=topic, num_requested=more)))
                    left, is_confirmed = MOST_REQUESTED, False
                yield [each.event for each in answer.events]
        finally:
            call.cancel()
            if reading is not None:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)

    async def aclose(self) -> None:
        """Ends every call."""
        await self._channel.close()

    async def _answer(self, reading: asyncio.Future[Any]) -> Any:
        """The next FetchResponse."""
        if not (await asyncio.wait({reading}, timeout=SILENCE_S))[0]:
            raise Failed("lost", "silent")
        answer = await self._within(reading)
        if answer is self._end:
            raise Failed("lost", "ended-by-server")
        return answer

    async def _call(self, method: Any, request: Any, access: Access) -> Any:
        return await self._within(method(request, metadata=_metadata(access), timeout=CALL_S), CALL_S + 1)

    async def _within(self, call: Any, timeout_s: float | None = None) -> Any:
        """Raises Failed."""
        failed = Failed("lost", "cut")
        try:
            async with asyncio.timeout(timeout_s):
                return await call
        except TimeoutError:
            failed = Failed("lost", "silent")
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # The channel was closed under the call, which gRPC tells like this; nobody cancelled us.
        except self._error as exc:
            failed = _failed(exc)
        raise failed


def _metadata(access: Access) -> tuple[tuple[str, str], ...]:
    return (("accesstoken", access.token), ("instanceurl", access.instance), ("tenantid", access.org))


def _failed(exc: Any) -> Failed:
    status = exc.code().name
    own = next((str(value) for key, value in exc.trailing_metadata() or () if key == "error-code"), "")
    own = own if re.fullmatch(r"[A-Za-z0-9._-]{1,120}", own) else ""
    return Failed(_KINDS.get(status, "lost"), f"{status} {own}".strip())
