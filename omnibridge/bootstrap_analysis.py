"""Settings in, what looks at conversations out: analysers, their callback address, and what agents see of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial

import structlog
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from omnibridge.analysis.analysers import HOUR_MS, Analyser, Analysers
from omnibridge.analysis.board import Board
from omnibridge.analysis.sender import AnalysisSender
from omnibridge.bootstrap_common import Common
from omnibridge.config_systems import AnalyserSettings
from omnibridge.connector import AnalysingConnector, Analyzes, Connector, ConnectorContext, ReadsTranscripts
from omnibridge.connector.signing import read_secrets
from omnibridge.engine import plugins
from omnibridge.engine.breaker import Breaker
from omnibridge.engine.hub import Hub
from omnibridge.engine.lanes import Lanes
from omnibridge.errors import ConfigError
from omnibridge.http import create_client
from omnibridge.limits import TimeLimit
from omnibridge.web.analysis_results import ResultsEndpoint
from omnibridge.web.assist_page import AssistPage
from omnibridge.web.assist_tokens import AssistTokenEndpoint
from omnibridge.web.callers import Callers

_log = structlog.get_logger("omnibridge.service")

AT_A_TIME = 8
"""Calls of one analyser: it is never in a hurry."""


class Analysis:
    """Make, `start`, `begin` when the hubs are known. Close."""

    def __init__(self, common: Common, connectors: Mapping[str, Connector]) -> None:
        self._settings, self._connectors, self._ids = common.settings, connectors, common.ids
        self._database, self._clock, self._counters = common.database, common.clock, common.counters
        self._own: list[AnalysingConnector] = []
        self.contexts: dict[str, tuple[AnalysingConnector, ConnectorContext]] = {}
        """Of [[analyser]]: its connector, also one that did not work, and what it was initialized with."""
        self.analysers = Analysers({}, common.clock)
        self.board = Board()

    async def start(self) -> None:
        """Initialize each analyser once. One that cannot is left out, and health says so.

        Raises ConfigError for a kind that is not installed or does not analyse, and for settings that are wrong.
        """
        made: dict[str, Analyser] = {}
        for connection in self._settings.connection:
            if connection.analyses:
                connector = self._connectors[connection.name]
                _check(connector, f"[[connection]] {connection.name}", connection.kind)
                home = frozenset({self._settings.workspace_of(connection).name})
                made[connection.name] = self._analyser(connection.name, connector, home, 10.0)
        for each in self._settings.analyser:
            made[each.name] = await self._make(each)
        self.analysers = Analysers(made, self._clock)
        if made:
            degraded = self.analysers.degraded
            text = "Analysers that do not work"
            self._counters.gauge("analysers_degraded", text, lambda: float(len(degraded())))

    def of_workspaces(self) -> dict[str, tuple[str, ...]]:
        """Who is told of what is said in each."""
        return self.analysers.in_workspaces([each.name for each in self._settings.workspace])

    def sender(self, hubs: Mapping[str, Hub]) -> AnalysisSender:
        return AnalysisSender(self.analysers, self.board, hubs, self._database, self._clock, self._counters)

    def routes(self, lanes: Lanes) -> list[Route]:
        """Where analysers' systems post, and where agents look."""
        database, clock, counters = self._database, self._clock, self._counters
        results = ResultsEndpoint(self.analysers, self.board, database, clock, counters)
        origins = {each.name: each.url for each in self._settings.workspace}
        page = AssistPage(origins, self.board, database, lanes, clock, counters)
        tokens = AssistTokenEndpoint(database, Callers(database, self._ids, clock), clock, counters)
        self._counters.gauge("assist_streams", "Assist pages that are open", lambda: float(self.board.n_watchers))
        return [
            Route("/analysis/{analyser}/results", results),
            Route("/api/v1/assist-tokens", tokens),
            Route("/assist/{name}", page.file),
            Route("/assist/{workspace}/{room}", page.page, methods=["GET", "POST"]),
            Route("/assist/{workspace}/{room}/stream", _Raw(page.stream)),
        ]

    async def aclose(self) -> None:
        for each in self._own:
            try:
                await each.aclose()
            except Exception as exc:  # one that never worked may not know how
                _log.warning("analyser_not_closed", reason=type(exc).__name__)

    async def _make(self, each: AnalyserSettings) -> Analyser:
        where = f"[[analyser]] {each.name}"
        kind, options = plugins.create(each.kind, each.options, where)
        connector: AnalysingConnector = kind
        _check(connector, where, each.kind)
        log = structlog.get_logger(f"omnibridge.analyser.{each.name}")
        context = ConnectorContext(
            name=each.name,
            settings=options,
            clock=self._clock,
            create_client=create_client,
            count=lambda name, n: self._counters.add("connector", n, each.name, name),
            log=partial(log.info),
            connector=self._connectors.get,
        )
        home = frozenset({each.workspace} if each.workspace else ())
        analyser = self._analyser(each.name, connector, home, each.timeout_s)
        self.apply(analyser, each)
        self._own.append(connector)
        self.contexts[each.name] = connector, context
        try:
            await connector.initialize(context)
        except Exception as exc:
            analyser.connector, analyser.why = None, f"could not be initialized: {type(exc).__name__}"
            reason = str(exc) if isinstance(exc, ConfigError) else type(exc).__name__
            _log.error("analyser_not_running", analyser=each.name, reason=reason)
        return analyser

    def apply(self, analyser: Analyser, each: AnalyserSettings) -> None:
        """What its table says beside its connector's settings."""
        analyser.limit = TimeLimit(each.timeout_s)
        analyser.keep_ms, analyser.later_ms = int(each.keep_h * HOUR_MS), int(each.later_h * HOUR_MS)
        analyser.token = each.secret.reveal()
        analyser.keys = read_secrets(analyser.token)

    def _analyser(self, name: str, connector: object, home: frozenset[str], timeout_s: float) -> Analyser:
        engine = self._settings.engine
        return Analyser(
            name,
            connector,
            home,
            TimeLimit(timeout_s),
            asyncio.Semaphore(AT_A_TIME),
            Breaker(engine.breaker_failures, int(engine.breaker_open_s * 1000)),
        )


class _Raw:
    """An ASGI application, which a bound method is not taken for."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


def _check(connector: object, where: str, kind: str) -> None:
    if not isinstance(connector, Analyzes | ReadsTranscripts):
        raise ConfigError(f"{where}: connector {kind!r} does not analyse")
