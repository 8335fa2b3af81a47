"""The Pub/Sub API beside the simulated org: gRPC on a port of its own, with faults to switch on, and a ledger.

Started when somebody wants it (`start`, or the switch), as gRPC takes a while to load. What changes in the org becomes
events of the objects that are selected; whoever is subscribed gets as many as he asked for. While somebody is
subscribed, the org's clock goes on by itself: nobody may be polling it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from connectors.salesforce_crm.omni.events.address import TOPICS
from connectors.salesforce_crm.omni.events.messages import SERVICE, messages
from connectors.salesforce_crm.omni.events.schemas import payload, schema_of
from connectors.salesforce_crm.org import ORG

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from connectors.salesforce_crm.simulator import Simulator

CHANNEL = "/data/OmnibridgeRouting__chn"
"""A custom channel with both objects."""

OBJECTS = {
    TOPICS[0]: ("PendingServiceRouting",),
    TOPICS[1]: ("AgentWork",),
    CHANNEL: ("PendingServiceRouting", "AgentWork"),
}
MOST_REQUESTED = 100
TICK_S = 0.01


class Stream:
    """Somebody who is subscribed. left: how many more he asked for. waiting: (bytes, replay id) beyond that."""

    def __init__(self, topic: str) -> None:
        self.topic, self.left = topic, 0
        self.waiting: deque[tuple[str, bytes, int]] = deque(maxlen=10_000)
        self.woken = asyncio.Event()
        self.end = ""


class PubSub:
    """keepalive_s: of silence, until an empty answer. idle_s: with nothing asked for, until the stream is closed."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator, self.port = simulator, 0
        self._server: Any = None
        self._streams: list[Stream] = []
        self.reset()

    def reset(self) -> None:
        self.fail_next: list[dict[str, Any]] = []
        self.selected = {"PendingServiceRouting", "AgentWork"}
        self.may_subscribe, self.is_mute, self.losing, self.copies, self.gaps = True, False, 0, 1, False
        self.keepalive_s, self.idle_s = 270.0, 60.0
        self.subscribed: list[str] = []
        self.asked: list[int] = []
        self.topics, self.schemas, self.n_sent, self.n_lost, self.n_keepalives, self.n_over = 0, 0, 0, 0, 0, 0
        self.n_events = 0

    @property
    def address(self) -> str:
        return f"grpc://127.0.0.1:{self.port}" if self.port else ""

    @property
    def listening(self) -> list[str]:
        """Topics of the streams that stand."""
        return [each.topic for each in self._streams if not each.end]

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        yield
        await self.stop()

    async def start(self, port: int = 0, credentials: Any = None) -> str:
        """Its address. credentials: of gRPC, for TLS; then `address` is not how it is reached."""
        if self._server is None:
            import grpc

            made, handler = messages(), grpc.method_handlers_generic_handler
            self._made, self._codes = made, grpc.StatusCode
            server: Any = grpc.aio.server(options=(("grpc.so_reuseport", 0),))

            def method(kind: str, work: Any, asked: str, answer: str) -> Any:
                handlers = {
                    "unary": grpc.unary_unary_rpc_method_handler,
                    "stream": grpc.stream_stream_rpc_method_handler,
                }
                return handlers[kind](
                    work,
                    request_deserializer=made[asked].FromString,
                    response_serializer=made[answer].SerializeToString,
                )

            methods = {
                "GetTopic": method("unary", self._get_topic, "TopicRequest", "TopicInfo"),
                "GetSchema": method("unary", self._get_schema, "SchemaRequest", "SchemaInfo"),
                "Subscribe": method("stream", self._subscribe, "FetchRequest", "FetchResponse"),
            }
            server.add_generic_rpc_handlers((handler(SERVICE, methods),))
            place = f"127.0.0.1:{port}"
            found = server.add_secure_port(place, credentials) if credentials else server.add_insecure_port(place)
            self.port = int(found)
            await server.start()
            self._server = server
        return self.address

    async def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            self.cut()
            await server.stop(None)

    def cut(self, code: str = "UNAVAILABLE") -> None:
        """Every stream ends with this status; "" = as one that is over."""
        for each in self._streams:
            each.end = code or "OK"
            each.woken.set()

    def publish(self, how: str, name: str, record_id: str, fields: list[str]) -> None:
        """A change of the org."""
        if name not in self.selected or not self._streams:
            return
        self.n_events += 1
        if self.losing:
            self.losing, self.n_lost = self.losing - 1, self.n_lost + 1
            return
        kind = f"GAP_{how.upper()}" if self.gaps else how.upper()
        record = self._simulator.org.of(name).get(record_id, {})
        data = payload(kind, name, record_id, record, fields, self.n_events)
        for each in self._streams:
            if name in OBJECTS[each.topic]:
                each.waiting.extend([(schema_of(name)[0], data, self.n_events)] * self.copies)
                each.woken.set()

    # -- calls ------------------------------------------------------------------------------------------

    async def _get_topic(self, request: Any, context: Any) -> Any:
        self.topics += 1
        await self._check(context, "GetTopic")
        await self._check_topic(request.topic_name, context)
        names = OBJECTS[request.topic_name]
        schema = schema_of(names[0])[0] if len(names) == 1 else ""
        return self._made["TopicInfo"](
            topic_name=request.topic_name, can_subscribe=self.may_subscribe, schema_id=schema, rpc_id="simulated"
        )

    async def _get_schema(self, request: Any, context: Any) -> Any:
        self.schemas += 1
        await self._check(context, "GetSchema")
        known = dict(schema_of(name) for names in OBJECTS.values() for name in names)
        if request.schema_id not in known:
            await self._abort(context, "NOT_FOUND", "schema.not.found")
        return self._made["SchemaInfo"](schema_id=request.schema_id, schema_json=known[request.schema_id])

    async def _subscribe(self, requests: Any, context: Any) -> AsyncIterator[Any]:
        await self._check(context, "Subscribe")
        first = await anext(aiter(requests))
        await self._check_topic(first.topic_name, context)
        stream = Stream(first.topic_name)
        self.subscribed.append(stream.topic)
        self._ask(stream, first)
        self._streams.append(stream)
        asking = asyncio.create_task(self._take(requests, stream))
        try:
            async for answer in self._answers(stream):
                yield answer
            if stream.end != "OK":
                await self._abort(context, stream.end, "service.unavailable" if stream.end == "UNAVAILABLE" else "auth")
        finally:
            self._streams.remove(stream)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    async def _answers(self, stream: Stream) -> AsyncIterator[Any]:
        quiet_since = time.monotonic()
        while not stream.end:
            self._simulator.org.advance()
            stream.woken.clear()
            events: list[Any] = []
            while stream.waiting and len(events) < stream.left and not self.is_mute:
                schema, data, n = stream.waiting.popleft()
                event = self._made["ProducerEvent"](id=f"e{n}", schema_id=schema, payload=data)
                events.append(self._made["ConsumerEvent"](event=event, replay_id=n.to_bytes(8)))
            silent_s = time.monotonic() - quiet_since
            if events or (silent_s >= self.keepalive_s and not self.is_mute):
                stream.left -= len(events)
                self.n_sent += len(events)
                self.n_keepalives += not events
                quiet_since = time.monotonic()
                yield self._made["FetchResponse"](
                    events=events, latest_replay_id=self.n_events.to_bytes(8), pending_num_requested=stream.left
                )
            elif not stream.left and silent_s >= self.idle_s:
                stream.end = "OK"
            try:
                async with asyncio.timeout(TICK_S):
                    await stream.woken.wait()
            except TimeoutError:
                continue

    async def _take(self, requests: Any, stream: Stream) -> None:
        async for each in requests:
            self._ask(stream, each)
            stream.woken.set()

    def _ask(self, stream: Stream, request: Any) -> None:
        self.asked.append(request.num_requested)
        self.n_over += stream.left + request.num_requested > MOST_REQUESTED
        stream.left = min(MOST_REQUESTED, stream.left + request.num_requested)

    async def _check(self, context: Any, call: str) -> None:
        for each in self.fail_next:
            if each.get("count", 1) > 0 and each.get("match", "") in call:
                each["count"] = each.get("count", 1) - 1
                await self._abort(context, each.get("code", "UNAVAILABLE"), each.get("error", "service.unavailable"))
        told = {key: value for key, value in context.invocation_metadata()}
        is_known = self._simulator.tokens.get(told.get("accesstoken", ""), 0) > time.monotonic()
        if not is_known or told.get("tenantid") != ORG or not told.get("instanceurl", "").startswith("http"):
            await self._abort(context, "UNAUTHENTICATED", "service.auth.error")

    async def _check_topic(self, topic: str, context: Any) -> None:
        if topic not in OBJECTS:
            await self._abort(context, "INVALID_ARGUMENT", "topic.invalid")
        if not self.selected.issuperset(OBJECTS[topic]):
            await self._abort(context, "NOT_FOUND", "topic.not.found")

    async def _abort(self, context: Any, code: str, error: str) -> None:
        trailers = (("error-code", f"sfdc.platform.eventbus.grpc.{error}"),)
        await context.abort(self._codes[code], "simulated: a token and vera@example.com", trailers)

    # -- for tests and people ---------------------------------------------------------------------------

    def ledger(self) -> dict[str, Any]:
        """over_asked: times that somebody had asked for more than the server allows."""
        return {
            "subscribed": self.subscribed, "asked": self.asked, "sent": self.n_sent, "lost": self.n_lost,
            "keepalives": self.n_keepalives, "over_asked": self.n_over, "topics": self.topics, "schemas": self.schemas,
            "listening": self.listening,
        }  # fmt: skip

    async def control(self, wish: dict[str, Any]) -> dict[str, Any]:
        """start, stop, cut CODE, fail_next [{code, match, count}], losing N, copies N, gaps, is_mute, keepalive_s,
        idle_s, may_subscribe, selected [objects]: the address."""
        for name in ("losing", "copies", "gaps", "is_mute", "keepalive_s", "idle_s", "may_subscribe"):
            if name in wish:
                setattr(self, name, wish[name])
        self.selected = set(wish.get("selected", self.selected))
        self.fail_next += wish.get("fail_next", [])
        if "cut" in wish:
            self.cut(wish["cut"])
        if wish.get("start"):
            await self.start()
        if wish.get("stop"):
            await self.stop()
        return {"pubsub_address": self.address}
