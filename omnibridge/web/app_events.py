"""POST from the companion app: journalled raw, then 200; and what its bar shows of a conversation.

Signed after Standard Webhooks with the workspace's `app_secret`. The app sends an event again until it has its
200, under the same `webhook-id`, which is the dedupe key: whatever came before is answered 200 and nothing follows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from omnibridge.clock import Clock
from omnibridge.domain.conversation import Conversation
from omnibridge.engine.counters import Counters
from omnibridge.engine.faults import Faults
from omnibridge.engine.ids import IdSequence
from omnibridge.engine.interpreter import APP
from omnibridge.engine.lanes import Lanes
from omnibridge.errors import IntakeError
from omnibridge.rocketchat.app_events import DROPPED, peek_app
from omnibridge.storage import conversations, journal
from omnibridge.storage.database import Database
from omnibridge.storage.journal import Observation
from omnibridge.web.signed import check_signed
from omnibridge.web.webhooks import Once, check_json, commit, read_body, send_json, send_ok

TOLD = (
    "ConversationStarted",
    "AgentAssigned",
    "AgentUnassigned",
    "ConversationTransferred",
    "AssignmentRequested",
    "MoveSucceeded",
    "MoveFailed",
    "ConversationClosed",
)
"""Events whose decisions say why a conversation is where it is."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class AppAuthentication:
    """keys: workspace -> those that its app may sign with; a workspace without an app is not in it."""

    def __init__(self, keys: Mapping[str, tuple[bytes, ...]], clock: Clock) -> None:
        self._keys, self._clock = keys, clock

    async def read(self, scope: Scope, receive: Receive) -> tuple[str, str, bytes]:
        """(workspace, webhook-id, body) of a signed request. Raises IntakeError."""
        if scope["method"] != "POST":
            raise IntakeError(405, "Method not allowed", "The companion app sends as POST.")
        workspace = str(scope["path_params"]["workspace"])
        keys = self._keys.get(workspace)
        if keys is None:
            raise IntakeError(404, "Unknown workspace", "Set app_secret of the [[workspace]] of this name.")
        body = await read_body(scope, receive)
        request_id = check_signed(keys, scope, body, self._clock)
        check_json(body)
        return workspace, request_id, body


class AppEndpoint:
    """dropped: told the workspace when its app gave events up."""

    def __init__(
        self,
        authentication: AppAuthentication,
        reader: Any,
        lanes: Lanes,
        ids: IdSequence,
        clock: Clock,
        counters: Counters,
        faults: Faults,
        commit_timeout_s: float,
        dropped: Callable[[str], None],
    ) -> None:
        self._authentication, self._reader, self._lanes, self._ids = authentication, reader, lanes, ids
        self._clock, self._counters, self._faults = clock, counters, faults
        self._commit_timeout_s, self._dropped = commit_timeout_s, dropped

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = Once(send, self._counters)
        try:
            workspace, request_id, body = await self._authentication.read(scope, receive)
            await self._take(workspace, request_id, body, answer)
        except IntakeError as exc:
            await answer.refuse(exc)
            return
        if not answer.is_given:
            self._faults.reach("commit_to_200")
            await send_ok(send)

    async def _take(self, workspace: str, request_id: str, body: bytes, answer: Once) -> None:
        dedupe = f"app:{workspace}:{request_id[:200]}"
        if journal.by_dedupe(self._reader, dedupe) is not None:
            self._counters.add("app_events_repeated", 1, workspace)
            return
        kind, room = peek_app(body)
        row = Observation(self._ids.next(), workspace, room, APP, kind, self._clock.now_ms(), body, dedupe)
        await commit(self._lanes, row, self._commit_timeout_s, answer)
        if kind == DROPPED:
            self._counters.add("app_events_dropped", 1, workspace)
            self._dropped(workspace)


class AppViewEndpoint:
    """`{"room": ID}` -> `{"title", "blocks"}` for the bar beside a conversation; 404 for one that we do not know.

    Blocks are UIKit's; words of others are plain text, so nobody can draw with them. findings: (workspace, room) ->
    blocks of what analysers found.
    """

    def __init__(
        self,
        authentication: AppAuthentication,
        database: Database,
        lanes: Lanes,
        counters: Counters,
        findings: Callable[[str, str], list[dict[str, Any]]] = lambda workspace, room: [],
    ) -> None:
        self._authentication, self._database, self._lanes, self._counters = authentication, database, lanes, counters
        self._findings = findings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = Once(send, self._counters)
        try:
            workspace, _, body = await self._authentication.read(scope, receive)
            found = self._view(workspace, body)
        except IntakeError as exc:
            await answer.refuse(exc)
            return
        await send_json(send, found)

    def _view(self, workspace: str, body: bytes) -> dict[str, Any]:
        room = msgspec.json.decode(body).get("room")
        stored = conversations.load(self._database.reader, workspace, room) if isinstance(room, str) else None
        known = self._lanes.conversation(stored[0]) if stored else None
        if stored is None or known is None:
            raise IntakeError(404, "Unknown conversation", "This service has not heard of that room yet.")
        reason, _ = journal.last_reason(self._database.reader, stored[0], TOLD)
        return {"title": "omnibridge", "blocks": [*blocks_of(known[1], reason), *self._findings(workspace, room)]}


def blocks_of(state: Conversation, reason: str) -> list[dict[str, Any]]:
    """What people beside a conversation want to know of it. reason: of the last decision."""
    server = state.served_by
    rows = {
        "In control": "closed" if state.closed else state.control.connection or state.control.party,
        "Served by": (server.username or server.id) if server else "nobody",
        "Last decision": reason or "none yet",
    }
    fields = [_plain(f"{name}: {value}") for name, value in rows.items()]
    return [{"type": "section", "text": each} for each in fields]


def _plain(text: str) -> dict[str, str]:
    return {"type": "plain_text", "text": _CONTROL.sub(" ", text)[:500]}
