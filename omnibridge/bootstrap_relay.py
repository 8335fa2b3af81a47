"""From intake to relay: who the bot users are is found out, then what was journalled is decided and sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import structlog

from omnibridge.assignment.deciders import DeciderSender
from omnibridge.bootstrap_agents import Agents
from omnibridge.bootstrap_analysis import Analysis
from omnibridge.bootstrap_app import (
    posted_of,
    urls_of,
)
from omnibridge.bootstrap_bots import BotUsers, client_of, parties_of
from omnibridge.bootstrap_common import Common
from omnibridge.bootstrap_decisions import directory_of, links_of, policy_of, wanted_of
from omnibridge.bootstrap_files import Files
from omnibridge.bootstrap_records import RecordSystems
from omnibridge.bootstrap_routing import Routers
from omnibridge.bootstrap_sources import Sources
from omnibridge.bootstrap_typing import TypingBothWays
from omnibridge.connector import Connector
from omnibridge.domain.directory import BotConnection, HoldingBot
from omnibridge.engine.hub import Hub
from omnibridge.engine.hub_sender import HubSender
from omnibridge.engine.lanes import Lanes
from omnibridge.engine.party_sender import Party, PartySender
from omnibridge.engine.processor import Processor
from omnibridge.engine.sender import Sender
from omnibridge.engine.sessions import Sessions
from omnibridge.engine.streams import Streams
from omnibridge.engine.timers import TimerSender
from omnibridge.http import Client
from omnibridge.interaction.objects import ResponseObjects
from omnibridge.rocketchat.app_client import AppClient
from omnibridge.rocketchat.client import RocketChatClient
from omnibridge.routing.rules import RuleSet

_log = structlog.get_logger("omnibridge.service")

CATCH_UP_S = 1.0
"""At start, what waits to be decided goes before what waits to be sent, but for no longer than this."""

BEGIN_AGAIN_S = 1.0


@dataclass(frozen=True)
class Parts:
    """What is there before anything is relayed. apps: by workspace."""

    connectors: Mapping[str, Connector]
    lanes: Lanes
    streams: Streams
    sources: Sources
    sessions: Sessions
    typing: TypingBothWays
    agents: Agents
    analysis: Analysis
    records: RecordSystems
    routers: Routers
    files: Files
    apps: Mapping[str, AppClient]


class Relay:
    """in_background: runs work until the service stops. wait_for: told what is waited for, in words; '' = nothing.

    parties: those that are given turns, None before it is relayed.
    """

    def __init__(
        self,
        common: Common,
        rules: RuleSet,
        parts: Parts,
        in_background: Callable[[Coroutine[Any, Any, None]], None],
        wait_for: Callable[[str], None],
    ) -> None:
        self._common, self._rules, self._parts = common, rules, parts
        self._in_background, self._wait_for = in_background, wait_for
        self._clients: list[RocketChatClient] = []
        self._decider_clients: list[Client] = []
        self.parties: dict[str, Party] | None = None

    async def begin(self, processor: Processor) -> None:
        """Begin, however often it takes: the database may fail for a moment, and what is taken in has to go on."""
        while True:
            try:
                await self._begin(processor)
                return
            except Exception as exc:
                self._wait_for(f"could not begin to relay: {type(exc).__name__}: {exc}")
                _log.exception("not_relaying", next_try_in_s=BEGIN_AGAIN_S)
            for client in self._clients:
                await client.aclose()
            self._clients.clear()
            await asyncio.sleep(BEGIN_AGAIN_S)

    async def _begin(self, processor: Processor) -> None:
        """What was journalled first: it may say that somebody took over or closed, and then old words must not go."""
        parts, settings = self._parts, self._common.settings
        hubs = await self._hubs(processor)
        deciders, sender_for = self._senders(hubs)
        arrived = await parts.streams.settle_arrived(parts.lanes, sender_for)
        grace_ms = int(settings.engine.bot_turn_deadline_s * 1000)
        lanes = parts.lanes.open()
        await parts.lanes.caught_up(CATCH_UP_S)
        sessions = await parts.sessions.resume()
        streams = parts.streams.open(parts.lanes, sender_for, grace_ms)
        self._wait_for("")
        _log.info("relaying", lanes_with_work=lanes, streams_with_work=streams, had_arrived=arrived, sessions=sessions)
        if parts.sessions.desks:
            self._in_background(parts.sessions.keep_held())
        for work in parts.routers.work(deciders):
            self._in_background(work)
        for workspace in settings.workspace:
            parts.sources.begin(workspace, hubs[workspace.name])
            self._in_background(self._common.workspaces.serve(workspace.name, hubs[workspace.name].client))

    async def _hubs(self, processor: Processor) -> dict[str, Hub]:
        """Find out who the bot users are; until then everything is journalled and nothing decided."""
        parts, common = self._parts, self._common
        settings, database = common.settings, common.database
        users = BotUsers(settings, parts.connectors, database, self._wait_for)
        hubs: dict[str, Hub] = {}
        bots: list[BotConnection] = []
        holders: list[HoldingBot] = []
        for workspace in settings.workspace:
            client = client_of(workspace)
            self._clients.append(client)
            hub, of_connections, holding = await users.hub(client, workspace)
            hubs[workspace.name] = replace(hub, app=parts.apps.get(workspace.name))
            bots += of_connections
            holders += holding
            await common.workspaces.begin(workspace.name, client, wanted_of(settings, workspace, self._rules))
        directory = directory_of(settings, bots, holders)
        analysers = parts.analysis.of_workspaces()
        policy = policy_of(settings, self._rules, directory, database.reader, analysers)
        await common.workspaces.steer(processor, policy)
        return hubs

    def _senders(self, hubs: dict[str, Hub]) -> tuple[DeciderSender, Callable[[str], Sender]]:
        """By stream; deciders also by themselves."""
        parts, common = self._parts, self._common
        settings, database, credentials = common.settings, common.database, parts.agents.identity.credentials
        hub_sender: Sender = HubSender(
            hubs,
            common.faults,
            credentials,
            parts.agents.may_be_shown,
            settings.assignment.widget_listens_ms,
            common.clock,
            posted_of(database),
            partial(common.counters.add, "updates", 1),
            parts.files.uploader(credentials),
        )
        typing = parts.typing.begin(settings, hubs, credentials)
        parts.files.begin(hubs)
        self.parties = parties_of(settings, parts.connectors)
        party_sender: Sender = PartySender(
            self.parties,
            database.secret,
            common.clock,
            common.faults,
            typing,
            parts.sessions,
            ResponseObjects(database.reader, urls_of(settings, database)),
            parts.files.links.url,
            common.workspaces.department_name,
        )
        links = links_of(settings)
        self._decider_clients += [each.client for each in links.values()]
        deciders = DeciderSender(links, database.secret, common.clock, common.workspaces.department_name)
        others: dict[str, Sender] = {
            "connection": party_sender,
            "decider": deciders,
            "agents": parts.agents.sender(hubs),
            "timer": TimerSender(),
            "crm": parts.records.sender(parts.files.fetcher, common.workspaces.department_name),
            "analysis": parts.analysis.sender(hubs),
            **parts.routers.senders(),
        }

        def sender_for(stream: str) -> Sender:
            return others.get(stream) or others.get(stream.partition(":")[0], hub_sender)

        return deciders, sender_for

    async def aclose(self) -> None:
        """Close what talks to the hubs and to deciders."""
        for hub in self._clients:
            await hub.aclose()
        for decider in self._decider_clients:
            await decider.aclose()
