"""Keeps one stream for each topic, rings for what they tell, and says whether all of them stand.

    log in ─▶ GetTopic ─▶ Subscribe ─▶ stands: a look ─▶ an event: a look ─▶ lost: looks by the clock, and again

Every subscription begins at the tip: what came before it is found by the look that follows. So there is nothing to
remember, and nothing to fall behind with.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

from connectors.salesforce_crm.client import Client
from connectors.salesforce_crm.login import Access
from connectors.salesforce_crm.omni.events.changes import Change, Reader
from connectors.salesforce_crm.omni.events.line import Failed, Line
from connectors.salesforce_crm.trouble import Trouble
from omnibridge.connector.bell import Bell

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
REFUSED_PAUSE_S = 300.0
"""An admin has to do something first."""

_jitter = random.SystemRandom()

RingsFor = Callable[[Change, Bell], None]
"""Rings for what a change may be."""


class Listener:
    """log, count: as of a ConnectorContext. make_line: a Line, which needs the extra."""

    def __init__(
        self,
        make_line: Callable[[], Line],
        client: Client,
        topics: tuple[str, ...],
        rings_for: RingsFor,
        log: Callable[..., None],
        count: Callable[[str, int], None],
    ) -> None:
        self._make_line, self._client, self._topics, self._rings_for = make_line, client, topics, rings_for
        self._log, self._count = log, count
        self._standing: set[str] = set()

    async def run(self, bell: Bell) -> None:
        """Until cancelled; every stream and the channel are closed then."""
        line = self._make_line()
        try:
            async with asyncio.TaskGroup() as group:
                for topic in self._topics:
                    group.create_task(self._keep(line, topic, bell))
        finally:
            bell.set_live(False)
            await line.aclose()

    async def _keep(self, line: Line, topic: str, bell: Bell) -> None:
        """One topic. Raises nothing but CancelledError."""
        pause_s, has_new_token = FIRST_PAUSE_S, False
        while True:
            stood, wait_s, code = False, pause_s, ""
            try:
                access = await self._client.access()
                try:
                    async with aclosing(self._stream(line, topic, access)) as stream:
                        async for changes in stream:
                            if not stood:
                                stood, pause_s, has_new_token = True, FIRST_PAUSE_S, False
                                self._stands(topic, bell)
                            self._ring(changes, bell)
                except Failed as failed:
                    code, wait_s = failed.code, pause_s
                    if failed.kind == "refused":
                        wait_s = REFUSED_PAUSE_S
                    if failed.kind == "session":
                        await self._client.refused(access)
                        # At once with a new one; but one that is refused as well is no matter of its age.
                        wait_s, has_new_token = (pause_s if has_new_token else 0.0), True
            except Trouble as trouble:
                code, wait_s = trouble.code, trouble.pause_s or pause_s
            except Exception as exc:  # a defect must not end it: looks go by the clock, and it is tried again
                code = type(exc).__name__
            wait_s *= _jitter.uniform(0.5, 1.0)
            pause_s = min(LONGEST_PAUSE_S, pause_s * 2)
            self._is_lost(topic, bell, code, wait_s)
            await asyncio.sleep(wait_s)

    async def _stream(self, line: Line, topic: str, access: Access) -> Any:
        """Changes as they come; [] = it stands. Raises Failed."""
        info = await line.topic(topic, access)
        if not info.can_subscribe:
            raise Failed("refused", "may-not-subscribe")
        reader = Reader(lambda schema_id: line.schema(schema_id, access))
        async with aclosing(line.events(topic, access)) as stream:  # type: ignore[type-var]
            async for events in stream:
                yield [await reader.read(each) for each in events]

    def _ring(self, changes: list[Change], bell: Bell) -> None:
        for each in changes:
            self._rings_for(each, bell)
        if changes:
            self._count("events", len(changes))

    def _stands(self, topic: str, bell: Bell) -> None:
        self._standing.add(topic)
        self._log("omni_events_heard", topic=topic)
        bell.look()
        bell.set_live(self._standing == set(self._topics))

    def _is_lost(self, topic: str, bell: Bell, code: str, wait_s: float) -> None:
        if topic in self._standing:
            self._standing.discard(topic)
            self._count("events_lost", 1)
        bell.set_live(False)
        self._log("omni_events_lost", topic=topic, code=code, next_try_in_s=round(wait_s, 1))


async def look(line: Line, client: Client, topics: tuple[str, ...]) -> list[str]:
    """What keeps us from each topic, for people; empty = nothing. Raises Trouble."""
    access = await client.access()

    async def one(topic: str) -> str:
        try:
            info = await line.topic(topic, access)
        except Failed as failed:
            return f"{topic}: {failed.code}; {DO[failed.kind]}"
        return "" if info.can_subscribe else f"{topic}: the integration user may not subscribe; {DO['refused']}"

    return [each for each in await asyncio.gather(*(one(topic) for topic in topics)) if each]


DO = {
    "refused": "select its object under Setup > Change Data Capture, and give the integration user View All of it",
    "session": "the Pub/Sub API does not take the org's token: look at the app's scopes (api)",
    "lost": "look at pubsub_address, and whether port 7443 is open from here",
}
