"""Settings in, the two sides between which is relayed out: workspaces with their bot users, and the bots' backends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Set
from functools import partial
from typing import Any

import msgspec
import structlog

from omnibridge.analysis.transcript import so_far
from omnibridge.bootstrap_codes import unknown_codes
from omnibridge.bootstrap_common import Common
from omnibridge.bootstrap_decisions import not_desks, only_by_decision
from omnibridge.config import Settings, WorkspaceSettings
from omnibridge.config_connections import ConnectionSettings
from omnibridge.connector import Connector, ConnectorContext, FilePolicy, HearsEdits, TakesFiles
from omnibridge.connector.desks import HoldsSessions
from omnibridge.connector.interface import WelcomesVisitors
from omnibridge.domain.directory import BotConnection, Desk, HoldingBot, Way
from omnibridge.engine import plugins
from omnibridge.engine.breaker import Breaker
from omnibridge.engine.hub import Hub
from omnibridge.engine.lanes import Lanes
from omnibridge.engine.notes import DurableNotes
from omnibridge.engine.party_sender import Party
from omnibridge.engine.sessions import Sessions
from omnibridge.errors import ConfigError, DeliveryError
from omnibridge.http import create_client
from omnibridge.identity.vault import Vault
from omnibridge.limits import TimeLimit
from omnibridge.rocketchat.client import Credentials, RocketChatClient
from omnibridge.storage.database import Database

_log = structlog.get_logger("omnibridge.service")


async def make_connector(
    each: ConnectionSettings,
    common: Common,
    typing: Callable[[str, str, bool], None],
    contexts: dict[str, tuple[Any, ConnectorContext]],
    keep: Callable[[str, bytes, str, str], Awaitable[str]],
) -> Connector:
    """Ready for use. Close it. contexts: is told what it was initialized with. Raises ConfigError."""
    connector, options = plugins.create(each.kind, each.options, f"[[connection]] {each.name}")
    if not hasattr(connector, "on_message"):
        raise ConfigError(f"[[connection]] {each.name}: connector {each.kind!r} only analyses: write [[analyser]]")
    log = structlog.get_logger(f"omnibridge.connection.{each.name}")
    context = ConnectorContext(
        name=each.name,
        settings=options,
        clock=common.clock,
        create_client=create_client,
        count=lambda name, n: common.counters.add("connector", n, each.name, name),
        log=partial(log.info),
        typing=partial(typing, each.name),
        connector=lambda name: contexts[name][0] if name in contexts else None,
        notes=DurableNotes(common.database, common.clock, each.name),
        keep_file=partial(keep, each.name),
    )
    await connector.initialize(context)
    contexts[each.name] = connector, context
    return connector


def parties_of(settings: Settings, connectors: Mapping[str, Connector]) -> dict[str, Party]:
    """By connection."""
    engine = settings.engine
    return {
        each.name: Party(
            connectors[each.name],
            frozenset(each.facts),
            each.on_uncertain,
            TimeLimit(engine.bot_turn_deadline_s),
            asyncio.Semaphore(engine.max_in_flight),
            Breaker(engine.breaker_failures, int(engine.breaker_open_s * 1000)),
            _most_bytes(settings, connectors[each.name]),
        )
        for each in settings.connection
    }


def relay_of(workspace: WorkspaceSettings) -> Credentials:
    """The relay account."""
    return Credentials(workspace.user_id, workspace.auth_token.get_secret_value())


def client_of(workspace: WorkspaceSettings) -> RocketChatClient:
    """As the relay account. Close it."""
    return RocketChatClient(workspace.url, relay_of(workspace), timeout_s=workspace.http_timeout_s)


class BotUsers:
    """Who our bot users are on the hubs. waiting: told what is waited for, in words."""

    def __init__(
        self,
        settings: Settings,
        connectors: Mapping[str, Connector],
        database: Database,
        waiting: Callable[[str], None],
    ) -> None:
        self._settings, self._connectors, self._database, self._waiting = settings, connectors, database, waiting

    async def hub(
        self, client: RocketChatClient, workspace: WorkspaceSettings
    ) -> tuple[Hub, list[BotConnection], list[HoldingBot]]:
        """A workspace with its bot users and its holding bots; waits for the hub when we know nothing of them."""
        posters: dict[str, Credentials] = {}
        bots: list[BotConnection] = []
        for each in self._settings.connection:
            if self._settings.workspace_of(each).name != workspace.name:
                continue
            user_id = each.rocketchat_user_id or await self._user_id(client, workspace.name, each.rocketchat_user)
            posters[each.name] = Credentials(user_id, each.rocketchat_token.get_secret_value())
            bots.append(self._bot(each, workspace.name, user_id))
        bot_ids = {each.name: each.user_id for each in bots}
        holders = await self._holders(client, workspace, set(bot_ids.values()))
        left_out = partial(only_by_decision(self._settings, self._database.reader), workspace.name)
        return Hub(client, posters, bot_ids, frozenset(each.user_id for each in holders), left_out), bots, holders

    def _bot(self, each: ConnectionSettings, workspace: str, user_id: str) -> BotConnection:
        connector = self._connectors[each.name]
        return BotConnection(
            each.name,
            workspace,
            user_id,
            each.rocketchat_user,
            welcomes=isinstance(connector, WelcomesVisitors),
            fallbacks=each.fallbacks,
            handover_when_down=each.bot_down == "handover",
            decider=each.decider,
            hands_to=each.hands_to,
            desk=_desk(each) if isinstance(connector, HoldsSessions) else None,
            files=file_policy_of(self._settings, connector),
            uploads=each.upload_files,
            hears_edits=isinstance(connector, HearsEdits) and connector.wants_edits(),
        )

    async def _holders(
        self, client: RocketChatClient, workspace: WorkspaceSettings, bots: Set[str]
    ) -> list[HoldingBot]:
        """A connection's bot user may hold conversations too; it stays that connection's then."""
        names = sorted({workspace.holding_bot, *workspace.holding_bots.values()} - {""})
        found = [(await self._user_id(client, workspace.name, name), name) for name in names]
        return [HoldingBot(workspace.name, user_id, name) for user_id, name in found if user_id not in bots]

    async def _user_id(self, client: RocketChatClient, workspace: str, username: str) -> str:
        """From the hub, else from what we learned before; waits for the hub when we know nothing."""
        name = f"user:{workspace}:{username}"
        known = self._database.reader.execute("SELECT value FROM instance WHERE name = ?", (name,)).fetchone()
        pause_s = 0.2
        while True:
            try:
                user = await client.user(username)
            except DeliveryError as exc:
                if known:
                    return str(known[0])
                self._waiting(f"workspace {workspace}: user {username}: {exc}")
                _log.warning("bot_user_unknown", workspace=workspace, user=username, reason=str(exc))
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, 10.0)
                continue
            await self._database.writer.submit(partial(_remember, name=name, value=user.id))
            return user.id


def file_policy_of(settings: Settings, connector: Connector) -> FilePolicy | None:
    """What a connection takes of visitors' files; None = nothing."""
    own = connector.file_policy() if isinstance(connector, TakesFiles) else None
    return None if own is None else own.and_also(FilePolicy(settings.files.types, settings.files.max_bytes))


