"""POST from a decider: the answer to a ticket, signed as our question was. Journalled raw, then 200.

A request that was sent before is known by its `webhook-id`: it is answered 200 and nothing follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.types import Receive, Scope, Send

from omnibridge.clock import Clock
from omnibridge.engine.counters import Counters
from omnibridge.engine.decisions import DECIDED, agent_of, read_named
from omnibridge.engine.faults import Faults
from omnibridge.engine.ids import IdSequence, conversation_of
from omnibridge.engine.lanes import Lanes
from omnibridge.errors import IntakeError
from omnibridge.storage import conversations
from omnibridge.storage.journal import Observation
from omnibridge.web.signed import check_signed
from omnibridge.web.webhooks import Once, check_json, commit, read_body, send_ok


class DecisionEndpoint:
    """keys: decider -> those it may sign with. secret: of the addresses that we gave with the questions."""

    def __init__(
        self,
        keys: Mapping[str, tuple[bytes, ...]],
        systems: Mapping[str, str],
        reader: Any,
        secret: bytes,
        lanes: Lanes,
        ids: IdSequence,
        clock: Clock,
        counters: Counters,
        faults: Faults,
        commit_timeout_s: float,
    ) -> None:
        self._keys, self._systems, self._reader, self._secret = keys, systems, reader, secret
        self._lanes, self._ids, self._clock = lanes, ids, clock
        self._counters, self._faults, self._commit_timeout_s = counters, faults, commit_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = Once(send, self._counters)
        try:
            await self._take(scope, receive, answer)
        except IntakeError as exc:
            await answer.refuse(exc)
            return
        if not answer.is_given:
            self._faults.reach("decision_to_answer")
            await send_ok(send)

    async def _take(self, scope: Scope, receive: Receive, answer: Once) -> None:
        if scope["method"] != "POST":
            raise IntakeError(405, "Method not allowed", "A decision is sent as POST.")
        decider = str(scope["path_params"]["decider"])
        keys = self._keys.get(decider)
        if keys is None:
            raise IntakeError(404, "Unknown decider", "Use the name of a [[decider]] of the configuration.")
        body = await read_body(scope, receive)
        request_id = check_signed(keys, scope, body, self._clock)
        check_json(body)
        try:
            named = read_named(body)
            if named.external_id:
                agent_of(named, self._systems[decider])
            if not named.ticket:
                raise ValueError("ticket is missing")
        except ValueError as exc:
            raise IntakeError(422, "Not a decision", f"{exc}.") from None
        conversation = conversation_of(self._secret, str(scope["path_params"]["reference"]), f"decider:{decider}")
        found = conversations.room_of(self._reader, conversation) if conversation is not None else None
        if found is None:
            raise IntakeError(404, "Unknown conversation", "Use the address that came as `callback` in the question.")
        now = self._clock.now_ms()
        row = Observation(
            self._ids.next(), *found, DECIDED, decider, now, body, f"decided:{decider}:{request_id[:200]}"
        )
        await commit(self._lanes, row, self._commit_timeout_s, answer)
