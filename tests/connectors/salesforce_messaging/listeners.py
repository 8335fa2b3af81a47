"""Our client against the simulated org: one visitor with a conversation, and what his stream tells."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

from connectors.salesforce_messaging.client import NewSession, OrgClient
from connectors.salesforce_messaging.entries import Event, Said
from connectors.salesforce_messaging.simulated.org import DEVELOPER_NAME, ORG_ID
from connectors.salesforce_messaging.stream import Events, Position
from connectors.salesforce_messaging.tokens import Access
from omnibridge.http import create_client
from tests.connectors.salesforce_messaging.orgs import RunningOrg, new_id, org


def text(words: str, message_id: str = "") -> dict[str, Any]:
    content = {"formatType": "Text", "text": words}
    return {"id": message_id or new_id(), "messageType": "StaticContentMessage", "staticContent": content}


@asynccontextmanager
async def client(
    url: str, timeout_s: float = 5.0, streams: Literal["http1", "http2"] = "http1"
) -> AsyncIterator[OrgClient]:
    found = OrgClient(
        *(create_client, time.time),
        scrt_url=url,
        org_id=ORG_ID,
        developer_name=DEVELOPER_NAME,
        timeout_s=timeout_s,
        streams=streams,
    )
    try:
        yield found
    finally:
        await found.aclose()


class Listener:
    """A visitor with a conversation, and what his stream told. events: with the position after each."""

    def __init__(self, found: RunningOrg, calls: OrgClient, access: Access) -> None:
        self.org, self.calls, self.access = found, calls, access
        self.cid = new_id()
        self.told: list[tuple[Position, Event]] = []
        self.counts: Counter[str] = Counter()
        self.fail = 0

    def listen(self, position: Position | None = None) -> Events:
        return Events(
            self.calls,
            self.access,
            position,
            lambda: (self.cid,),
            self._take,
            lambda name, n: self.counts.update({name: n}),
            lambda _: asyncio.sleep(0.005),
        )

    async def _take(self, position: Position, found: tuple[Event, ...]) -> None:
        if self.fail:
            self.fail -= 1
            raise OSError("disk full")
        self.told += [(position, each) for each in found]

    @property
    def said(self) -> list[str]:
        return [each.abstract["staticContent"]["text"] for _, each in self.told if isinstance(each, Said)]

    @asynccontextmanager
    async def listening(self, position: Position | None = None) -> AsyncIterator[Events]:
        events = self.listen(position)
        task = asyncio.create_task(events.run())
        try:
            async with asyncio.timeout(1000):  # tests let time pass by
                await events.opened.wait()
                yield events
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def visitor() -> AsyncIterator[Listener]:
    async with org() as found, client(found.url) as calls:
        listener = Listener(found, calls, await calls.guest())
        await calls.create(listener.access, listener.cid, NewSession({"topic": "shoes"}))
        found.desk.accept(listener.cid)
        yield listener
