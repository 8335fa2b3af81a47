"""Questions to external systems who shall serve: one signed POST each, through the outbox.

    {"type": "decision.needed", "workspace", "conversation", "asked", "department", "reason", "excluded", "facts",
     "callback", "within_ms"}
 -> 200 {"external_id": "0055", ...} | 200 {"external_id": null} or 204: nobody | 202 {"ticket", "expires_in_ms"}
    {"type": "decision.cancelled", "workspace", "conversation", "ticket", "external_id", "reason"} -> 2xx

Headers after Standard Webhooks: each attempt of one question has the same `webhook-id`. What can go right a moment
later (no connection, 429, 5xx) is tried again while there is time; any other status is final.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2
import msgspec

from omnibridge.clock import Clock
from omnibridge.connector.signing import signed_headers
from omnibridge.domain import commands as cmd
from omnibridge.domain.agent_events import AssignmentRequested, DecisionFailed, DecisionPending
from omnibridge.domain.conversation import Conversation
from omnibridge.engine.breaker import Breaker
from omnibridge.engine.decisions import agent_of, plain, read_named
from omnibridge.engine.ids import session_id
from omnibridge.engine.retry import decide_retry
from omnibridge.engine.sender import Sender, Sent
from omnibridge.errors import DeliveryError, DeliveryRejected, DeliveryRetryable, DeliveryUncertain
from omnibridge.http import Answer, Client
from omnibridge.routing.facts import NameOf, allowed_facts, known_facts, no_name
from omnibridge.storage.outbox import Delivery

_ask = msgspec.json.Decoder(cmd.AskDecider)
_cancel = msgspec.json.Decoder(cmd.CancelDecision)
_encode = msgspec.json.Encoder().encode

NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)
SHORTEST_S = 0.05
"""Time that an attempt has at least."""

LONGEST_TICKET = 200


@dataclass(frozen=True)
class DeciderLink:
    """One decider as the sender sees it. client: its base_url is the whole address. facts: that it may be told.
    system: whose ids it names when it does not say. public_url: where it reaches us, empty = the path alone."""

    client: Client
    keys: tuple[bytes, ...]
    system: str
    facts: frozenset[str]
    timeout_s: float
    public_url: str = ""
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(64))
    breaker: Breaker = field(default_factory=Breaker)


def callback_path(secret: bytes, conversation_id: int, decider: str) -> str:
    """Where the answer to a ticket goes. The last part is the conversation, found again without a table."""
    return f"/deciders/{decider}/decisions/{session_id(secret, conversation_id, f'decider:{decider}')}"


class DeciderSender(Sender):
    """secret: makes the addresses for answers. A decider that keeps failing is not waited for: its breaker opens."""

    def __init__(
        self, links: Mapping[str, DeciderLink], secret: bytes, clock: Clock, name_of: NameOf = no_name
    ) -> None:
        self._links, self._secret, self._clock, self._name_of = links, secret, clock, name_of

    async def find_arrived(self, row: Delivery, conversation: Conversation) -> Sent | None:
        """A question may be asked twice: its id is the same."""
        return None

    async def send(self, row: Delivery, workspace: str, conversation: Conversation, *, maybe_sent: bool) -> Sent:
        name = row.stream.removeprefix("decider:")
        link = self._links.get(name)
        if link is None:
            raise DeliveryRejected(f"decider {name!r} is not configured any more", code="decider-unknown")
        if row.command == "CancelDecision":
            await self._post(link, row.id, self._cancellation(row, workspace, conversation), link.timeout_s)
            return Sent()
        now = self._clock.now_ms()
        if link.breaker.wait_until(now):
            raise DeliveryRejected("it failed several times in a row and is left alone", code="decider-down")
        # What was written before a stop had no chance yet: it gets the whole time.
        until = row.deadline_at if row.attempts or now < row.deadline_at else now + int(link.timeout_s * 1000)
        left_s = max(SHORTEST_S, min(link.timeout_s, (until - now) / 1000))
        try:
            answer = await self._post(link, row.id, self._question(link, name, row, workspace, conversation), left_s)
        except DeliveryRejected:
            link.breaker.succeeded()  # it answered: it is up
            raise
        except DeliveryError as exc:
            now = self._clock.now_ms()
            link.breaker.failed(now)
            if decide_retry(exc, row.attempts + 1, now, row.deadline_at).at >= row.deadline_at:
                # The visitor is not made to wait for a last attempt, also not in the time of grace after a start.
                raise DeliveryRejected(str(exc), code=exc.code) from exc
            raise
        except asyncio.CancelledError:
            link.breaker.succeeded()
            raise
        link.breaker.succeeded()
        return Sent(_read(name, link.system, answer))

    async def ask_about(self, name: str, question: str, body: dict[str, Any]) -> AssignmentRequested | DecisionFailed:
        """A question that is about no conversation, answered at once. question: its id, the same at each repeat."""
        link = self._links[name]
        if link.breaker.wait_until(self._clock.now_ms()):
            return DecisionFailed(name, "decider-down")
        asked = {"type": "decision.needed", **body, "within_ms": int(link.timeout_s * 1000)}
        try:
            answer = await self._post(link, question, _encode(asked), link.timeout_s)
        except DeliveryError as exc:
            if not isinstance(exc, DeliveryRejected):
                link.breaker.failed(self._clock.now_ms())
            return DecisionFailed(name, exc.code)
        link.breaker.succeeded()
        found = _read(name, link.system, answer)
        return DecisionFailed(name, "no-tickets-here") if isinstance(found, DecisionPending) else found

    def _question(
        self, link: DeciderLink, name: str, row: Delivery, workspace: str, conversation: Conversation
    ) -> bytes:
        wanted = _ask.decode(row.body)
        facts = known_facts(workspace, conversation, self._name_of)
        words = [turn.text for turn in (*conversation.held, *conversation.waiting) if turn.text]
        if words:
            facts["text"] = "\n".join(words)
        return _encode(
            {
                "type": "decision.needed",
                "workspace": workspace,
                "conversation": conversation.room,
                "asked": wanted.asked,
                "department": wanted.department,
                "reason": wanted.reason,
                "excluded": wanted.excluded,
                "facts": allowed_facts(facts, link.facts),
                "callback": link.public_url + callback_path(self._secret, row.conversation_id, name),
                "within_ms": wanted.within_ms,
            }
        )

    def _cancellation(self, row: Delivery, workspace: str, conversation: Conversation) -> bytes:
        told = _cancel.decode(row.body)
        return _encode(
            {
                "type": "decision.cancelled",
                "workspace": workspace,
                "conversation": conversation.room,
                "ticket": told.ticket,
                "external_id": told.external_id,
                "reason": told.reason,
            }
        )

    async def _post(self, link: DeciderLink, question: int | str, body: bytes, limit_s: float) -> Answer:
        """Raises DeliveryError for all but 2xx."""
        signed = signed_headers(link.keys, f"dec_{question}", self._clock.now_ms() // 1000, body)
        headers = {"content-type": "application/json", "user-agent": "omnibridge", **signed}
        try:
            async with asyncio.timeout(limit_s), link.slots:
                answer = await link.client.exchange("POST", "", content=body, headers=headers)
        except NOT_SENT as exc:
            raise DeliveryRetryable(f"cannot be reached ({type(exc).__name__})", code="decider-unreachable") from exc
        except (httpx2.HTTPError, TimeoutError) as exc:
            raise DeliveryUncertain(f"no answer ({type(exc).__name__})", code="decider-timeout") from exc
        if 200 <= answer.status < 300:
            return answer
        code = f"decider-http-{answer.status}"
        if answer.status == 429 or answer.status >= 500:
            pause = _pause_s(answer.headers.get("retry-after", ""), self._clock.now_ms())
            raise DeliveryRetryable(f"it answered {answer.status}", code=code, retry_after_s=pause)
        raise DeliveryRejected(f"it answered {answer.status}", code=code)


def _read(name: str, system: str, answer: Answer) -> AssignmentRequested | DecisionPending | DecisionFailed:
    """What a 2xx says. What cannot be read is a failure of the decider, not ours."""
    if answer.status == 204:
        return DecisionFailed(name, "no-agent")
    try:
        named = read_named(answer.body)
        if answer.status == 202:
            if not 0 < len(named.ticket) <= LONGEST_TICKET:
                raise ValueError(f"202 needs a ticket of 1 to {LONGEST_TICKET} characters")
            return DecisionPending(name, named.ticket, max(0, named.expires_in_ms))
        if not named.external_id:
            return DecisionFailed(name, "no-agent", plain(named.reason, 500))
        return AssignmentRequested(agent_of(named, system), f"decider:{name}", plain(named.cause, 500), name)
    except ValueError as exc:
        return DecisionFailed(name, "unreadable", plain(str(exc), 500))


def _pause_s(text: str, now_ms: int) -> float | None:
    """Of a Retry-After header: seconds, or a date."""
    if text.isascii() and text.isdigit():
        return float(text[:6])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now_ms / 1000)
    except (ValueError, TypeError):
        return None