def _most_bytes(settings: Settings, connector: Connector) -> int:
    policy = file_policy_of(settings, connector)
    return policy.max_bytes if policy else 0


def _desk(each: ConnectionSettings) -> Desk:
    declined, declined_by = _ways(each.on_declined)
    left, left_by = _ways(each.on_left)
    times = int(each.offer_s * 1000), int(each.desk_deadline_s * 1000)
    return Desk(*times, declined, left, declined_by, left_by)


def _ways(setting: str | dict[str, str]) -> tuple[Way, dict[str, Way]]:
    found = {"default": setting} if isinstance(setting, str) else setting
    by_code = msgspec.convert({code.casefold(): way for code, way in found.items()}, dict[str, Way])
    return by_code.pop("default"), by_code


def sessions_of(
    common: Common,
    connectors: Mapping[str, Connector],
    lanes: Lanes,
    types: Callable[[str, str, bool], None],
) -> Sessions:
    """Of the connections that are desks. Raises ConfigError where there is one, and no key to encrypt its secrets."""
    desks = {name: each for name, each in connectors.items() if isinstance(each, HoldsSessions)}
    settings, reader = common.settings, common.database.reader
    if problems := not_desks(settings.connection) + unknown_codes(settings):
        raise ConfigError(problems)
    keys = settings.agents.token_keys.reveal()
    if desks and not keys:
        names = ", ".join(desks)
        raise ConfigError(
            f"[agents] token_keys is missing: {names} keeps keys of its sessions, which are stored encrypted. "
            "NAME:KEY, KEY from `openssl rand -base64 32 | tr +/ -_`"
        )
    seal = Vault(keys) if keys else None
    return Sessions(
        desks, common.database, lanes, common.ids, common.clock, common.boot, common.counters, seal,
        partial(so_far, reader), types,
    )  # fmt: skip


def _remember(cursor: Any, *, name: str, value: str) -> None:
    cursor.execute("INSERT OR REPLACE INTO instance (name, value) VALUES (?, ?)", (name, value))
