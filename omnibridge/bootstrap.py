"""The composition root: settings in, a running service out. `Service` is the one class that knows every part.

Its parts are made in the other modules `bootstrap_*`.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Coroutine
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec
import structlog
from starlette.routing import Route
from starlette.types import ASGIApp

from omnibridge.assignment.deciders import DeciderSender
from omnibridge.bootstrap_agents import Agents
from omnibridge.bootstrap_analysis import Analysis
from omnibridge.bootstrap_app import (
    app_client_of,
    app_routes_of,
    posted_of,
    response_routes_of,
    responses_of,
    urls_of,
)
from omnibridge.bootstrap_bots import BotUsers, client_of, make_connector, parties_of, sessions_of
from omnibridge.bootstrap_decisions import directory_of, links_of, policy_of, read_rules, routes_of
from omnibridge.bootstrap_files import Files
from omnibridge.bootstrap_gauges import show_gauges
from omnibridge.bootstrap_records import RecordSystems
from omnibridge.bootstrap_reload import Contexts, Reloaded, Reloader
from omnibridge.bootstrap_routing import Routers
from omnibridge.bootstrap_sources import Sources, windows_of
from omnibridge.bootstrap_typing import TypingBothWays
from omnibridge.botapi.service import BotApi
from omnibridge.clock import Clock, SystemClock
from omnibridge.config import Settings
from omnibridge.connector import Connector
from omnibridge.connector.desks import HoldsSessions
from omnibridge.connector.interface import ReceivesCallbacks
from omnibridge.domain.directory import BotConnection, Directory, HoldingBot
from omnibridge.engine.callbacks import Callbacks
from omnibridge.engine.counters import Counters
from omnibridge.engine.faults import Faults
from omnibridge.engine.hub import Hub
from omnibridge.engine.hub_sender import HubSender
from omnibridge.engine.ids import IdSequence
from omnibridge.engine.lanes import Lanes
from omnibridge.engine.party_sender import Party, PartySender
from omnibridge.engine.processor import Processor
from omnibridge.engine.retention import Retention, Terms
from omnibridge.engine.sessions import Sessions
from omnibridge.engine.streams import Sender, Streams
from omnibridge.engine.timers import TimerSender
from omnibridge.http import Client
from omnibridge.identity.presence import Presence
from omnibridge.identity.service import Identity
from omnibridge.identity.vault import read_keys
from omnibridge.interaction.objects import ResponseObjects
from omnibridge.operator.live import Operator
from omnibridge.operator.local_socket import Handler
from omnibridge.rocketchat.app_client import AppClient
from omnibridge.rocketchat.client import RocketChatClient
from omnibridge.rocketchat.proof import Proof
from omnibridge.storage import journal
from omnibridge.storage.database import Database, open_database
from omnibridge.web.app import create_app
from omnibridge.web.callbacks import CallbackEndpoint
from omnibridge.web.callers import Callers
from omnibridge.web.interactions import InteractionEndpoint
from omnibridge.web.presence import PresenceEndpoint
from omnibridge.web.webhooks import WebhookEndpoint

_log = structlog.get_logger("omnibridge.service")


CATCH_UP_S = 1.0
"""At start, what waits to be decided goes before what waits to be sent, but for no longer than this."""

BEGIN_AGAIN_S = 1.0


class Service:
    """One node. Made, started and stopped in one event loop."""

    def __init__(self, settings: Settings, faults: Faults | None = None, clock: Clock | None = None) -> None:
        self._settings, self._faults, self._clock = settings, faults or Faults(), clock or SystemClock()
        self._rules = read_rules(settings)
        self.counters = Counters()
        self._why_not_ready = "starting"
        self._clients: list[RocketChatClient] = []
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
        self._decider_clients: list[Client] = []
        self._apps: dict[str, AppClient] = {}
        self._bots: BotApi | None = None
        self._analysis: Analysis | None = None
        self._records = RecordSystems(settings)
        self._routers = Routers(settings)
        self._proofs: dict[str, Proof] = {}
        self._files: Files | None = None
        self._contexts: Contexts = {}
        self._parties: dict[str, Party] | None = None
        self._reloader: Reloader | None = None

    def app(self) -> ASGIApp:
        """The ASGI application. Call after `start`."""
        assert self._webhooks is not None and self._callbacks is not None, "start() comes before app()"
        degraded = self._analysis.analysers.degraded if self._analysis else list
        return create_app(
            self._webhooks, self._callbacks, self.counters, lambda: self._why_not_ready, self._routes, degraded
        )

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
        self._files = Files(settings, database, ids, self._clock, self.counters)
        for each in settings.connection:
            self._connectors[each.name] = await make_connector(
                each, self._clock, self.counters, self._types, self._contexts, database, self._keep_file
            )
        analysis = self._analysis = Analysis(settings, self._connectors, database, self._clock, self.counters)
        await analysis.start()
        self._typing = TypingBothWays(self._connectors, database, self.counters)
        boot = secrets.token_hex(8)
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
        self._sessions = sessions_of(
            settings, self._connectors, database, lanes, ids, self._clock, boot, self.counters, self._types
        )
        self._sources = Sources(
            settings, database, lanes, ids, self._clock, self.counters, windows, self._typing.visitors,
            self._in_background,
        )  # fmt: skip
        self._operator = Operator(database, lanes, streams, ids, boot, self._clock)
        tokens = {each.name: each.webhook_token.get_secret_value() for each in settings.workspace}
        self._webhooks = WebhookEndpoint(
            tokens, lanes, ids, self._clock, self.counters, self._faults, settings.database.commit_timeout_s
        )
        secrets_of = {name: each.callback_token() for name, each in called.items() if each.callback_token()}
        self._callbacks = CallbackEndpoint(
            secrets_of, callbacks, lanes, ids, self._clock, self.counters, settings.database.commit_timeout_s
        )
        token = self._callbacks.use
        self._reloader = Reloader(settings, self._contexts, analysis, lambda: self._parties, token)
        apps = {each.name: app_client_of(each, self._clock) for each in settings.workspace}
        self._apps = {name: each for name, each in apps.items() if each}
        self._agents = Agents(settings, database, self._clock, self.counters, boot)
        for work in self._agents.work():
            self._in_background(work)
        self._routes = routes_of(settings, database, lanes, ids, self._clock, self.counters, self._faults)
        said = PresenceEndpoint(Callers(database, ids, self._clock), self.presence().said, self.counters)
        self._routes.append(Route("/api/v1/agents/presence", said))
        self._routes += app_routes_of(
            settings, database, lanes, ids, self._clock, self.counters, self._faults, self._sources.compare
        )
        self._routes += response_routes_of(settings, database, responses, lanes, ids, self._clock, self.counters)
        seals = read_keys(settings.agents.token_keys.reveal())
        self._bots = BotApi(self._connectors, at, database, lanes, ids, self._clock, self.counters, seals, self._files)
        self._routes += self._bots.routes()
        self._routes += analysis.routes(lanes, ids)
        await self._records.start(database, streams, ids, boot, self._clock, self.counters)
        await self._routers.start(database, lanes, ids, self._clock, self.counters, self._faults)
        self._in_background(self._bots.run_for_ever())
        self._proofs = {each.name: Proof(each.url) for each in settings.workspace}
        told = InteractionEndpoint(
            at, self._proofs, frozenset(settings.server.allowed_origins), database, lanes, ids, self._clock,
            self.counters, settings.database.commit_timeout_s,
        )  # fmt: skip
        self._routes.append(Route("/api/v1/bots/{bot}/interactions", told))
        self._routes += self._files.routes()
        show_gauges(self.counters, database, self._sessions, lambda: not self._why_not_ready)
        self._in_background(self._relay(processor))
        kept = settings.retention
        terms = Terms(kept.observations_days, kept.deliveries_days, kept.conversations_days, kept.audit_days)
        retention = Retention(database, self._clock, self.counters, terms, kept.every_s)
        self._in_background(retention.run_for_ever())

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
        for client in self._clients:
            await client.aclose()
        if self._agents:
            await self._agents.aclose()
        for each in self._decider_clients:
            await each.aclose()
        for app in self._apps.values():
            await app.aclose()
        for proof in self._proofs.values():
            await proof.aclose()
        if self._database:
            await self._database.aclose()

    async def _relay(self, processor: Processor) -> None:
        """Begin, however often it takes: the database may fail for a moment, and what is taken in has to go on."""
        while True:
            try:
                await self._begin_relaying(processor)
                return
            except Exception as exc:
                self._why_not_ready = f"could not begin to relay: {type(exc).__name__}: {exc}"
                _log.exception("not_relaying", next_try_in_s=BEGIN_AGAIN_S)
            for client in self._clients:
                await client.aclose()
            self._clients.clear()
            await asyncio.sleep(BEGIN_AGAIN_S)

    async def _begin_relaying(self, processor: Processor) -> None:
        """Find out who the bot users are; until then everything is journalled and nothing decided."""
        assert self._database and self._lanes and self._streams and self._sources and self._analysis and self._sessions
        settings, database = self._settings, self._database
        users = BotUsers(settings, self._connectors, database, self._wait_for)
        hubs: dict[str, Hub] = {}
        bots: list[BotConnection] = []
        holders: list[HoldingBot] = []
        for workspace in settings.workspace:
            client = client_of(workspace)
            self._clients.append(client)
            hub, of_connections, holding = await users.hub(client, workspace)
            hubs[workspace.name] = replace(hub, app=self._apps.get(workspace.name))
            bots += of_connections
            holders += holding
        directory = directory_of(settings, bots, holders)
        analysers = self._analysis.of_workspaces()
        processor.use(policy_of(settings, self._rules, directory, database.reader, analysers))
        for digest, kind, body in processor.snapshots():
            now = self._clock.now_ms()
            await database.writer.submit(partial(_keep, digest=digest, kind=kind, body=body, at=now))
        assert self._agents and self._typing and self._files
        hub_sender: Sender = HubSender(
            hubs,
            self._faults,
            self.identity().credentials,
            self._agents.may_be_shown,
            settings.assignment.widget_listens_ms,
            self._clock,
            posted_of(database),
            partial(self.counters.add, "updates", 1),
            self._files.uploader(self.identity().credentials),
        )
        typing = self._typing.begin(settings, hubs, self.identity().credentials)
        self._files.begin(hubs)
        self._parties = parties_of(settings, self._connectors)
        party_sender: Sender = PartySender(
            self._parties,
            database.secret,
            self._clock,
            self._faults,
            typing,
            self._sessions,
            ResponseObjects(database.reader, urls_of(settings, database)),
            self._files.links.url,
        )
        links = links_of(settings)
        self._decider_clients += [each.client for each in links.values()]
        deciders = DeciderSender(links, database.secret, self._clock)
        others: dict[str, Sender] = {
            "connection": party_sender,
            "decider": deciders,
            "agents": self._agents.sender(hubs),
            "timer": TimerSender(),
            "crm": self._records.sender(self._files.fetcher),
            "analysis": self._analysis.sender(hubs),
            **self._routers.senders(),
        }

        def sender_for(stream: str) -> Sender:
            return others.get(stream) or others.get(stream.partition(":")[0], hub_sender)

        arrived = await self._streams.settle_arrived(self._lanes, sender_for)
        grace_ms = int(settings.engine.bot_turn_deadline_s * 1000)
        # What was journalled first: it may say that somebody took over or closed, and then old words must not go.
        lanes = self._lanes.open()
        await self._lanes.caught_up(CATCH_UP_S)
        sessions = await self._sessions.resume()
        streams = self._streams.open(self._lanes, sender_for, grace_ms)
        self._why_not_ready = ""
        _log.info("relaying", lanes_with_work=lanes, streams_with_work=streams, had_arrived=arrived, sessions=sessions)
        if self._sessions.desks:
            self._in_background(self._sessions.keep_held())
        for work in self._routers.work(deciders):
            self._in_background(work)
        for workspace in settings.workspace:
            self._sources.begin(workspace, hubs[workspace.name])

    def _types(self, connection: str, session_id: str, is_typing: bool) -> None:
        if self._typing:
            self._typing.said(connection, session_id, is_typing)

    def _wait_for(self, what: str) -> None:
        self._why_not_ready = what


def _keep(cursor: Any, *, digest: str, kind: str, body: bytes, at: int) -> None:
    journal.keep_snapshot(cursor, digest, kind, body, at)
