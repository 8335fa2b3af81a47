"""Settings in, routing systems out: their connectors, who follows what they are asked, and whom we route for."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any

from omnibridge.assignment.choice import Choice, Looked
from omnibridge.assignment.deciders import DeciderSender
from omnibridge.assignment.elsewhere import Elsewhere, ElsewhereLink
from omnibridge.assignment.work import AskDecider, WorkRouter
from omnibridge.bootstrap_apart import ask_each, context_of
from omnibridge.bootstrap_common import Common
from omnibridge.clock import Clock
from omnibridge.config import Settings
from omnibridge.config_systems import RouterSettings
from omnibridge.connector.bell import Bell
from omnibridge.connector.routing import (
    Candidate,
    DecidesElsewhere,
    HearsOfChanges,
    RoutesWork,
    RoutingConnector,
    Work,
)
from omnibridge.domain.agent_events import AssignmentRequested
from omnibridge.engine import plugins
from omnibridge.engine.counters import Counters
from omnibridge.engine.lanes import Lanes
from omnibridge.engine.sender import Sender
from omnibridge.storage import directory


class Routers:
    """Make, `start`, begin `work`, close."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connectors: dict[str, RoutingConnector] = {}
        self._bells = {each.name: Bell() for each in settings.router}

    async def start(self, common: Common, lanes: Lanes) -> None:
        """Raises ConfigError."""
        database, clock, counters, faults = common.database, common.clock, common.counters, common.faults
        self._database, self._clock, self._counters, self._faults = database, clock, counters, faults
        for each in self._settings.router:
            self._connectors[each.name] = await make_router(each, clock, counters)
        links = {
            each.name: ElsewhereLink(
                connector, frozenset(each.facts), each.poll_s, sweep_s=each.sweep_s, bell=self._bells[each.name]
            )
            for each in self._settings.router
            if isinstance(connector := self._connectors[each.name], DecidesElsewhere)
        }
        self._names = list(links)
        self.elsewhere = Elsewhere(
            links, database, lanes, common.ids, clock, counters, faults, common.workspaces.department_name
        )

    def senders(self) -> dict[str, Sender]:
        """By stream."""
        return {f"decider:{name}": self.elsewhere for name in self._names}

    def work(self, deciders: DeciderSender) -> list[Coroutine[Any, Any, None]]:
        """What runs until it is cancelled; begin it when it is relayed."""
        works = [self.elsewhere.follow(name) for name in self._names]
        for each in self._settings.router:
            connector = self._connectors[each.name]
            if isinstance(connector, RoutesWork) and connector.routes_work:
                works.append(self._router(each, connector, deciders).run())
            if isinstance(connector, HearsOfChanges) and connector.hears:
                works.append(connector.listen(self._bells[each.name]))
        return works

    def _router(self, each: RouterSettings, connector: RoutesWork, deciders: DeciderSender) -> WorkRouter:
        system = each.system or each.name
        named, reader = self._settings.assignment.agents.get(system, {}), self._database.reader
        places = [place.name for place in self._settings.workspace]

        def is_known(agent: str) -> bool:
            return agent in named or any(directory.find(reader, place, system, agent) for place in places)

        return WorkRouter(
            each.name,
            connector,
            self._database,
            self._clock,
            self._counters,
            self._faults,
            is_known,
            ask=_asker(each.decider, system, deciders) if each.decider else None,
            page=each.work_page,
            poll_s=each.work_poll_s,
            sweep_s=each.sweep_s,
            bell=self._bells[each.name],
            keep_ms=int(each.keep_days * 86_400_000),
        )

    async def aclose(self) -> None:
        for each in self._connectors.values():
            await each.aclose()


def _asker(decider: str, system: str, deciders: DeciderSender) -> AskDecider:
    """Asks a [[decider]] who takes a piece of work."""

    async def ask(work: Work, staff: Sequence[Candidate], excluded: tuple[str, ...], question: str) -> Choice:
        people = [
            {"external_id": each.id, "name": each.name, "free": each.free, "load": each.load}
            for each in staff
            if not each.why_not
        ]
        body = {
            "workspace": "", "conversation": "", "asked": len(excluded) + 1, "department": "", "reason": "work waits",
            "work": {"id": work.id, "serial": work.serial, "weight": work.weight, "preferred": work.preferred},
            "facts": work.facts, "excluded": excluded, "candidates": people,
        }  # fmt: skip
        found = await deciders.ask_about(decider, question, body)
        looked = tuple(
            Looked(each.id, each.name, False, each.why_not or "shown to the decider", each.load, each.free)
            for each in staff
        )
        if not isinstance(found, AssignmentRequested):
            return Choice(f"decider:{decider}", "", f"{decider} names nobody ({found.code})", work.facts, looked)
        if found.agent.system != system:
            why = f"{decider} names somebody of {found.agent.system}"
            return Choice(f"decider:{decider}", "", why, work.facts, looked)
        return Choice(f"decider:{decider}", found.agent.id, found.cause or "named", work.facts, looked)

    return ask


async def make_router(each: RouterSettings, clock: Clock, counters: Counters) -> RoutingConnector:
    """Ready for use. Close it. Raises ConfigError."""
    connector, options = plugins.create_router(each.kind, each.options, f"[[router]] {each.name}")
    await connector.initialize(context_of("router", each.name, options, clock, counters))
    return connector


async def look_at_routers(settings: Settings, clock: Clock) -> list[dict[str, Any]]:
    """Of every one whether it answers: `{"router", "ok", "text"}`. Raises ConfigError."""
    return await ask_each("router", settings.router, lambda each: make_router(each, clock, Counters()))
