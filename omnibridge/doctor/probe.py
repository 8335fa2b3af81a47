"""One bounded call to a workspace, and what came of it: an answer, or why there was none. Raises nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from omnibridge.doctor.finding import NETWORK
from omnibridge.doctor.network import Trouble, explain
from omnibridge.errors import DeliveryError
from omnibridge.rocketchat.calls import Answer, Calls, Credentials, encode
from omnibridge.rocketchat.errors import code_of

CALL_S = 3.0
"""For each call; they run side by side, in four waves."""

FORBIDDEN = frozenset({"unauthorized", "forbidden", "error-unauthorized", "error-not-authorized"})


@dataclass(frozen=True)
class Probe:
    """what: method and path. answer: None when there was none; then trouble says why."""

    what: str
    answer: Answer | None = None
    trouble: Trouble | None = None
    took_ms: int = 0

    @property
    def is_ok(self) -> bool:
        return self.answer is not None and self.answer.is_success

    @property
    def status(self) -> int:
        """Of HTTP; 0 without an answer."""
        return self.answer.status if self.answer else 0

    @property
    def code(self) -> str:
        return code_of(self.answer.body) if self.answer else ""

    @property
    def body(self) -> Mapping[str, Any]:
        return self.answer.body if self.answer else {}

    @property
    def is_forbidden(self) -> bool:
        """The account is known and may not do it. Any other refusal of what does not exist means: it may (1.2)."""
        return self.status == 403 or self.code in FORBIDDEN

    def header(self, name: str) -> str:
        return self.answer.headers.get(name, "") if self.answer else ""

    def outcome(self) -> str:
        """`GET me: HTTP 401 (You must be logged in)`, or why there was no answer."""
        if self.trouble:
            return f"{self.what}: {self.trouble.found}"
        return f"{self.what}: HTTP {self.status}" + (f" ({self.code})" if self.code else "")


class Prober:
    """Calls of one workspace. `aclose` when done."""

    def __init__(self, url: str, credentials: Credentials, setting: str) -> None:
        self._url, self._setting = url, setting
        self._calls = Calls(url, credentials, CALL_S, None)

    async def get(self, path: str, query: Mapping[str, str] | None = None, who: Credentials | None = None) -> Probe:
        """GET below /api/v1, or any path that begins with a slash."""
        full = path if path.startswith("/") else f"/api/v1/{path}"
        return await self._exchange("GET", path, full, query=query, as_user=who)

    async def post(self, path: str, body: object) -> Probe:
        return await self._exchange("POST", path, f"/api/v1/{path}", content=encode(body))

    async def aclose(self) -> None:
        await self._calls.aclose()

    async def _exchange(self, method: str, path: str, full: str, **wish: Any) -> Probe:
        what, began = f"{method} {path}", time.monotonic()
        try:
            answer = await self._calls.exchange(method, full, **wish)
        except DeliveryError as exc:
            trouble = explain(exc, self._url, self._setting) or Trouble(
                "cut", NETWORK, str(exc), f"correct {self._setting}"
            )
            return Probe(what, trouble=trouble, took_ms=_ms_since(began))
        return Probe(what, answer, took_ms=_ms_since(began))


def _ms_since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)
