"""Every error of ours, as a tree.

OmnibridgeError
├─ ConfigError               a setting is missing or wrong           -> refuse to start, exit 2
├─ IntakeError               an inbound request that we do not take  -> its HTTP status, problem+json
├─ RuleInvalid               rules text; carries line and reason     -> refuse to activate
├─ DeliveryError             an outbox row could not be settled
│  ├─ DeliveryRetryable      certainly not processed: try again later
│  ├─ DeliveryUncertain      may have been processed: read back first
│  └─ DeliveryRejected       never going to work: bury and tell the operator
└─ StorageError
   ├─ ConcurrentUpdate       someone saved first: load and decide again
   └─ EventExists            the event was derived before: look before deciding

A docstring is the default message.
"""

from __future__ import annotations


class OmnibridgeError(Exception):
    """Something went wrong in omnibridge."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or type(self).__doc__)


class ConfigError(OmnibridgeError):
    """The configuration cannot be used. Acts: operator."""

    def __init__(self, problems: list[str] | str) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class IntakeError(OmnibridgeError):
    """The request is not taken. Acts: caller."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(f"{title}: {detail}")
        self.status, self.title, self.detail = status, title, detail


class RuleInvalid(OmnibridgeError):
    """The rules text cannot be read. Acts: who wrote the rules."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class DeliveryError(OmnibridgeError):
    """A delivery could not be settled."""

    def __init__(self, message: str | None = None, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code or type(self).__name__


class DeliveryRetryable(DeliveryError):
    """Not processed by the other side; sending again is safe. Acts: retry loop.

    answered: the other side did, so it is up: no reason to leave it alone. nobody: nobody is there to hear it, which is
    not waited for once the conversation is closed.
    """

    def __init__(
        self,
        message: str | None = None,
        *,
        code: str = "",
        retry_after_s: float | None = None,
        answered: bool = False,
        nobody: bool = False,
    ) -> None:
        super().__init__(message, code=code)
        self.retry_after_s, self.answered, self.nobody = retry_after_s, answered, nobody


class DeliveryUncertain(DeliveryError):
    """The other side may have processed it; read back before sending again. Acts: retry loop."""


class DeliveryRejected(DeliveryError):
    """The other side will never take this. Acts: operator."""


class StorageError(OmnibridgeError):
    """The database did not do what was asked."""


class ConcurrentUpdate(StorageError):
    """Another writer saved this conversation first; load it and decide again."""


class EventExists(StorageError):
    """An event of this key was derived before; look up what is known, and decide again."""
