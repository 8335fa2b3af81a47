"""Connectors that are no party of a conversation: systems of records, and routing of other systems."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, Protocol, TypeVar

import structlog

from omnibridge.clock import Clock
from omnibridge.connector import ConnectorContext
from omnibridge.engine.counters import Counters
from omnibridge.errors import DeliveryError
from omnibridge.http import create_client


class _Named(Protocol):
    @property
    def name(self) -> str: ...


class _Checked(Protocol):
    async def check(self) -> str: ...
    async def aclose(self) -> None: ...


E = TypeVar("E", bound=_Named)


def context_of(table: str, name: str, options: Any, clock: Clock, counters: Counters) -> ConnectorContext:
    """table: `crm` or `router`."""
    return ConnectorContext(
        name=name,
        settings=options,
        clock=clock,
        create_client=create_client,
        count=lambda what, n: counters.add("connector", n, name, what),
        log=partial(structlog.get_logger(f"omnibridge.{table}.{name}").info),
    )


async def ask_each(table: str, entries: Iterable[E], make: Callable[[E], Awaitable[_Checked]]) -> list[dict[str, Any]]:
    """Of every one whether it answers: `{table, "ok", "text"}`. Raises ConfigError."""
    found = []
    for each in entries:
        connector = await make(each)
        try:
            found.append({table: each.name, "ok": True, "text": await connector.check()})
        except DeliveryError as exc:
            found.append({table: each.name, "ok": False, "text": str(exc)})
        finally:
            await connector.aclose()
    return found
