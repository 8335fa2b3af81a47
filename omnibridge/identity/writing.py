"""Units of work with a result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from omnibridge.storage.writer import Writer

T = TypeVar("T")


async def write(writer: Writer, unit: Callable[[Any], T]) -> T:
    """Run a unit and wait until it is durable. Gives what it returned the last time it ran."""
    found: list[T] = []
    await writer.submit(lambda cursor: found.append(unit(cursor)))
    return found[-1]
