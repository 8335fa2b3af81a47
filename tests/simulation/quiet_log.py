"""Logs of a history: what may never be logged is a problem, the rest is dropped."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog

from tests.simulation.world import World

NEVER = ("drain_failed", "observation_quarantined", "settle_failed", "reconciler_failed", "intake_failed")


@contextmanager
def collected_log(world: World) -> Iterator[None]:
    def collect(_: Any, __: str, event: MutableMapping[str, Any]) -> Any:
        if event.get("event") in NEVER and world.life and not world.life.dead:
            world.problems.append(f"{event['event']}: {event}")
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[collect], cache_logger_on_first_use=False)
    try:
        yield
    finally:
        structlog.configure(**before)
