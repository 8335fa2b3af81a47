"""The composition root: the one module that knows every part. Settings in, a running service out."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Mapping, Set
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from starlette.routing import Route
from starlette.types import ASGIApp

from omnibridge.assignment.agents import AgentSender, AgentService, MappedAgents, MappedFirst
from omnibridge.assignment.deciders import DeciderLink, DeciderSender
from omnibridge.assignment.telling import PresenceTeller
from omnibridge.bootstrap_agents import hubs_of, world_of
from omnibridge.clock import Clock, SystemClock
from omnibridge.config import ConnectionSettings, Settings, WorkspaceSettings
from omnibridge.connector import Connector, ConnectorContext
from omnibridge.connector.interface import ReceivesCallbacks, WelcomesVisitors
from omnibridge.connector.signing import read_secrets
from omnibridge.domain.directory import BotConnection, Decider, Directory, HoldingBot
from omnibridge.domain.events import UserRef
from omnibridge.engine import plugins
from omnibridge.engine.breaker import Breaker
from omnibridge.engine.callbacks import Callbacks
from omnibridge.engine.counters import Counters
from omnibridge.engine.faults import Faults
from omnibridge.engine.hub_sender import Hub, HubSender
from omnibridge.engine.ids import IdSequence
from omnibridge.engine.lanes import Lanes
from omnibridge.engine.live import LiveIntake
from omnibridge.engine.party_sender import Party, PartySender
from omnibridge.engine.processor import Policy, Processor
from omnibridge.engine.reconciler import Reconciler
from omnibridge.engine.retention import Retention, Terms
from omnibridge.engine.retry import DEADLINES_MS
from omnibridge.engine.streams import Sender, Streams
from omnibridge.engine.timers import TimerSender
from omnibridge.errors import ConfigError, DeliveryError
from omnibridge.http import Client, create_client
from omnibridge.identity import upkeep
from omnibridge.identity.admin import Admin
from omnibridge.identity.presence import Presence
from omnibridge.identity.service import Identity
from omnibridge.identity.world import World
from omnibridge.limits import TimeLimit
from omnibridge.operator.live import Operator
from omnibridge.operator.local_socket import Handler
from omnibridge.rocketchat.client import Credentials, RocketChatClient
from omnibridge.rocketchat.provisioning import Provisioner
from omnibridge.routing.rules import RuleSet, Texts
from omnibridge.routing.rules_file import parse_rules
from omnibridge.storage import conversations, journal, seats
from omnibridge.storage.database import Database, open_database
from omnibridge.web.api import AssignmentEndpoint
from omnibridge.web.app import create_app
from omnibridge.web.callbacks import CallbackEndpoint
from omnibridge.web.callers import Callers
from omnibridge.web.decisions import DecisionEndpoint
from omnibridge.web.external import ExternalEndpoint, ExternalRouting
from omnibridge.web.presence import PresenceEndpoint
from omnibridge.web.webhooks import WebhookEndpoint

if TYPE_CHECKING:
    from omnibridge.rocketchat.realtime.listener import Listener

_log = structlog.get_logger("omnibridge.service")


GAP_SETTLE_MS = 2_000
"""What is younger after a gap of the realtime connection is left to its webhook, where webhooks come at all."""
ANSWER_BYTES = 64 * 1024
"""Of a decider's answer."""

CATCH_UP_S = 1.0
"""At start, what waits to be decided goes before what waits to be sent, but for no longer than this."""

BEGIN_AGAIN_S = 1.0


def read_rules(settings: Settings) -> RuleSet:
    """The rules file with the texts of the configuration. Raises RuleInvalid or ConfigError."""
    texts = msgspec.convert(settings.texts.model_dump(), Texts)
    if settings.rules.file is None:
        return RuleSet(texts=texts)
    path = settings.resolve(settings.rules.file)
    try:
        text = path.read_text("utf-8")
    except OSError as exc:
        raise ConfigError(f"[rules] file: {path}: {exc.strerror}") from exc
    return parse_rules(text, str(path), texts)


