"""What the tests of this connector share: Google's types as plain dicts, and a connector on a simulator's socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import grpc
import msgspec
from google.cloud import dialogflow_v2 as es_types
from google.cloud import dialogflowcx_v3 as cx_types
from google.protobuf.json_format import MessageToDict

from connectors.dialogflow.connector import DialogflowConnector
from connectors.dialogflow.settings import DialogflowSettings
from connectors.dialogflow.simulator import AGENT, create_simulator
from omnibridge.clock import SystemClock
from omnibridge.connector import MemoryNotes, Notes, Reply
from omnibridge.connector.testing import FakeContext
from omnibridge.sandbox.server import Socket
from omnibridge.sandbox.visitor import SandboxClient

CX = {"edition": "cx", "agent": AGENT}


def settings(**given: Any) -> DialogflowSettings:
    """As from the configuration file: lists, not tuples."""
    return msgspec.convert({"project": "p", **given}, DialogflowSettings)


def but_facts(reply: Reply) -> Reply:
    """What is said and wanted."""
    return msgspec.structs.replace(reply, facts={}, intent="")


def plain(message: Any) -> dict[str, Any]:
    """A generated message as the client hands it on."""
    found: dict[str, Any] = MessageToDict(type(message).pb(message), preserving_proto_field_name=True)
    return found


def es_message(**fields: Any) -> dict[str, Any]:
    return plain(es_types.Intent.Message(fields))


def es_result(**fields: Any) -> dict[str, Any]:
    return plain(es_types.QueryResult(fields))


def cx_message(**fields: Any) -> dict[str, Any]:
    return plain(cx_types.ResponseMessage(fields))


def cx_result(**fields: Any) -> dict[str, Any]:
    return plain(cx_types.QueryResult(fields))


def is_connected(connector: Any) -> bool:
    """Whether the connector believes that its channel stands."""
    assert connector._client and connector._client._line
    return bool(connector._client._line._channel.get_state() is grpc.ChannelConnectivity.READY)


class LaterClock(SystemClock):
    """That of the system, put forward when a test says so."""

    later_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.later_ms


@dataclass
class Bot:
    """A connector whose agent is the simulator, over gRPC; counts and lines are those of `fake`."""

    connector: DialogflowConnector
    fake: FakeContext
    sandbox: SandboxClient
    url: str
    clock: LaterClock

    async def control(self, **wish: Any) -> None:
        await self.sandbox.call("POST", "/_sandbox/control", wish)

    @property
    def is_connected(self) -> bool:
        return is_connected(self.connector)

    def at(self, later_s: float) -> None:
        """Its clock goes on by so much."""
        self.clock.later_ms += int(later_s * 1000) + 1

    async def reads(self) -> int:
        """How often a context was read."""
        return int((await self.sandbox.call("GET", "/_sandbox/ledger"))["reads"])

    async def turns(self) -> list[dict[str, Any]]:
        return list((await self.sandbox.call("GET", "/_sandbox/ledger"))["turns"])


@asynccontextmanager
async def bot(*, notes: Notes | None = None, **given: Any) -> AsyncIterator[Bot]:
    app = create_simulator()
    socket = Socket(app, "127.0.0.1", 0)
    await socket.start()
    sandbox = SandboxClient(socket.url)
    url = app.state.connection_settings.split('"')[1]
    connector, fake, clock = DialogflowConnector(), FakeContext(), LaterClock()
    try:
        await connector.initialize(
            replace(fake.make(settings(url=url, **given)), clock=clock, notes=notes or MemoryNotes())
        )
        yield Bot(connector, fake, sandbox, url, clock)
    finally:
        await connector.aclose()
        await sandbox.aclose()
        await socket.stop()
