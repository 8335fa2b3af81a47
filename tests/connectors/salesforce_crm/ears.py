"""A router that listens to the simulated Pub/Sub API, without a bridge around it: what it rings, and what it logs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from connectors.salesforce_crm.omni.connector import SalesforceOmniConnector
from connectors.salesforce_crm.omni.events import line, listener
from connectors.salesforce_crm.omni.events.address import TOPICS
from connectors.salesforce_crm.omni.events.simulator import PubSub
from connectors.salesforce_crm.omni.settings import SalesforceOmniSettings
from connectors.salesforce_crm.simulator import CLIENT_ID, CLIENT_SECRET
from omnibridge.connector import bell
from omnibridge.connector.testing import FakeContext
from tests.connectors.salesforce_crm.omnis import Omni

PAUSE_S = 0.02


class CountingBell(bell.Bell):
    """rings: (answers, work) of each ring, in order, and of each look at both."""

    def __init__(self) -> None:
        super().__init__()
        self.rings: list[tuple[bool, bool]] = []

    def ring(self, *, answers: bool = True, work: bool = True) -> None:
        self.rings.append((answers, work))
        super().ring(answers=answers, work=work)

    def look(self) -> None:
        self.rings.append((True, True))
        super().look()


class Ears:
    """It routes for `queue`, and decides by `chats`."""

    def __init__(self, omni: Omni) -> None:
        self.omni, self.bell, self.context = omni, CountingBell(), FakeContext()
        self.queue, self.chats = omni.org.queue("calls", "ExternalRouting"), omni.org.queue("chats")
        self.connector = SalesforceOmniConnector()
        self.lines: list[line.Line] = []

    @property
    def events(self) -> PubSub:
        return self.omni.simulator.events

    @property
    def codes(self) -> list[str]:
        """Why streams were lost."""
        return [fields["code"] for action, fields in self.context.lines if action == "omni_events_lost"]

    def settings(self, **options: Any) -> SalesforceOmniSettings:
        raw = {
            "url": self.omni.url, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "read_timeout_s": 2.0,
            "queue": self.chats, "routes": [self.queue], "events": "pubsub",
            "pubsub_address": self.events.address or "grpc://127.0.0.1:9",
        }  # fmt: skip
        return msgspec.convert({**raw, **options}, SalesforceOmniSettings)

    async def use(self, **options: Any) -> SalesforceOmniConnector:
        await self.connector.initialize(self.context.make(self.settings(**options)))
        make = self.connector._line
        self.connector._line = lambda: self.lines.append(make()) or self.lines[-1]  # type: ignore[func-returns-value,method-assign]
        return self.connector

    @asynccontextmanager
    async def listening(self, topics: tuple[str, ...] = TOPICS, **options: Any) -> AsyncIterator[None]:
        """Inside it stands, and the rings of that are forgotten."""
        await self.use(pubsub_topics=topics, **options)
        task = asyncio.create_task(self.connector.listen(self.bell))
        try:
            await self.stands(len(topics))
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self.connector.aclose()

    async def stands(self, n: int = len(TOPICS)) -> None:
        await self.omni.until(lambda: self.bell.is_live and len(self.events.listening) == n)
        self.bell.rings.clear()

    def case(self, queue: str = "") -> str:
        """A new one, which waits in the queue."""
        return self.omni.org.create("Case", {"Subject": "calls", "OwnerId": queue or self.queue})

    async def rung(self, *rings: tuple[bool, bool]) -> None:
        """Until each of them was."""
        await self.omni.until(lambda: set(rings) <= set(self.bell.rings))


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses that suit a test."""
    monkeypatch.setattr(line, "SETTLED_S", 0.05)
    monkeypatch.setattr(listener, "FIRST_PAUSE_S", PAUSE_S)
    monkeypatch.setattr(bell, "GAP_S", PAUSE_S)
