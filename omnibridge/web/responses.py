"""POST from a bot to the response_url of something that was used: journalled, then 200, decided in the lane.

The address is the permission: signed for one message, block and action, until it expires (`interaction/response_url`).
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from omnibridge.clock import Clock
from omnibridge.engine.counters import Counters
from omnibridge.engine.ids import IdSequence
from omnibridge.engine.lanes import Lanes
from omnibridge.engine.responses import RESPONSE, Posted, Responses, named_elsewhere
from omnibridge.errors import DeliveryError, IntakeError
from omnibridge.interaction.response_url import Expired, NotValid, ResponseUrls, Target
from omnibridge.storage import conversations, journal
from omnibridge.storage.journal import Observation
from omnibridge.web.webhooks import Once, check_json, commit, read_body, send_ok

LARGEST = 1 << 20
_encode = msgspec.json.Encoder().encode


class ResponseEndpoint:
    """A body that comes again to one address, or another under the same `webhook-id`, is answered 200 and not said."""

    def __init__(
        self,
        urls: ResponseUrls,
        responses: Responses,
        reader: Any,
        lanes: Lanes,
        ids: IdSequence,
        clock: Clock,
        counters: Counters,
        commit_timeout_s: float,
    ) -> None:
        self._urls, self._responses, self._reader, self._lanes = urls, responses, reader, lanes
        self._ids, self._clock, self._counters, self._commit_timeout_s = ids, clock, counters, commit_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = Once(send, self._counters)
        try:
            outcome = await self._take(scope, receive, answer)
        except IntakeError as exc:
            self._counters.add("responses", 1, str(exc.status))
            await answer.refuse(exc)
            return
        self._counters.add("responses", 1, outcome)
        if not answer.is_given:
            await send_ok(send)

    async def _take(self, scope: Scope, receive: Receive, answer: Once) -> str:
        if scope["method"] != "POST":
            raise IntakeError(405, "Method not allowed", "An answer to a click is sent as POST.")
        token = str(scope["path_params"]["token"])
        target = self._target(token)
        body = await read_body(scope, receive)
        if len(body) > LARGEST:
            raise IntakeError(413, "Too large", "An answer may have 1 MB at most.")
        check_json(body)
        posted = Posted(target.message, target.block, target.thread, msgspec.Raw(body))
        elsewhere = named_elsewhere(body, posted, target.room)
        if elsewhere:
            raise IntakeError(403, "Another message", f"This address is not for what {elsewhere} names; leave it out.")
        given = Headers(scope=scope).get("webhook-id", "")[:200]
        once = sha256(f"{token}\n{given or sha256(body).hexdigest()}".encode()).hexdigest()
        dedupe = f"response:{once}"
        if journal.by_dedupe(self._reader, dedupe) is not None:
            return "repeated"
        self._check_control(target)
        try:
            self._responses.event(target.connection, posted)
        except (ValueError, DeliveryError) as exc:
            raise IntakeError(422, "Not an answer", f"{exc}.") from None
        now, stored = self._clock.now_ms(), _encode(posted)
        row = Observation(
            self._ids.next(), target.workspace, target.room, RESPONSE, target.connection, now, stored, dedupe
        )
        await commit(self._lanes, row, self._commit_timeout_s, answer)
        return "taken"

    def _target(self, token: str) -> Target:
        try:
            return self._urls.read(token, self._clock.now_ms() / 1000)
        except NotValid:
            raise IntakeError(
                403, "Not valid", "Use the response_url as it came: it is signed, and works for one message alone."
            ) from None
        except Expired:
            raise IntakeError(
                403, "Expired", f"A response_url works for {self._urls.ttl_s:g} s: [interactions] response_url_s."
            ) from None

    def _check_control(self, target: Target) -> None:
        """The lane decides it again: this is for telling the bot at once."""
        stored = conversations.load(self._reader, target.workspace, target.room)
        known = self._lanes.conversation(stored[0]) if stored else None
        if known is None:
            raise IntakeError(409, "No conversation", "The conversation is not kept any more.")
        state = known[1]
        has_control = state.control.connection == target.connection
        gives_way = state.handover.stage != "idle" and state.handover.from_connection == target.connection
        if state.closed or not (has_control or gives_way):
            raise IntakeError(409, "Not in control", "The conversation is closed, or somebody else serves it now.")
