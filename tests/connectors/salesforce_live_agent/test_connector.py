"""The connector by itself against the simulated service: typing both ways, and what an opening costs."""

from __future__ import annotations

import asyncio

import msgspec

from connectors.salesforce_live_agent.connector import SalesforceLiveAgentConnector
from connectors.salesforce_live_agent.settings import SalesforceLiveAgentSettings
from connectors.salesforce_live_agent.state import decode
from omnibridge.connector.desks import Opening
from omnibridge.connector.testing import FakeContext, turn
from tests.conftest import until
from tests.connectors.salesforce_live_agent.contract import NOBODY_LISTENS
from tests.connectors.salesforce_live_agent.services import service


class Kept:
    """A session that a test holds."""

    id, workspace, room = "s1", "w", "r"

    def __init__(self, state: bytes) -> None:
        self.state = state
        self.typed: list[bool] = []

    async def tell(self, key: str, body: bytes, state: bytes | None = None) -> None:
        self.state = self.state if state is None else state

    async def save(self, state: bytes) -> None:
        self.state = state

    async def held(self) -> float:
        return 30.0

    def typing(self, is_typing: bool) -> None:
        self.typed.append(is_typing)


async def test_typing_both_ways_is_told_when_it_changes() -> None:
    async with service() as sf:
        connector = SalesforceLiveAgentConnector()
        settings = msgspec.convert({**NOBODY_LISTENS, "endpoint": sf.url}, SalesforceLiveAgentSettings)
        await connector.initialize(FakeContext().make(settings))
        session = Kept(await connector.open(Opening("1", "s1", "w", "r")))
        assert sf.service.desk == []  # nobody hears of it before its state is durable
        connector.attach(session)
        following = asyncio.create_task(connector.follow(session))
        await until(sf.desk.waiting)
        (sid,) = sf.desk.waiting()
        await connector.on_typing("s1", True)  # nobody is there to see it
        sf.desk.accept(sid)
        await until(lambda: decode(session.state).is_accepted)
        await connector.on_message(turn("hello"))
        for is_typing in (True, True, False, False):
            await connector.on_typing("s1", is_typing)
        sf.desk.typing(sid)
        sf.desk.say(sid, "hi")
        await until(lambda: session.typed == [True, False])
        told = [each["typing"] for each in sf.service.desk if each["kind"] == "typing"]
        await connector.on_close("s1", "closed")
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        connector.detach("s1")
        await connector.aclose()

    assert told == [True, False]
