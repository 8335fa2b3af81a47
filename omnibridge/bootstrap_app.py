"""Settings in, what the companion app of each workspace talks to out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from starlette.routing import Route

from omnibridge.clock import Clock
from omnibridge.config import Settings, WorkspaceSettings
from omnibridge.connector import Connector
from omnibridge.connector.interface import ReadsAnswers
from omnibridge.connector.signing import read_secrets, signed_headers
from omnibridge.domain.conversation import Conversation
from omnibridge.engine.counters import Counters
from omnibridge.engine.faults import Faults
from omnibridge.engine.ids import IdSequence
from omnibridge.engine.lanes import Lanes
from omnibridge.engine.responses import Responses, read_neutral
from omnibridge.engine.shown import blocks_before
from omnibridge.engine.updating import Posted
from omnibridge.interaction.response_url import PATH, ResponseUrls
from omnibridge.rocketchat.app_client import AppClient
from omnibridge.storage.database import Database
from omnibridge.web import assist
from omnibridge.web.app_events import AppAuthentication, AppEndpoint, AppViewEndpoint
from omnibridge.web.responses import ResponseEndpoint


def app_routes_of(
    settings: Settings,
    database: Database,
    lanes: Lanes,
    ids: IdSequence,
    clock: Clock,
    counters: Counters,
    faults: Faults,
    compare: Callable[[str], None],
) -> list[Route]:
    """compare: have a workspace's rooms compared, because its app gave events up."""
    with_app = [each for each in settings.workspace if each.app_secret.reveal()]
    keys = {each.name: read_secrets(each.app_secret.reveal()) for each in with_app}
    authentication = AppAuthentication(keys, clock)
    timeout_s = settings.database.commit_timeout_s
    events = AppEndpoint(authentication, database.reader, lanes, ids, clock, counters, faults, timeout_s, compare)

    def findings(workspace: str, room: str) -> list[dict[str, Any]]:
        return assist.blocks(database.reader, workspace, room, clock.now_ms())

    view = AppViewEndpoint(authentication, database, lanes, counters, findings)
    return [
        Route("/webhooks/rocketchat-app/{workspace}", events),
        Route("/webhooks/rocketchat-app/{workspace}/view", view),
    ]


def responses_of(connectors: Mapping[str, Connector]) -> Responses:
    """How each bot's answers to clicks are read."""
    readers = {
        name: each.read_answer if isinstance(each, ReadsAnswers) else read_neutral for name, each in connectors.items()
    }
    return Responses(readers)


def urls_of(settings: Settings, database: Database) -> ResponseUrls:
    """Signed with the installation's secret."""
    public_url = settings.interactions.public_url or settings.assignment.public_url
    return ResponseUrls(database.secret, public_url, settings.interactions.response_url_s)


def response_routes_of(
    settings: Settings,
    database: Database,
    responses: Responses,
    lanes: Lanes,
    ids: IdSequence,
    clock: Clock,
    counters: Counters,
) -> list[Route]:
    """Where bots answer clicks later."""
    urls, timeout_s = urls_of(settings, database), settings.database.commit_timeout_s
    endpoint = ResponseEndpoint(urls, responses, database.reader, lanes, ids, clock, counters, timeout_s)
    return [Route(f"{PATH}{{token}}", endpoint)]


def app_client_of(workspace: WorkspaceSettings, clock: Clock) -> AppClient | None:
    """None where there is no app. Close it."""
    secret = workspace.app_secret.reveal()
    if not secret:
        return None
    return AppClient(workspace.url, partial(signed_headers, read_secrets(secret)), clock, app_id=workspace.app_id)


def posted_of(database: Database) -> Posted:
    """The blocks of messages as they were before some of them went."""

    def posted(conversation_id: int, conversation: Conversation, message_id: str) -> list[dict[str, Any]]:
        return blocks_before(database.reader, database.secret, conversation_id, conversation, message_id)

    return posted
