"""What can go wrong with a call -> what may be done about it, by table. Source: reference 3.6.

The library's exceptions hold the whole URL, with SOQL and so with people's data, and the body. Of them only status,
errorCode and the object's name are kept; nothing here has them as cause or context.
"""

from __future__ import annotations

import random
import re
from typing import Any, Literal, NamedTuple

from omnibridge.connector import DeliveryError, DeliveryRejected, DeliveryRetryable, DeliveryUncertain

Kind = Literal["lock", "limit", "busy", "uncertain", "not-sent", "session", "login", "duplicate", "taken", "missing",
               "several", "refused", "closed"]  # fmt: skip

KINDS: dict[str, Kind] = {
    "UNABLE_TO_LOCK_ROW": "lock",
    "REQUEST_LIMIT_EXCEEDED": "limit",
    "TXN_SECURITY_METERING_ERROR": "limit",
    "SERVER_UNAVAILABLE": "busy",
    "QUERY_TIMEOUT": "busy",
    "API_CURRENTLY_DISABLED": "closed",
    "API_DISABLED_FOR_ORG": "closed",
    "INVALID_SESSION_ID": "session",
    "INVALID_AUTH_HEADER": "session",
    "DUPLICATES_DETECTED": "duplicate",
    "DUPLICATE_VALUE": "taken",
    "ENTITY_IS_DELETED": "missing",
    "NOT_FOUND": "missing",
    "UNKNOWN_EXCEPTION": "uncertain",
}
"""By errorCode; else by status."""

WHAT_TO_DO = {
    "INVALID_FIELD": "a field is not there, or the integration user may not see it: correct the mapping or its rights",
    "REQUIRED_FIELD_MISSING": "a required field is empty: give it a default in the mapping",
    "STRING_TOO_LONG": "a value is too long: give it max in the mapping",
    "FIELD_CUSTOM_VALIDATION_EXCEPTION": "a validation rule of the org refused it: satisfy it in the mapping",
    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST": "a value is not in the picklist: correct the mapping",
    "INVALID_EMAIL_ADDRESS": 'an e-mail address is none: use as = "email"',
    "INSUFFICIENT_ACCESS": "the integration user lacks a right",
    "INSUFFICIENT_ACCESS_OR_READONLY": "the integration user lacks a right, or the record is read-only",
    "INVALID_CROSS_REFERENCE_KEY": "a record that is referred to is gone, or not to be seen",
    "NOT_FOUND": "a record is gone; or key_field is no external id of the object, or the user may not see it",
    "DUPLICATE_VALUE": "another record has the value of a unique field: correct the mapping, or the record",
    "INVALID_TYPE": "there is no such object, or the integration user may not see it",
    "MALFORMED_QUERY": "a name of the mapping is not one of the org's",
}

LIMIT_PAUSE_S = 60.0
CLOSED_PAUSE_S = 300.0
LOCK_PAUSE_S = (0.2, 2.0)

_jitter = random.SystemRandom()
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,79}")


FINAL: tuple[Kind, ...] = ("duplicate", "taken", "missing", "several", "refused")
"""Would be answered in the same way again."""


class Match(NamedTuple):
    """A record that one might be a duplicate of. object: '' = not told."""

    object: str
    id: str


