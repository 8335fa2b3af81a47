"""Settings in, what the companion app of each workspace talks to out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from starlette.routing import Route

from omnibridge.clock import Clock
from omnibridge.config import Settings, WorkspaceSettings
from omnibridge.connector.signing import read_secrets, signed_headers
from omnibridge.domain.conversation import Conversation
from omnibridge.engine.counters import Counters
from omnibridge.engine.faults import Faults
from omnibridge.engine.ids import IdSequence
from omnibridge.engine.lanes import Lanes
from omnibridge.engine.shown import shown_as
from omnibridge.engine.updating import Posted
from omnibridge.rocketchat.app_client import AppClient, message_blocks
from omnibridge.storage.database import Database
from omnibridge.web.app_events import AppAuthentication, AppEndpoint, AppViewEndpoint


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
    return [
        Route("/webhooks/rocketchat-app/{workspace}", events),
        Route("/webhooks/rocketchat-app/{workspace}/view", AppViewEndpoint(authentication, database, lanes, counters)),
    ]


def app_client_of(workspace: WorkspaceSettings, clock: Clock) -> AppClient | None:
    """None where there is no app. Close it."""
    secret = workspace.app_secret.reveal()
    return AppClient(workspace.url, partial(signed_headers, read_secrets(secret)), clock) if secret else None


def posted_of(database: Database) -> Posted:
    """The blocks of our messages, from the outbox."""

    def posted(conversation_id: int, conversation: Conversation, message_id: str) -> list[dict[str, Any]]:
        found = shown_as(database.reader, database.secret, conversation_id, conversation, message_id)
        return message_blocks(found.message) if found else []

    return posted
