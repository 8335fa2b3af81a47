"""The composition root: settings in, a running service out. `Service` is the one class that knows every part.

Its parts are made in the other modules `bootstrap_*`.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Coroutine
from typing import Any

import msgspec
import structlog
from starlette.routing import Route
from starlette.types import ASGIApp

from omnibridge import memory
from omnibridge.bootstrap_agents import Agents
from omnibridge.bootstrap_analysis import Analysis
from omnibridge.bootstrap_app import app_client_of, responses_of
from omnibridge.bootstrap_bots import make_connector, sessions_of
from omnibridge.bootstrap_common import Common
from omnibridge.bootstrap_decisions import policy_of, read_rules
from omnibridge.bootstrap_files import Files
from omnibridge.bootstrap_gauges import show_gauges
from omnibridge.bootstrap_records import RecordSystems
from omnibridge.bootstrap_relay import Parts, Relay
from omnibridge.bootstrap_reload import Contexts, Reloaded, Reloader
from omnibridge.bootstrap_routes import routes_of
from omnibridge.bootstrap_routing import Routers
from omnibridge.bootstrap_sources import Sources, windows_of
from omnibridge.bootstrap_typing import TypingBothWays
from omnibridge.botapi.service import BotApi
from omnibridge.clock import Clock, SystemClock
from omnibridge.config import Settings
from omnibridge.connector import Connector
from omnibridge.connector.desks import HoldsSessions
from omnibridge.connector.interface import ReceivesCallbacks
from omnibridge.domain.directory import Directory
from omnibridge.engine.callbacks import Callbacks
from omnibridge.engine.counters import Counters
from omnibridge.engine.faults import Faults
from omnibridge.engine.ids import IdSequence
from omnibridge.engine.lanes import Lanes
from omnibridge.engine.party_sender import Party
from omnibridge.engine.processor import Processor
from omnibridge.engine.retention import Retention, Terms
from omnibridge.engine.sessions import Sessions
from omnibridge.engine.streams import Streams
from omnibridge.engine.workspaces import Workspaces
from omnibridge.identity.presence import Presence
from omnibridge.identity.service import Identity
from omnibridge.identity.vault import read_keys
from omnibridge.operator.live import Operator
from omnibridge.operator.local_socket import Handler
from omnibridge.rocketchat.app_client import AppClient
from omnibridge.rocketchat.proof import Proof
from omnibridge.storage import journal
from omnibridge.storage.database import Database, open_database
from omnibridge.web.app import create_app
from omnibridge.web.callbacks import CallbackEndpoint
from omnibridge.web.webhooks import WebhookEndpoint

_log = structlog.get_logger("omnibridge.service")


class Service:
    """One node. Made, started and stopped in one event loop."""

    def __init__(self, settings: Settings, faults: Faults | None = None, clock: Clock | None = None) -> None:
        self._settings, self._faults, self._clock = settings, faults or Faults(), clock or SystemClock()
        self._rules = read_rules(settings)
        self.counters = Counters()
        self._why_not_ready = "starting"
        self._connectors: dict[str, Connector] = {}
        self._background: set[asyncio.Task[None]] = set()
        self._database: Database | None = None
        self._lanes: Lanes | None = None
        self._streams: Streams | None = None
        self._sources: Sources | None = None
        self._sessions: Sessions | None = None
        self._typing: TypingBothWays | None = None
        self._operator: Operator | None = None
        self._agents: Agents | None = None
        self._webhooks: WebhookEndpoint | None = None
        self._callbacks: CallbackEndpoint | None = None
        self._routes: list[Route] = []
        self._apps: dict[str, AppClient] = {}
        self._bots: BotApi | None = None
        self._analysis: Analysis | None = None
        self._records = RecordSystems(settings)
        self._routers = Routers(settings)
        self._proofs: dict[str, Proof] = {}
        self._files: Files | None = None
        self._contexts: Contexts = {}
        self._reloader: Reloader | None = None
        self._relay: Relay | None = None
        self._workspaces: Workspaces | None = None

    def app(self) -> ASGIApp:
        """The ASGI application. Call after `start`."""
        assert self._webhooks is not None and self._callbacks is not None, "start() comes before app()"
        degraded = self._analysis.analysers.degraded if self._analysis else list
        return create_app(self._webhooks, self._callbacks, self.counters, self._not_ready, self._routes, degraded)

    def operator(self) -> Operator:
        """What the local socket carries out. Call after `start`."""
        assert self._operator is not None, "start() comes before operator()"
        return self._operator

    def identity(self) -> Identity:
        """Who external agents are on the hub. Call after `start`."""
        assert self._agents is not None, "start() comes before identity()"
        return self._agents.identity

    def presence(self) -> Presence:
        """Whether they are available, both ways. Call after `start`."""
        assert self._agents is not None, "start() comes before presence()"
        return self._agents.presence

    def commands(self) -> dict[str, Handler]:
        """What else the local socket carries out, by name. Call after `start`."""
        assert self._agents is not None and self._bots is not None, "start() comes before commands()"
        return {
            "agents": self._agents.answer,
            "bots": self._bots.orders.answer,
            "config": self._reload,
            "crm": self._records.answer,
        }

    async def _reload(self, _: bytes) -> bytes:
        return msgspec.json.encode(await self.reload())

    async def reload(self) -> Reloaded:
        """Read the configuration again, and take over what can be. Call after `start`."""
        assert self._reloader is not None, "start() comes before reload()"
        return await self._reloader.answer(os.environ)

    def listens_at(self, url: str) -> None:
        """Told once the socket is there: port 0 takes a free one."""
        assert self._files is not None, "start() comes before listens_at()"
        self._files.site = url

    async def _keep_file(self, connection: str, content: bytes, name: str, media_type: str) -> str:
        assert self._files is not None
        return await self._files.keep(connection, content, name, media_type)

    def end_polls(self) -> None:
        """Requests that wait for something to happen are answered now."""
        if self._bots is not None:
            self._bots.end_polls()
        if self._analysis is not None:
            self._analysis.board.close()

    async def start(self) -> None:
        """Open the database, take webhooks; relay as soon as every bot user is known.

        Raises ConfigError, StorageError. A hub or backend that is down does not stop the start.
        """
        settings = self._settings
        database = self._database = await open_database(settings.database_url)
        self._faults.reach("start_up")
        ids = IdSequence(self._clock, journal.newest_ids(database.reader))
        boot = secrets.token_hex(8)
        known = self._workspaces = Workspaces(database, self._clock)
        common = Common(settings, database, ids, self._clock, self.counters, self._faults, boot, known)
        self._files = Files(common)
        for each in settings.connection:
            self._connectors[each.name] = await make_connector(
                each, common, self._types, self._contexts, self._keep_file
            )
        analysis = self._analysis = Analysis(common, self._connectors)
        await analysis.start()
        self._typing = TypingBothWays(self._connectors, database, self.counters)
        called = {name: each for name, each in self._connectors.items() if isinstance(each, ReceivesCallbacks)}
        at = {each.name: settings.workspace_of(each).name for each in settings.connection}
        responses = responses_of(self._connectors)
        callbacks = Callbacks(called, at, database.reader, database.secret, responses)
        processor = Processor(
            database.reader,
            self._clock,
            ids,
            database.secret,
            boot,
            policy_of(settings, self._rules, Directory(), database.reader, analysis.of_workspaces()),
            self.counters,
            callbacks,
            {name: each for name, each in self._connectors.items() if isinstance(each, HoldsSessions)},
        )
        streams = self._streams = Streams(
            database, self._clock, ids, boot, self.counters, self._faults, int(settings.engine.notice_after_s * 1000)
        )
        windows = windows_of(settings)
        lanes = self._lanes = Lanes(database, processor, self._clock, windows, self.counters, self._faults, streams)
        self._sessions = sessions_of(common, self._connectors, lanes, self._types)
        self._sources = Sources(common, lanes, windows, self._typing.visitors, self._in_background)
        self._operator = Operator(database, lanes, streams, ids, boot, self._clock)
        tokens = {each.name: each.webhook_token.get_secret_value() for each in settings.workspace}
        self._webhooks = WebhookEndpoint(tokens, lanes, ids, self._clock, self.counters, self._faults, common.timeout_s)
        secrets_of = {name: each.callback_token() for name, each in called.items() if each.callback_token()}
        self._callbacks = CallbackEndpoint(
            secrets_of, callbacks, lanes, ids, self._clock, self.counters, common.timeout_s
        )
        self._reloader = Reloader(settings, self._contexts, analysis, self._served, self._callbacks.use)
        apps = {each.name: app_client_of(each, self._clock) for each in settings.workspace}
        self._apps = {name: each for name, each in apps.items() if each}
        self._agents = Agents(common)
        for work in self._agents.work():
            self._in_background(work)
        self._proofs = {each.name: Proof(each.url) for each in settings.workspace}
        self._routes = routes_of(common, lanes, at, responses, self.presence(), self._proofs, self._sources.compare)
        seals = read_keys(settings.agents.token_keys.reveal())
        self._bots = BotApi(self._connectors, at, database, lanes, ids, self._clock, self.counters, seals, self._files)
        self._routes += self._bots.routes()
        self._routes += analysis.routes(lanes)
        self._routes += self._files.routes()
        await self._records.start(common, streams)
        await self._routers.start(common, lanes)
        self._in_background(self._bots.run_for_ever())
        show_gauges(self.counters, database, self._sessions, lambda: not self._not_ready())
        parts = Parts(
            self._connectors, lanes, streams, self._sources, self._sessions, self._typing, self._agents, analysis,
            self._records, self._routers, self._files, self._apps,
        )  # fmt: skip
        self._relay = Relay(common, self._rules, parts, self._in_background, self._wait_for)
        self._in_background(self._relay.begin(processor))
        kept = settings.retention
        terms = Terms(kept.observations_days, kept.deliveries_days, kept.conversations_days, kept.audit_days)
        retention = Retention(database, self._clock, self.counters, terms, kept.every_s)
        self._in_background(retention.run_for_ever())
        self._in_background(memory.give_back_for_ever())

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def stop(self) -> None:
        """Stop sending and deciding, write what is queued, close. What is unfinished goes on at the next start."""
        self._why_not_ready = "stopping"
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        if self._sources:
            await self._sources.aclose()
        if self._typing:
            await self._typing.aclose()
        if self._sessions:
            await self._sessions.aclose()
        if self._streams and self._lanes:
            await self._streams.aclose()
            await self._lanes.aclose()
        if self._analysis:
            await self._analysis.aclose()
        await self._records.aclose()
        await self._routers.aclose()
        for connector in self._connectors.values():
            await connector.aclose()
        if self._relay:
            await self._relay.aclose()
        if self._agents:
            await self._agents.aclose()
        for app in self._apps.values():
            await app.aclose()
        for proof in self._proofs.values():
            await proof.aclose()
        if self._database:
            await self._database.aclose()

    def _served(self) -> dict[str, Party] | None:
        return self._relay.parties if self._relay else None

    def _types(self, connection: str, session_id: str, is_typing: bool) -> None:
        if self._typing:
            self._typing.said(connection, session_id, is_typing)

    def _not_ready(self) -> str:
        return self._why_not_ready or (self._database.why_not_written() if self._database else "")

    def _wait_for(self, what: str) -> None:
        """'' = for nothing: it relays."""
        self._why_not_ready = what
