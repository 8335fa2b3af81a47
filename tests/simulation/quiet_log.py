"""Logs of a history: what may never be logged is a problem, the rest is dropped."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog

from tests.simulation.world import World

NEVER = ("observation_quarantined",)
NEVER_WITH_A_GOOD_DISK = ("drain_failed", "settle_failed", "reconciler_failed", "intake_failed")


@contextmanager
def collected_log(world: World) -> Iterator[None]:
    def collect(_: Any, __: str, event: MutableMapping[str, Any]) -> Any:
        never = NEVER if world.disk.has_failed else NEVER + NEVER_WITH_A_GOOD_DISK
        if event.get("event") in never and world.life and not world.life.dead:
            world.problems.append(f"{event['event']}: {event}")
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[collect], cache_logger_on_first_use=False)
    try:
        yield
    finally:
        structlog.configure(**before)
