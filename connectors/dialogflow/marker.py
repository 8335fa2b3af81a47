"""Whether a turn of ES was worked on although its answer never came: a context that says which turn was the last.

DetectIntent has no idempotency key, but contexts that go along with a query belong to the session afterwards, and can
be read. So each turn sets a context of ours to its id. After a call that broke, it is read: there it says our id, and
the agent worked on the turn (its answer is lost: nothing has it), or another one, or it is not there.

"Not there" is believed only after `settle_s` from the first look, for the call may still be worked on (a webhook has
5 s); and only when it was seen that such a context can be read here at all. That, and not Google's word, is what it
stands on: when queries set contexts is documented nowhere. CX has nothing that tells a session's state (google-cloud-
dialogflow-cx 2.9.0: MatchIntent shows the page, not the parameters; the history of v3beta1 is for later).
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

from connectors.dialogflow.names import context_name
from omnibridge.connector import DeliveryRejected, DeliveryRetryable, Notes

MARKER = "omnibridge_turn"
LIFESPAN = 5
"""Queries; the next turn sets it anew."""

MOST = 10_000
"""Turns that are asked for at a time."""

Read = Callable[[str], Awaitable[dict[str, Any] | None]]
"""Full name of a context -> its parameters; None = there is none."""


def marker(session: str, delivery_id: str) -> dict[str, Any]:
    """The context that goes along with a turn."""
    name = context_name(session, MARKER)
    return {"name": name, "lifespan_count": LIFESPAN, "parameters": {"delivery_id": delivery_id}}


def is_marker(context: dict[str, Any]) -> bool:
    return str(context.get("name", "")).endswith(f"/contexts/{MARKER}")


def _later(what: str, after_s: float) -> DeliveryRetryable:
    return DeliveryRetryable(what, code="not-known-yet", retry_after_s=after_s, answered=True)


class Markers:
    """Reads them. settle_ms: after the first look, how long a turn may still come to light. notes: when that was, for
    a process that dies now and then would begin to wait anew each time."""

    def __init__(self, settle_ms: int, read: Read, try_out: Callable[[str], Awaitable[str]], notes: Notes) -> None:
        """try_out: sets a marker with this id in a session of its own, and returns that session's path."""
        self._settle_ms, self._read, self._try_out, self._notes = settle_ms, read, try_out, notes
        self._cleared: OrderedDict[str, None] = OrderedDict()
        """Turns that may be given again: that their first look is forgotten is durable by now."""
        self.is_proven = False

    async def was_worked_on(self, session: str, delivery_id: str, now_ms: int) -> bool:
        """Raises DeliveryRetryable when it cannot be known yet, DeliveryRejected when it never can."""
        key = f"{session.rpartition('/')[2]}.look"
        found = await self._marked(session)
        if found == delivery_id:
            self._notes.put(key, b"")
            return True
        self.is_proven = self.is_proven or found is not None
        if delivery_id in self._cleared:
            del self._cleared[delivery_id]
            return False
        since = self._first_look(key, delivery_id)
        if since is None:
            since = now_ms
            self._notes.put(key, f"{now_ms} {delivery_id}".encode())
        left_ms = min(since - now_ms, 0) + self._settle_ms
        if left_ms > 0:
            raise _later("it may still be worked on", left_ms / 1000)
        if not await self.prove():
            raise DeliveryRejected("it cannot be read back here what the agent worked on", code="uncertain")
        # It is given again, and may break again: then what counts is a first look after that. So this one has to be
        # forgotten before, and a note is durable no sooner than with what the engine writes after this attempt.
        self._notes.put(key, b"")
        self._cleared[delivery_id] = None
        while len(self._cleared) > MOST:
            self._cleared.popitem(last=False)
        raise _later("it never arrived, and is about to be given again", 0.0)

    def _first_look(self, key: str, delivery_id: str) -> int | None:
        at, _, whose = (self._notes.get(key) or b"").decode().partition(" ")
        return int(at) if whose == delivery_id and at.isdigit() else None

    async def prove(self) -> bool:
        """Whether markers can be read here, tried once. Raises DeliveryError."""
        if not self.is_proven:
            identity = secrets.token_hex(8)
            self.is_proven = await self._marked(await self._try_out(identity)) == identity
        return self.is_proven

    async def _marked(self, session: str) -> str | None:
        parameters = await self._read(context_name(session, MARKER))
        return None if parameters is None else str(parameters.get("delivery_id", ""))
