"""Settings in, what the companion app of each workspace talks to out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.routing import Route

from omnibridge.clock import Clock
from omnibridge.config import Settings
from omnibridge.connector.signing import read_secrets
from omnibridge.engine.counters import Counters
from omnibridge.engine.faults import Faults
from omnibridge.engine.ids import IdSequence
from omnibridge.engine.lanes import Lanes
from omnibridge.storage.database import Database
from omnibridge.web import assist
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

    def findings(workspace: str, room: str) -> list[dict[str, Any]]:
        return assist.blocks(database.reader, workspace, room, clock.now_ms())

    view = AppViewEndpoint(authentication, database, lanes, counters, findings)
    return [
        Route("/webhooks/rocketchat-app/{workspace}", events),
        Route("/webhooks/rocketchat-app/{workspace}/view", view),
    ]
