"""Settings in, routing systems out: their connectors, who follows what they are asked, and whom we route for."""

from __future__ import annotations

from collections.abc import Coroutine
from functools import partial
from typing import Any

import structlog

from omnibridge.assignment.elsewhere import Elsewhere, ElsewhereLink
from omnibridge.clock import Clock
from omnibridge.config import RouterSettings, Settings
from omnibridge.connector import ConnectorContext
from omnibridge.connector.routing import DecidesElsewhere, RoutingConnector
from omnibridge.engine import plugins
from omnibridge.engine.counters import Counters
from omnibridge.engine.ids import IdSequence
from omnibridge.engine.lanes import Lanes
from omnibridge.engine.streams import Sender
from omnibridge.errors import DeliveryError
from omnibridge.http import create_client
from omnibridge.storage.database import Database


class Routers:
    """Make, `start`, begin `work`, close."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connectors: dict[str, RoutingConnector] = {}

    async def start(self, database: Database, lanes: Lanes, ids: IdSequence, clock: Clock, counters: Counters) -> None:
        """Raises ConfigError."""
        self._database, self._clock, self._counters = database, clock, counters
        for each in self._settings.router:
            self._connectors[each.name] = await make_router(each, clock, counters)
        links = {
            each.name: ElsewhereLink(connector, frozenset(each.facts), each.poll_s)
            for each in self._settings.router
            if isinstance(connector := self._connectors[each.name], DecidesElsewhere)
        }
        self._names = list(links)
        self.elsewhere = Elsewhere(links, database, lanes, ids, clock, counters)

    def senders(self) -> dict[str, Sender]:
        """By stream."""
        return {f"decider:{name}": self.elsewhere for name in self._names}

    def work(self) -> list[Coroutine[Any, Any, None]]:
        """What runs until it is cancelled; begin it when it is relayed."""
        return [self.elsewhere.follow(name) for name in self._names]

    async def aclose(self) -> None:
        for each in self._connectors.values():
            await each.aclose()


async def make_router(each: RouterSettings, clock: Clock, counters: Counters) -> RoutingConnector:
    """Ready for use. Close it. Raises ConfigError."""
    connector, options = plugins.create_router(each.kind, each.options, f"[[router]] {each.name}")
    log = structlog.get_logger(f"omnibridge.router.{each.name}")
    context = ConnectorContext(
        name=each.name,
        settings=options,
        clock=clock,
        create_client=create_client,
        count=lambda name, n: counters.add("connector", n, each.name, name),
        log=partial(log.info),
    )
    await connector.initialize(context)
    return connector


async def look_at_routers(settings: Settings, clock: Clock) -> list[dict[str, Any]]:
    """Of every one whether it answers: `{"router", "ok", "text"}`. Raises ConfigError."""
    found = []
    for each in settings.router:
        connector = await make_router(each, clock, Counters())
        try:
            found.append({"router": each.name, "ok": True, "text": await connector.check()})
        except DeliveryError as exc:
            found.append({"router": each.name, "ok": False, "text": str(exc)})
        finally:
            await connector.aclose()
    return found
