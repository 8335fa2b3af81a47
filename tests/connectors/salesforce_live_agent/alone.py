"""The connector by itself against the simulated service: one chat, with what an engine does around it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from connectors.salesforce_live_agent.connector import SalesforceLiveAgentConnector
from connectors.salesforce_live_agent.settings import SalesforceLiveAgentSettings
from connectors.salesforce_live_agent.state import Kept, decode
from omnibridge.connector import Content, DeliveryError, DeliveryRejected, Text, Turn
from omnibridge.connector import desks as desk
from omnibridge.connector.desks import Notice, Opening, SessionEvent, Spoke
from omnibridge.connector.testing import FakeContext, turn
from tests.conftest import until
from tests.connectors.salesforce_live_agent.contract import NOBODY_LISTENS
from tests.connectors.salesforce_live_agent.services import RunningService, checked


class Held:
    """The session as an engine holds it: what has a key that was told before is not told again."""

    id, workspace, room = "s1", "w", "r"

    def __init__(self, state: bytes, read: Callable[[bytes], tuple[SessionEvent, ...]]) -> None:
        self.state, self.read = state, read
        self.typed: list[bool] = []
        self.keys: set[str] = set()
        self.events: list[SessionEvent] = []

    async def tell(self, key: str, body: bytes, state: bytes | None = None) -> None:
        self.state = self.state if state is None else state
        if key not in self.keys:
            self.keys.add(key)
            self.events += self.read_or_not(body)

    def read_or_not(self, body: bytes) -> tuple[SessionEvent, ...]:
        return self.read(body)

    async def save(self, state: bytes) -> None:
        self.state = state

    async def held(self) -> float:
        return 30.0

    def typing(self, is_typing: bool) -> None:
        self.typed.append(is_typing)


class Alone:
    """sid: Salesforce's, of the last session there. refused: turns that were given back because the chat is over."""

    def __init__(self, sf: RunningService, settings: dict[str, Any]) -> None:
        self.sf = sf
        self.connector = SalesforceLiveAgentConnector()
        self.context = FakeContext()
        self._settings = {**NOBODY_LISTENS, "endpoint": sf.url, **settings}
        self.session: Held
        self.refused: list[str] = []
        self._following: asyncio.Task[None] | None = None

    async def begin(self, **opening: Any) -> None:
        await self.initialize()
        state = await self._until_known(lambda: self.connector.open(Opening("1", "s1", "w", "r", **opening)))
        self.session = self.held(state)
        self.connector.attach(self.session)
        self._following = asyncio.create_task(self._follow())

    def held(self, state: bytes) -> Held:
        return Held(state, self.connector.read_session)

    async def outlived(self, call: Callable[[], Any]) -> Any:
        """A call by whoever has the session; raises DeliveryError where that one died."""
        return await call()

    async def initialize(self, **changes: Any) -> None:
        """Also after a change of settings."""
        self._settings |= changes
        settings = msgspec.convert(self._settings, SalesforceLiveAgentSettings)
        await self.connector.initialize(self.context.make(settings))

    async def _follow(self) -> None:
        await self.connector.follow(self.session)

    async def restart(self) -> None:
        """Another process goes on with what is kept."""
        await self.end()
        self.connector = SalesforceLiveAgentConnector()
        await self.initialize()
        self.session.read = self.connector.read_session
        self.connector.attach(self.session)
        self._following = asyncio.create_task(self._follow())

    async def end(self) -> None:
        if self._following:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        self.connector.detach("s1")
        await self.connector.aclose()

    async def _until_known(self, call: Callable[[], Any]) -> Any:
        """As an outbox does: again and again, until it is done or refused."""
        async with asyncio.timeout(30):
            while True:
                try:
                    return await call()
                except DeliveryRejected:
                    raise
                except DeliveryError as exc:
                    if exc.code == "over":
                        raise
                    await asyncio.sleep(0.01)

    async def say(self, text: str, **fields: Any) -> None:
        given: Turn = turn(text, **{"delivery_id": f"turn-{text}", **fields})
        try:
            await self._until_known(lambda: self.outlived(lambda: self.connector.on_message(given)))
        except DeliveryError as exc:
            if exc.code != "over":
                raise
            self.refused.append(text)

    async def type(self, is_typing: bool) -> None:
        """Lost where it cannot be told."""
        try:
            await self.outlived(lambda: self.connector.on_typing("s1", is_typing))
        except DeliveryError:
            self.context.counts["typing_lost"] += 1

    async def close(self) -> None:
        await self._until_known(lambda: self.connector.on_close("s1", "closed"))

    # -- what became of it --------------------------------------------------------------------------------

    @property
    def sid(self) -> str:
        return list(self.sf.service.sessions)[-1]

    @property
    def desk(self) -> Any:
        return self.sf.desk

    @property
    def kept(self) -> Kept:
        return decode(self.session.state)

    async def accepted(self, who: tuple[str, str] = ("005SM0000001Alx", "Alex Agent")) -> None:
        await until(self.desk.waiting)
        self.desk.accept(self.desk.waiting()[0], *who)
        await until(lambda: any(isinstance(each, desk.Accepted) for each in self.session.events))

    def heard(self) -> list[str]:
        """By agents."""
        return [each["text"] for each in self.sf.service.desk if each["kind"] == "message"]

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        return [each for each in self.sf.service.desk if each["kind"] == kind]

    def parts(self) -> list[tuple[str, Content]]:
        """(name of who said it, what) of all that the visitor is to see."""
        found: list[tuple[str, Content]] = []
        for each in self.session.events:
            if isinstance(each, Notice):
                found.append(("", Text(each.text.format(**each.values))))
            elif isinstance(each, Spoke):
                name = each.reply.agent.name if each.reply.agent else ""
                found += [(name, part) for part in each.reply.parts]
        return found

    def words(self) -> list[tuple[str, str]]:
        return [(name, part.text) for name, part in self.parts() if isinstance(part, Text)]


@asynccontextmanager
async def alone(*, options: dict[str, Any] | None = None, **settings: Any) -> AsyncIterator[Alone]:
    """options: of the simulated service. Nothing is polled twice, posted early or out of its order."""
    async with checked(**{"poll_s": 0.2, **(options or {})}) as sf:
        one = Alone(sf, settings)
        try:
            yield one
        finally:
            await one.end()
