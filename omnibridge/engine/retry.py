"""Retry is a decision, not an action: (error, attempts, now, deadline) -> what to do next. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from omnibridge.errors import DeliveryError, DeliveryRejected, DeliveryRetryable, DeliveryUncertain

FIRST_PAUSE_MS = 250
LONGEST_PAUSE_MS = 30_000

DEADLINES_MS = {
    "SendToParty": 30_000,
    "SendToVisitor": 600_000,
    "CloseSession": 600_000,
    "EnsureAgent": 30_000,
    "RemoveChoices": 10_000,  # words wait behind it
    "UpdateMessage": 20_000,
    "ObserveMessage": 300_000,
    "HandTranscript": 86_400_000,
    "EraseRecords": 30 * 86_400_000,
}
"""How long each kind is worth sending; others follow the reply's."""


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """retry: send again at `at` ms. resolve: find out what became of it at `at`, then perhaps send.
    bury: give up. `code` names the cause."""

    action: Literal["retry", "resolve", "bury"]
    at: int
    code: str


def decide_retry(error: DeliveryError, attempts: int, now_ms: int, deadline_ms: int) -> RetryDecision:
    """attempts: made so far, this one included (>= 1). The pause doubles from 250 ms to 30 s.

    A pause asked for by the other side is kept, and not made longer where that is not failing. What would come after
    the deadline is buried now.
    """
    if isinstance(error, DeliveryRejected):
        return RetryDecision("bury", now_ms, error.code)
    pause = min(FIRST_PAUSE_MS << min(attempts - 1, 16), LONGEST_PAUSE_MS)
    if isinstance(error, DeliveryRetryable) and error.retry_after_s is not None:
        asked_ms = int(error.retry_after_s * 1000)
        pause = asked_ms if error.answered else max(pause, asked_ms)
    if now_ms + pause > deadline_ms:
        remaining = deadline_ms - now_ms
        if remaining <= 0:
            return RetryDecision("bury", now_ms, error.code)
        pause = remaining  # one last try right at the deadline
    action: Literal["retry", "resolve"] = "resolve" if isinstance(error, DeliveryUncertain) else "retry"
    return RetryDecision(action, now_ms + pause, error.code)
