"""`/api/v1/conversations/{id}/assignment`: an external system says who serves (POST), and looks what came of it (GET).

    POST {"external_system": "crm", "external_id": "0055", "name": ..., "cause": ...}
    Authorization: Bearer TOKEN, of `omnibridge tokens create`; Idempotency-Key: a word of the caller's, optional
 -> 202 {"id", "conversation", "status": "accepted"}: durable; carried out right after

The journal is the memory of keys: one observation per (token, key), whatever happens. The same key with the same
body gets the same answer; with another body, 422. It is kept as long as observations are ([retention]).
"""

from __future__ import annotations

import asyncio

import msgspec
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from omnibridge.clock import Clock
from omnibridge.domain.conversation import Conversation
from omnibridge.engine.counters import Counters
from omnibridge.engine.decisions import PUSHED, agent_of, read_named
from omnibridge.engine.faults import Faults
from omnibridge.engine.ids import IdSequence
from omnibridge.engine.lanes import Lanes
from omnibridge.errors import IntakeError
from omnibridge.storage import conversations, journal
from omnibridge.storage.api_tokens import ApiToken
from omnibridge.storage.database import Database
from omnibridge.storage.journal import Observation
from omnibridge.web.callers import Callers
from omnibridge.web.webhooks import Once, check_json, commit, read_body

KINDS = (
    "AssignmentRequested",
    "DecisionPending",
    "DecisionFailed",
    "AgentEnsured",
    "AgentNotEnsured",
    "MoveSucceeded",
    "MoveFailed",
    "TimerFired",
)
"""Events whose decisions say what came of an assignment."""

LONGEST_KEY = 200
_encode = msgspec.json.Encoder().encode


class AssignmentEndpoint:
    """Each request with a token leaves an audit row, also one that is refused; one without is only counted."""

    def __init__(
        self,
        database: Database,
        lanes: Lanes,
        ids: IdSequence,
        clock: Clock,
        counters: Counters,
        faults: Faults,
        timeout_s: float,
    ) -> None:
        self._database, self._lanes, self._ids, self._clock = database, lanes, ids, clock
        self._counters, self._faults, self._timeout_s = counters, faults, timeout_s
        self._callers = Callers(database, ids, clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = Once(send, self._counters)
        token: ApiToken | None = None
        room = str(scope["path_params"]["conversation"])
        try:
            token = self._callers.authenticate(scope)
            if scope["method"] == "GET":
                body, status = self._look(token, room), 200
            elif scope["method"] == "POST":
                body, status = await self._push(token, room, scope, receive, answer), 202
            else:
                raise IntakeError(405, "Method not allowed", "POST says who serves, GET shows what came of it.")
        except IntakeError as exc:
            if token is not None:
                await self._callers.audit(token, f"assignment {scope['method']}", room, exc.status, exc.title)
            await answer.refuse(exc)
            return
        if not answer.is_given:
            if status == 202:
                self._faults.reach("decision_to_answer")
            headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    def _conversation(self, token: ApiToken, room: str) -> tuple[int, Conversation]:
        found = conversations.load(self._database.reader, token.workspace, room)
        known = self._lanes.conversation(found[0]) if found else None
        if found is None or known is None:
            raise IntakeError(
                404,
                "Unknown conversation",
                "Use the room id of a conversation that this service has seen, in the token's workspace.",
            )
        return found[0], known[1]

    async def _push(self, token: ApiToken, room: str, scope: Scope, receive: Receive, answer: Once) -> bytes:
        self._callers.needs(token, "assign")
        body = await read_body(scope, receive)
        check_json(body)
        try:
            agent = agent_of(read_named(body), "")
        except ValueError as exc:
            raise IntakeError(422, "Not an assignment", f"{exc}.") from None
        if agent.system != token.system:
            raise IntakeError(403, "Not allowed", f"This token may name agents of {token.system!r} only.")
        dedupe = self._dedupe(token, scope)
        before = journal.by_dedupe(self._database.reader, dedupe) if dedupe else None
        if before is None:
            _, conversation = self._conversation(token, room)
            if conversation.closed:
                raise IntakeError(409, "Closed", "The conversation is over: nobody can serve it any more.")
            now = self._clock.now_ms()
            row = Observation(self._ids.next(), token.workspace, room, PUSHED, token.name, now, body, dedupe)
            detail = f"{agent.system}:{agent.id}"
            await asyncio.gather(
                commit(self._lanes, row, self._timeout_s, answer),
                self._callers.audit(token, "assignment POST", room, 202, detail),
            )
            before = journal.by_dedupe(self._database.reader, dedupe) if dedupe else None
            before = before or (row.id, room, body)
        identity, known_room, known_body = before
        if (known_room, known_body) != (room, body):
            raise IntakeError(
                422, "Key used before", "This Idempotency-Key came with another request; take a new key for a new one."
            )
        return _encode({"id": str(identity), "conversation": room, "status": "accepted"})

    def _dedupe(self, token: ApiToken, scope: Scope) -> str | None:
        key = Headers(scope=scope).get("idempotency-key")
        if key is None:
            return None
        if not 0 < len(key) <= LONGEST_KEY or not key.isascii() or not key.isprintable():
            raise IntakeError(400, "Bad Idempotency-Key", f"1 to {LONGEST_KEY} printable ASCII characters.")
        return f"push:{token.id}:{key}"

    def _look(self, token: ApiToken, room: str) -> bytes:
        if not token.may("assign"):
            self._callers.needs(token, "read")
        identity, conversation = self._conversation(token, room)
        assignment, server = conversation.assignment, conversation.served_by
        agent = assignment.agent if assignment.agent and assignment.agent.system == token.system else None
        reason, at = journal.last_reason(self._database.reader, identity, KINDS)
        return _encode(
            {
                "conversation": room,
                "closed": conversation.closed,
                "control": conversation.control.party,
                "served_by": (server.username or server.id) if server else None,
                "stage": assignment.stage,
                "external_system": agent.system if agent else None,
                "external_id": agent.id if agent else None,
                "by": assignment.by,
                "reason": reason,
                "at": at,
            }
        )