class Trouble(Exception):
    """One failed call. matches: records that it might be a duplicate of. fields: whose values were refused, and
    longest, what they take, where it is told. pause_s: when to try again, where it is known."""

    def __init__(
        self,
        kind: Kind,
        code: str,
        name: str = "",
        status: int = 0,
        matches: tuple[Match, ...] = (),
        pause_s: float = 0.0,
        fields: tuple[str, ...] = (),
        longest: int = 0,
    ) -> None:
        super().__init__(f"{name or 'a call'} failed: {code}" + (f" (HTTP {status})" if status else ""))
        self.kind, self.code, self.name, self.status, self.pause_s = kind, code, name, status, pause_s
        self.matches, self.fields, self.longest = matches, fields, longest

    @property
    def is_final(self) -> bool:
        """Whether a repeat is of no use until somebody has changed something."""
        return self.kind in FINAL

    @property
    def is_gone(self) -> bool:
        """Whether a record that we know is perhaps not there any more."""
        return self.kind == "missing" or self.code == "INVALID_CROSS_REFERENCE_KEY"

    def as_delivery(self) -> DeliveryError:
        """For the outbox."""
        code, text = self.code.lower().replace("_", "-")[:60], str(self)
        match self.kind:
            case "lock":
                pause = _jitter.uniform(*LOCK_PAUSE_S)
                return DeliveryRetryable(f"{text}: somebody else has the record", code=code, retry_after_s=pause)
            case "limit" | "login" | "closed":
                pause = self.pause_s or (CLOSED_PAUSE_S if self.kind == "closed" else LIMIT_PAUSE_S)
                return DeliveryRetryable(text, code=code, retry_after_s=pause + _jitter.uniform(0, 2))
            case "busy" | "session" | "not-sent":
                return DeliveryRetryable(text, code=code, retry_after_s=self.pause_s or None)
            case "uncertain":
                return DeliveryUncertain(text, code=code)
        what = WHAT_TO_DO.get(self.code, "see the mapping, the rights of the integration user, and the org's rules")
        return DeliveryRejected(f"{text}: {what}", code=code)


def from_exception(exc: Exception, name: str) -> Trouble:
    """Any exception of the library, of requests, or a defect of the library on a strange body (reference 3.2)."""
    from requests import exceptions as net
    from simple_salesforce.exceptions import SalesforceError

    if isinstance(exc, Trouble):
        return exc
    if isinstance(exc, SalesforceError):
        return from_answer(int(exc.status), exc.content, name)
    if isinstance(exc, net.ConnectTimeout | net.InvalidURL | net.InvalidSchema | net.ProxyError | net.SSLError):
        return Trouble("not-sent", _code(exc), name)
    if isinstance(exc, net.ConnectionError):
        refused = "NewConnectionError" in repr(exc) or "NameResolutionError" in repr(exc)
        return Trouble("not-sent" if refused else "uncertain", "cannot-be-reached" if refused else "cut-off", name)
    if isinstance(exc, net.RequestException):
        return Trouble("uncertain", _code(exc), name)
    if isinstance(exc, KeyError | ValueError | RecursionError | IndexError | TypeError):
        return Trouble("uncertain", "strange-answer", name)
    return Trouble("uncertain", _code(exc), name)


def from_answer(status: int, content: Any, name: str) -> Trouble:
    """A status that is no success, with its body as decoded, or as text."""
    first = content[0] if isinstance(content, list) and content and isinstance(content[0], dict) else {}
    code = str(first.get("errorCode", ""))
    code = code if re.fullmatch(r"[A-Z_]{3,60}", code) else f"HTTP_{status}"
    kind = KINDS.get(code) or _by_status(status)
    matches = _duplicates(first) if kind == "duplicate" else ()
    named = first.get("fields")
    fields = tuple(each for each in named if isinstance(each, str) and _NAME.fullmatch(each)) if named else ()
    found = re.search(r"\(max length=(\d{1,6})\)\s*\Z", str(first.get("message", "")))  # a number, nothing else of it
    return Trouble(kind, code, name, status, matches, fields=fields, longest=int(found.group(1)) if found else 0)


def _by_status(status: int) -> Kind:
    if status == 300:
        return "several"
    if status in (429, 503):
        return "busy"
    if status >= 500:
        return "uncertain"
    return {401: "session", 404: "missing", 410: "missing", 409: "lock", 412: "lock"}.get(status, "refused")  # type: ignore[return-value]


def _duplicates(error: dict[str, Any]) -> tuple[Match, ...]:
    found = []
    try:
        for result in error["duplicateResult"]["matchResults"]:
            for each in result["matchRecords"]:
                own = each["record"].get("attributes") or {}
                name = str(own.get("type") or result.get("entityType") or "")
                found.append(Match(name if _NAME.fullmatch(name) else "", str(each["record"]["Id"])))
    except (KeyError, TypeError, AttributeError):
        return ()
    return tuple(each for each in found if is_id(each.id))


def is_id(text: str) -> bool:
    """15 or 18 letters and digits: anything else would change the address that the library makes of it."""
    return bool(re.fullmatch(r"[A-Za-z0-9]{15}([A-Za-z0-9]{3})?", text))


def _code(exc: Exception) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", type(exc).__name__).lower()
