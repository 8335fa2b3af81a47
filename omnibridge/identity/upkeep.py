"""What has to be done from time to time, as long as the service runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from omnibridge.identity.presence import Presence
from omnibridge.identity.service import Identity

LOOK_AGAIN_S = 2.0
TIDY_S = 600.0

_log = structlog.get_logger("omnibridge.identity")


async def keep(identity: Identity, presence: Presence, presence_every_s: float) -> None:
    """Until cancelled. The first round is at once: the process before may have died."""
    work = [_every(TIDY_S, identity.tidy), _every(LOOK_AGAIN_S, identity.look_again)]
    if presence_every_s:
        work.append(_every(presence_every_s, presence.look))
    await asyncio.gather(*work)


async def _every(pause_s: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    while True:
        try:
            await work()
        except Exception:  # a defect in one round must not end the others
            _log.exception("agents_upkeep_failed", work=work.__name__)
        await asyncio.sleep(pause_s)
