"""Our client against the simulated Live Agent: one visitor, and who holds his session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from connectors.salesforce_live_agent import messages as m
from connectors.salesforce_live_agent.chat import Chat
from connectors.salesforce_live_agent.client import Detail, Entity, FieldMap, LiveAgent, Visitor
from connectors.salesforce_live_agent.poll import Post, Session
from connectors.salesforce_live_agent.simulated.service import BUTTON_ID, DEPLOYMENT_ID, ORG_ID
from omnibridge.connector import (
    DeliveryError,
    DeliveryRejected,
)
from omnibridge.http import create_client
from tests.connectors.salesforce_live_agent.services import RunningService, service

VERA = Visitor(
    "Vera",
    details=(Detail("Room", "r1", ("Rocket_Room__c",)), Detail("E-mail", "vera@example.com")),
    entities=(Entity("Contact", (FieldMap("Email", "E-mail", do_find=True),)),),
)


@asynccontextmanager
async def api(url: str, timeout_s: float = 5.0) -> AsyncIterator[LiveAgent]:
    found = LiveAgent(
        create_client,
        endpoint=url,
        org_id=ORG_ID,
        deployment_id=DEPLOYMENT_ID,
        button_id=BUTTON_ID,
        timeout_s=timeout_s,
    )
    try:
        yield found
    finally:
        await found.aclose()


class Holder:
    """Who holds a session: keeps its state and what happened, and posts until it is known what became of it."""

    def __init__(self, found: RunningService, calls: LiveAgent, session: Session) -> None:
        self.service, self.api = found, calls
        self.kept, self.told = session, list[m.Event]()
        self.fail = 0
        self.chat = self.begin()

    def begin(self) -> Chat:
        self.chat = Chat(self.api, self.kept, self._keep, lambda s: asyncio.sleep(min(s, 0.01)))
        return self.chat

    async def _keep(self, session: Session, events: tuple[m.Event, ...]) -> None:
        await asyncio.sleep(0)
        if self.fail:
            self.fail -= 1
            raise OSError("disk full")
        self.kept = session
        self.told += events

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Chat]:
        task = asyncio.create_task(self.chat.run())
        try:
            yield self.chat
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def say(self, text: str) -> None:
        """As an outbox does: the same post until it is settled."""
        async with asyncio.timeout(30):
            while True:
                try:
                    return await self.chat.post(Post(text, "ChatMessage", {"text": text}))
                except DeliveryRejected:
                    raise
                except DeliveryError:
                    await asyncio.sleep(0.01)

    @property
    def said(self) -> list[str]:
        return [each.text for each in self.told if isinstance(each, m.Said)]

    @property
    def id(self) -> str:
        return self.kept.id

    @property
    def arrived(self) -> list[str]:
        return [each["text"] for each in self.service.service.desk if each["kind"] == "message"]


@asynccontextmanager
async def holder(*, accepted: bool = True, timeout_s: float = 5.0, **options: Any) -> AsyncIterator[Holder]:
    async with service(**options) as found, api(found.url, timeout_s) as calls:
        one = Holder(found, calls, await calls.begin(calls.base))
        await one.chat.post(calls.init(one.kept, VERA))
        if accepted:
            found.desk.accept(one.id)
        yield one
        ledger = found.ledger()
        assert (ledger["duplicate_polls"], ledger["sequence_gaps"], ledger["early_posts"]) == (0, 0, 0)
