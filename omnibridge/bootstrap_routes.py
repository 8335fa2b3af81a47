"""Addresses of the service besides its webhooks and callbacks: who may ask it for what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from starlette.routing import Route

from omnibridge.bootstrap_app import urls_of
from omnibridge.bootstrap_common import Common
from omnibridge.bootstrap_decisions import systems_of
from omnibridge.connector.signing import read_secrets
from omnibridge.engine.lanes import Lanes
from omnibridge.engine.responses import Responses
from omnibridge.identity.presence import Presence
from omnibridge.interaction.response_url import PATH
from omnibridge.rocketchat.proof import Proof
from omnibridge.web import assist
from omnibridge.web.api import AssignmentEndpoint
from omnibridge.web.app_events import AppAuthentication, AppEndpoint, AppViewEndpoint
from omnibridge.web.callers import Callers
from omnibridge.web.decisions import DecisionEndpoint
from omnibridge.web.external import ExternalEndpoint, ExternalRouting
from omnibridge.web.interactions import InteractionEndpoint
from omnibridge.web.presence import PresenceEndpoint
from omnibridge.web.responses import ResponseEndpoint


def routes_of(
    common: Common,
    lanes: Lanes,
    at: Mapping[str, str],
    responses: Responses,
    presence: Presence,
    proofs: Mapping[str, Proof],
    compare: Callable[[str], None],
) -> list[Route]:
    """at: connection -> its workspace. proofs: of who is logged in there. compare: have a workspace's rooms compared,
    because its app gave events up."""
    return [
        *_of_deciders(common, lanes),
        _of_presence(common, presence),
        *_of_apps(common, lanes, compare),
        *_of_responses(common, lanes, responses),
        _of_interactions(common, lanes, at, proofs),
    ]


def _of_deciders(common: Common, lanes: Lanes) -> list[Route]:
    """Of external deciders and of Rocket.Chat's External routing method."""
    settings, database, ids, clock = common.settings, common.database, common.ids, common.clock
    counters, faults, timeout_s = common.counters, common.faults, common.timeout_s
    keys = {each.name: read_secrets(each.secret.reveal()) for each in settings.decider}
    decided = DecisionEndpoint(
        keys, systems_of(settings), database.reader, database.secret, lanes, ids, clock, counters, faults, timeout_s
    )
    routing = {
        each.name: ExternalRouting(
            each.external_token.reveal(),
            {"": each.holding_bot, **each.holding_bots},
            partial(common.workspaces.department_name, each.name),
        )
        for each in settings.workspace
        if each.external_token.reveal()
    }
    pushed = AssignmentEndpoint(database, lanes, ids, clock, counters, faults, timeout_s)
    return [
        Route("/api/v1/conversations/{conversation}/assignment", pushed),
        Route("/deciders/{decider}/decisions/{reference}", decided),
        Route("/external/{workspace}", ExternalEndpoint(routing, counters).answer),
    ]


def _of_presence(common: Common, presence: Presence) -> Route:
    """Where external systems say who is available."""
    said = PresenceEndpoint(Callers(common.database, common.ids, common.clock), presence.said, common.counters)
    return Route("/api/v1/agents/presence", said)


def _of_apps(common: Common, lanes: Lanes, compare: Callable[[str], None]) -> list[Route]:
    """compare: have a workspace's rooms compared, because its app gave events up."""
    settings, database, clock, counters = common.settings, common.database, common.clock, common.counters
    with_app = [each for each in settings.workspace if each.app_secret.reveal()]
    keys = {each.name: read_secrets(each.app_secret.reveal()) for each in with_app}
    authentication = AppAuthentication(keys, clock)
    events = AppEndpoint(
        authentication, database.reader, lanes, common.ids, clock, counters, common.faults, common.timeout_s, compare
    )

    def findings(workspace: str, room: str) -> list[dict[str, Any]]:
        return assist.blocks(database.reader, workspace, room, clock.now_ms())

    view = AppViewEndpoint(authentication, database, lanes, counters, findings)
    return [
        Route("/webhooks/rocketchat-app/{workspace}", events),
        Route("/webhooks/rocketchat-app/{workspace}/view", view),
    ]


def _of_responses(common: Common, lanes: Lanes, responses: Responses) -> list[Route]:
    """Where bots answer clicks later."""
    urls, database = urls_of(common.settings, common.database), common.database
    endpoint = ResponseEndpoint(
        urls, responses, database.reader, lanes, common.ids, common.clock, common.counters, common.timeout_s
    )
    return [Route(f"{PATH}{{token}}", endpoint)]


def _of_interactions(common: Common, lanes: Lanes, at: Mapping[str, str], proofs: Mapping[str, Proof]) -> Route:
    """Where it is told what was pressed, by who may not be believed without a proof."""
    origins = frozenset(common.settings.server.allowed_origins)
    told = InteractionEndpoint(
        at, proofs, origins, common.database, lanes, common.ids, common.clock, common.counters, common.timeout_s
    )
    return Route("/api/v1/bots/{bot}/interactions", told)