def unknown_targets(rules: RuleSet, connections: set[str], deciders: Set[str] = frozenset()) -> list[str]:
    """Rules that name a connection or decider which is not configured, in words."""
    targets = [("default", rules.default), *((rule.name, rule.target) for rule in rules.rules)]
    known = {"bot": ("connection", connections), "decider": ("decider", deciders)}
    problems = [
        f"rules: {name}: there is no [[{known[target.kind][0]}]] {target.name!r}"
        for name, target in targets
        if target and target.kind in known and target.name not in known[target.kind][1]
    ]
    if rules.handover.decider and rules.handover.decider not in deciders:
        problems.append(f"rules: [handover] decider: there is no [[decider]] {rules.handover.decider!r}")
    return problems


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
        self._reconcilers: list[Reconciler] = []
        self._windows: dict[str, int] = {}
        self._intakes: list[LiveIntake] = []
        self._listeners: list[Listener] = []
        self._database: Database | None = None
        self._lanes: Lanes | None = None
        self._streams: Streams | None = None
        self._operator: Operator | None = None
        self._provisioners: dict[str, Provisioner] = {}
        self._agents: Admin | None = None
        self._world: World | None = None
        self._identity: Identity | None = None
        self._presence: Presence | None = None
        self._webhooks: WebhookEndpoint | None = None
        self._callbacks: CallbackEndpoint | None = None
        self._routes: list[Route] = []
        self._decider_clients: list[Client] = []

    def app(self) -> ASGIApp:
        """The ASGI application. Call after `start`."""
        assert self._webhooks is not None and self._callbacks is not None, "start() comes before app()"
        return create_app(self._webhooks, self._callbacks, self.counters, lambda: self._why_not_ready, self._routes)

    def operator(self) -> Operator:
        """What the local socket carries out. Call after `start`."""
        assert self._operator is not None, "start() comes before operator()"
        return self._operator

    def identity(self) -> Identity:
        """Who external agents are on the hub. Call after `start`."""
        assert self._identity is not None, "start() comes before identity()"
        return self._identity

    def presence(self) -> Presence:
        """Whether they are available, both ways. Call after `start`."""
        assert self._presence is not None, "start() comes before presence()"
        return self._presence

    def commands(self) -> dict[str, Handler]:
        """What else the local socket carries out, by name. Call after `start`."""
        assert self._agents is not None, "start() comes before commands()"
        return {"agents": self._agents.answer}

    async def start(self) -> None:
        """Open the database, take webhooks; relay as soon as every bot user is known.

        Raises ConfigError, StorageError. A hub or backend that is down does not stop the start.
        """
        settings = self._settings
        database = self._database = await open_database(settings.database_url)
        self._faults.reach("start_up")
        await self._make_connectors()
        ids = IdSequence(self._clock, journal.newest_ids(database.reader))
        boot = secrets.token_hex(8)
        called = {name: each for name, each in self._connectors.items() if isinstance(each, ReceivesCallbacks)}
        at = {each.name: settings.workspace_of(each).name for each in settings.connection}
        callbacks = Callbacks(called, at, database.reader, database.secret)
        processor = Processor(
            database.reader,
            self._clock,
            ids,
            database.secret,
            boot,
            self._policy(Directory()),
            self.counters,
            callbacks,
        )
        streams = self._streams = Streams(
            database, self._clock, ids, boot, self.counters, self._faults, int(settings.engine.notice_after_s * 1000)
        )
        windows = self._windows = {
            each.name: settings.engine.reorder_window_ms if each.reorder_window_ms is None else each.reorder_window_ms
            for each in settings.workspace
        }
        lanes = self._lanes = Lanes(database, processor, self._clock, windows, self.counters, self._faults, streams)
        self._operator = Operator(database, lanes, streams, ids, boot, self._clock)
        tokens = {each.name: each.webhook_token.get_secret_value() for each in settings.workspace}
        self._webhooks = WebhookEndpoint(
            tokens, lanes, ids, self._clock, self.counters, self._faults, settings.database.commit_timeout_s
        )
        secrets_of = {name: each.callback_token() for name, each in called.items() if each.callback_token()}
        self._callbacks = CallbackEndpoint(
            secrets_of, callbacks, lanes, ids, self._clock, self.counters, settings.database.commit_timeout_s
        )
        self._provisioners = hubs_of(settings)
        self._begin_identity(database, boot)
        self._routes = self._decision_routes(database, lanes, ids)
        self._gauges(database)
        self._in_background(self._relay(processor, ids))
        kept = settings.retention
        terms = Terms(kept.observations_days, kept.deliveries_days, kept.conversations_days)
        retention = Retention(database, self._clock, self.counters, terms, kept.every_s)
        self._in_background(retention.run_for_ever())

    def _begin_identity(self, database: Database, boot: str) -> None:
        settings, count = self._settings.agents, self.counters.add
        world = self._world = world_of(
            settings,
            database,
            self._clock,
            lambda outcome: count("agents", 1, outcome),
            lambda kind: count("agents_alarms", 1, kind),
        )
        self._identity = Identity(world, self._provisioners)
        self._presence = Presence(world, self._provisioners, repeats=True)
        if settings.presence_url:
            client = create_client(base_url=settings.presence_url, max_connections=8, max_answer_bytes=ANSWER_BYTES)
            self._decider_clients.append(client)
            keys = read_secrets(settings.presence_secret.reveal())
            teller = PresenceTeller(client, keys, self._clock, boot, lambda outcome: count("presence", 1, outcome))
            self._presence.tell = teller.tell
            self._in_background(teller.serve())
        self._agents = Admin(database, self._provisioners, world.policy, self._clock, world.locks)
        self._in_background(upkeep.keep(self._identity, self._presence, settings.presence_every_s))
        n_seats = "SELECT count(*) FROM creations WHERE released_at IS NULL"
        reader = database.reader
        self.counters.gauge(
            "agents_seats", "Users that we made for external agents", lambda: reader.execute(n_seats).fetchone()[0]
        )

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
        for intake in self._intakes:
            await intake.aclose()
        if self._streams and self._lanes:
            await self._streams.aclose()
            await self._lanes.aclose()
        for connector in self._connectors.values():
            await connector.aclose()
        for client in self._clients:
            await client.aclose()
        for provisioner in self._provisioners.values():
            await provisioner.aclose()
        if self._world:
            await self._world.avatars.aclose()
        for each in self._decider_clients:
            await each.aclose()
        if self._database:
            await self._database.aclose()

    async def _make_connectors(self) -> None:
        for each in self._settings.connection:
            connector, options = plugins.create(each.kind, each.options, f"[[connection]] {each.name}")
            log = structlog.get_logger(f"omnibridge.connection.{each.name}")
            context = ConnectorContext(
                name=each.name,
                settings=options,
                clock=self._clock,
                create_client=create_client,
                count=self._counter(each.name),
                log=partial(log.info),
            )
            await connector.initialize(context)
            self._connectors[each.name] = connector

    def _counter(self, connection: str) -> Callable[[str, int], None]:
        return lambda name, n: self.counters.add("connector", n, connection, name)

    async def _relay(self, processor: Processor, ids: IdSequence) -> None:
        """Begin, however often it takes: the database may fail for a moment, and what is taken in has to go on."""
        while True:
            try:
                await self._begin_relaying(processor, ids)
                return
            except Exception as exc:
                self._why_not_ready = f"could not begin to relay: {type(exc).__name__}: {exc}"
                _log.exception("not_relaying", next_try_in_s=BEGIN_AGAIN_S)
            for client in self._clients:
                await client.aclose()
            self._clients.clear()
            await asyncio.sleep(BEGIN_AGAIN_S)

    async def _begin_relaying(self, processor: Processor, ids: IdSequence) -> None:
        """Find out who the bot users are; until then everything is journalled and nothing decided."""
        assert self._database and self._lanes and self._streams
        hubs: dict[str, Hub] = {}
        bots: list[BotConnection] = []
        holders: list[HoldingBot] = []
        for workspace in self._settings.workspace:
            credentials = Credentials(workspace.user_id, workspace.auth_token.get_secret_value())
            client = RocketChatClient(workspace.url, credentials, timeout_s=workspace.http_timeout_s)
            self._clients.append(client)
            posters, bot_ids = {}, {}
            for each in self._settings.connection:
                if self._settings.workspace_of(each).name != workspace.name:
                    continue
                user_id = each.rocketchat_user_id or await self._user_id(client, workspace.name, each.rocketchat_user)
                posters[each.name] = Credentials(user_id, each.rocketchat_token.get_secret_value())
                bot_ids[each.name] = user_id
                bots.append(self._bot(each, workspace.name, user_id))
            holding = await self._holders(client, workspace, set(bot_ids.values()))
            holders += holding
            left_out = partial(self._only_by_decision, workspace.name)
            hubs[workspace.name] = Hub(client, posters, bot_ids, frozenset(each.user_id for each in holding), left_out)
        processor.use(self._policy(self._directory(bots, holders)))
        database = self._database
        for digest, kind, body in processor.snapshots():
            now = self._clock.now_ms()
            await database.writer.submit(partial(_keep, digest=digest, kind=kind, body=body, at=now))
        hub_sender: Sender = HubSender(hubs, self._faults, self.identity().credentials)
        party_sender: Sender = PartySender(self._parties(), database.secret, self._clock, self._faults)

        others: dict[str, Sender] = {
            "connection": party_sender,
            "decider": DeciderSender(self._links(), database.secret, self._clock),
            "agents": AgentSender(self._agent_service(hubs)),
            "timer": TimerSender(),
        }

        def sender_for(stream: str) -> Sender:
            return others.get(stream.partition(":")[0], hub_sender)

        arrived = await self._streams.settle_arrived(self._lanes, sender_for)
        grace_ms = int(self._settings.engine.bot_turn_deadline_s * 1000)
        # What was journalled first: it may say that somebody took over or closed, and then old words must not go.
        lanes = self._lanes.open()
        await self._lanes.caught_up(CATCH_UP_S)
        streams = self._streams.open(self._lanes, sender_for, grace_ms)
        self._why_not_ready = ""
        _log.info("relaying", lanes_with_work=lanes, streams_with_work=streams, had_arrived=arrived)
        self._begin_reconciling(hubs, ids)

    def _decision_routes(self, database: Database, lanes: Lanes, ids: IdSequence) -> list[Route]:
        """Of external deciders and of Rocket.Chat's External routing method."""
        settings, timeout_s = self._settings, self._settings.database.commit_timeout_s
        keys = {each.name: read_secrets(each.secret.reveal()) for each in settings.decider}
        decided = DecisionEndpoint(
            keys, self._systems(), database.reader, database.secret, lanes, ids, self._clock, self.counters, timeout_s
        )
        routing = {
            each.name: ExternalRouting(each.external_token.reveal(), {"": each.holding_bot, **each.holding_bots})
            for each in settings.workspace
            if each.external_token.reveal()
        }
        callers = Callers(database, ids, self._clock)
        pushed = AssignmentEndpoint(database, lanes, ids, self._clock, self.counters, timeout_s)
        return [
            Route("/api/v1/conversations/{conversation}/assignment", pushed),
            Route("/api/v1/agents/presence", PresenceEndpoint(callers, self.presence().said, self.counters)),
            Route("/deciders/{decider}/decisions/{reference}", decided),
            Route("/external/{workspace}", ExternalEndpoint(routing, self.counters).answer),
        ]

    def _systems(self) -> dict[str, str]:
        return {each.name: each.system or each.name for each in self._settings.decider}

    def _directory(self, bots: list[BotConnection], holders: list[HoldingBot]) -> Directory:
        deciders = tuple(
            Decider(
                each.name, each.timeout_ms, each.ticket_timeout_ms, each.move_timeout_ms, each.asks, each.on_timeout
            )
            for each in self._settings.decider
        )
        look_again_ms = int(self._settings.assignment.look_again_s * 1000)
        return Directory(tuple(bots), deciders, tuple(holders), look_again_ms)

    def _links(self) -> dict[str, DeciderLink]:
        """A client for each decider; addresses come from the operator's own configuration."""
        engine, systems, links = self._settings.engine, self._systems(), {}
        for each in self._settings.decider:
            client = create_client(
                base_url=each.url, max_connections=engine.max_in_flight, max_answer_bytes=ANSWER_BYTES
            )
            self._decider_clients.append(client)
            links[each.name] = DeciderLink(
                client,
                read_secrets(each.secret.reveal()),
                systems[each.name],
                frozenset(each.facts),
                each.timeout_ms / 1000,
                self._settings.assignment.public_url.rstrip("/"),
                asyncio.Semaphore(engine.max_in_flight),
                Breaker(engine.breaker_failures, int(engine.breaker_open_s * 1000)),
            )
        return links

    def _agent_service(self, hubs: Mapping[str, Hub]) -> AgentService:
        assert self._identity
        clients = {name: hub.client for name, hub in hubs.items()}
        return MappedFirst(MappedAgents(clients, self._settings.assignment.agents), self._identity)

    async def _holders(
        self, client: RocketChatClient, workspace: WorkspaceSettings, bots: set[str]
    ) -> list[HoldingBot]:
        """A connection's bot user may hold conversations too; it stays that connection's then."""
        names = sorted({workspace.holding_bot, *workspace.holding_bots.values()} - {""})
        found = [(await self._user_id(client, workspace.name, name), name) for name in names]
        return [HoldingBot(workspace.name, user_id, name) for user_id, name in found if user_id not in bots]

    def _begin_reconciling(self, hubs: Mapping[str, Hub], ids: IdSequence) -> None:
        assert self._database and self._lanes
        every_s = self._settings.engine.reconcile_every_s
        for workspace, hub in hubs.items():
            reconciler = Reconciler(
                workspace, hub.client, self._database, self._lanes, ids, self._clock, self.counters, every_s
            )
            hub.client.when_back(reconciler.ask)
            self._reconcilers.append(reconciler)
            self._in_background(reconciler.serve())
            self._begin_listening(workspace, hub, ids, reconciler)

    def _begin_listening(self, name: str, hub: Hub, ids: IdSequence, reconciler: Reconciler) -> None:
        """The realtime connection, where it is wanted. What it misses, the reconciler finds."""
        settings = next(each for each in self._settings.workspace if each.name == name)
        if not settings.realtime:
            return
        from omnibridge.rocketchat.realtime.listener import Listener  # loads a library that only this needs

        assert self._database and self._lanes
        counters = self.counters
        intake = LiveIntake(
            name, hub.client, self._database, self._lanes, ids, self._clock, counters, self._windows,
            lambda: reconciler.ask(GAP_SETTLE_MS if counters.value("observations", "webhook") else 0),
        )  # fmt: skip
        listener = Listener(
            name, settings.url, settings.user_id, settings.auth_token.get_secret_value(), list(hub.bot_ids.values()),
            intake, lambda counter, *labels: counters.add(counter, 1, name, *labels),
        )  # fmt: skip
        intake.left = listener.leave
        self._intakes.append(intake)
        self._listeners.append(listener)
        self._in_background(listener.serve())

    async def _user_id(self, client: RocketChatClient, workspace: str, username: str) -> str:
        """From the hub, else from what we learned before; waits for the hub when we know nothing."""
        assert self._database
        name = f"user:{workspace}:{username}"
        known = self._database.reader.execute("SELECT value FROM instance WHERE name = ?", (name,)).fetchone()
        pause_s = 0.2
        while True:
            try:
                user = await client.user(username)
            except DeliveryError as exc:
                if known:
                    return str(known[0])
                self._why_not_ready = f"workspace {workspace}: user {username}: {exc}"
                _log.warning("bot_user_unknown", workspace=workspace, user=username, reason=str(exc))
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, 10.0)
                continue
            await self._database.writer.submit(partial(_remember, name=name, value=user.id))
            return user.id

    def _bot(self, each: ConnectionSettings, workspace: str, user_id: str) -> BotConnection:
        return BotConnection(
            each.name,
            workspace,
            user_id,
            each.rocketchat_user,
            welcomes=isinstance(self._connectors[each.name], WelcomesVisitors),
            fallbacks=each.fallbacks,
            handover_when_down=each.bot_down == "handover",
            decider=each.decider,
        )

    def _policy(self, directory: Directory) -> Policy:
        bot_users: dict[str, dict[str, str]] = {}
        for each in directory.connections:
            users = bot_users.setdefault(each.workspace, {})
            users[each.user_id] = users[each.username] = each.name
        engine = self._settings.engine
        deadlines = {
            **DEADLINES_MS,
            "SendToParty": int(engine.bot_turn_deadline_s * 1000),
            "SendToVisitor": int(engine.reply_deadline_s * 1000),
        }
        return Policy(self._rules, directory, bot_users, deadlines, self._systems(), self._only_by_decision)

    def _only_by_decision(self, workspace: str, user: UserRef) -> bool:
        """Whether a user shall serve only by an external decision: those that we made, and the named ones."""
        assert self._database
        names = self._settings.assignment.only_by_decision
        return user.username in names or seats.proxy(self._database.reader, workspace, user.id) is not None

    def _parties(self) -> dict[str, Party]:
        engine = self._settings.engine
        return {
            each.name: Party(
                self._connectors[each.name],
                frozenset(each.facts),
                each.on_uncertain,
                TimeLimit(engine.bot_turn_deadline_s),
                asyncio.Semaphore(engine.max_in_flight),
                Breaker(engine.breaker_failures, int(engine.breaker_open_s * 1000)),
            )
            for each in self._settings.connection
        }

    def _gauges(self, database: Database) -> None:
        reader, writer = database.reader, database.writer
        due = "SELECT count(*) FROM deliveries WHERE state = 0"
        pending = "SELECT count(*) FROM observations WHERE state = 0"
        self.counters.gauge("conversations_open", "Open conversations", lambda: conversations.n_open(reader))
        self.counters.gauge("deliveries_due", "Deliveries waiting", lambda: reader.execute(due).fetchone()[0])
        self.counters.gauge("observations_due", "Observations waiting", lambda: reader.execute(pending).fetchone()[0])
        self.counters.gauge("commits", "Commits of the writer since start", lambda: writer.commits)
        self.counters.gauge("commit_seconds", "Seconds spent in commits since start", lambda: writer.commit_s)
        for percent in (50, 99):
            read = partial(writer.commit_ms, percent)
            self.counters.gauge(f"commit_ms_p{percent}", f"{percent}th percentile of the last commits, ms", read)
        self.counters.gauge(
            "reconciled_at_seconds",
            "When every workspace was last compared with its hub, Unix time; 0 = not yet",
            lambda: min((each.succeeded_at_ms / 1000 for each in self._reconcilers), default=0.0),
        )
        self.counters.gauge(
            "realtime_connected",
            "Realtime connections that are live; as many as workspaces with realtime = true when all is well",
            lambda: float(sum(each.is_live for each in self._listeners)),
        )
        self.counters.gauge("ready", "1 when relaying", lambda: float(not self._why_not_ready))


def _keep(cursor: Any, *, digest: str, kind: str, body: bytes, at: int) -> None:
    journal.keep_snapshot(cursor, digest, kind, body, at)


def _remember(cursor: Any, *, name: str, value: str) -> None:
    cursor.execute("INSERT OR REPLACE INTO instance (name, value) VALUES (?, ?)", (name, value))
