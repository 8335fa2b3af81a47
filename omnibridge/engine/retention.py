"""Retention: what is old goes, in small chunks that hot writes pass. One task, from time to time.

A chunk takes as many rows as it can in about 2 ms: it is measured, and the next one is made larger or smaller.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from omnibridge.clock import Clock
from omnibridge.engine.counters import Counters
from omnibridge.storage import findings, notes, retention, uploads
from omnibridge.storage.database import Database

_log = structlog.get_logger("omnibridge.retention")

Purge = Callable[[Any, int, int], int]
"""(cursor, before ms, at most so many rows) -> rows taken; 0 = nothing left."""

DAY_MS = 86_400_000
CHUNK_S = 0.002
"""Aim of a chunk: hot writes wait for one that is under way, never for two."""

BOT_UPDATES_DAYS = 1.0
"""As long as the bot API promises to keep them for bots that poll."""

EXPIRED_DAYS = 0.0001
"""Findings have their own end; they go nine seconds after it."""

CHANGES_DAYS = 2.0
"""Longer than findings of an older text may be late."""
BLOBS_DAYS = 3.0
"""An answer is worth posting for minutes; what an operator sends again later is told to be lost."""

SMALLEST, LARGEST = 8, 2_000
REST_S = 0.001
"""Between two chunks: the loop goes on meanwhile."""


@dataclass(frozen=True)
class Terms:
    """How long each kind is kept, in days; 0 = for ever."""

    observations_days: float = 30
    deliveries_days: float = 90
    conversations_days: float = 365
    audit_days: float = 365


class Retention:
    """every_s: pause between two runs."""

    def __init__(self, database: Database, clock: Clock, counters: Counters, terms: Terms, every_s: float) -> None:
        self._database, self._clock, self._counters, self._terms = database, clock, counters, terms
        self._every_s = every_s

    async def run_for_ever(self) -> None:
        """Until cancelled. A run that fails is logged and tried again at the next time."""
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self.run()
            except Exception:
                _log.exception("retention_failed")

    async def run(self) -> dict[str, int]:
        """Purge everything that is due now. Returns rows by kind."""
        began = time.monotonic()
        terms, purged = self._terms, {}
        purges: tuple[tuple[str, float, Purge], ...] = (
            ("observations", terms.observations_days, retention.purge_observations),
            ("deliveries", terms.deliveries_days, retention.purge_deliveries),
            ("conversations", terms.conversations_days, retention.purge_conversations),
            ("api_audit", terms.audit_days, retention.purge_api_audit),
            ("agent_audit", terms.audit_days, retention.purge_agent_audit),
            ("approvals", terms.audit_days, retention.purge_approvals),
            ("bot_updates", BOT_UPDATES_DAYS, retention.purge_bot_updates),
            ("bot_messages", terms.deliveries_days, retention.purge_bot_messages),
            ("notes", terms.conversations_days, notes.purge),
            ("bot_chats", terms.conversations_days, retention.purge_bot_chats),
            ("findings", EXPIRED_DAYS, findings.purge),
            ("message_changes", CHANGES_DAYS, findings.purge_changes),
            ("transcripts", terms.conversations_days, findings.purge_transcripts),
            ("uploads", terms.deliveries_days, uploads.purge_uploads),
            ("blobs", BLOBS_DAYS, uploads.purge_blobs),
        )
        for kind, days, purge in purges:
            purged[kind] = await self._purge(purge, self._clock.now_ms() - int(days * DAY_MS)) if days else 0
            self._counters.add("purged", purged[kind], kind)
        if any(purged.values()):
            _log.info("retention", **purged, seconds=round(time.monotonic() - began, 1))
        return purged

    async def _purge(self, purge: Purge, before_ms: int) -> int:
        total, limit = 0, SMALLEST
        while True:
            took_rows, took_s = 0, 0.0

            def chunk(cursor: Any, limit: int = limit) -> None:
                nonlocal took_rows, took_s
                began = time.perf_counter()
                took_rows = purge(cursor, before_ms, limit)
                took_s = time.perf_counter() - began

            await self._database.writer.submit_bulk(chunk)
            total += took_rows
            if not took_rows:
                return total
            limit = next_limit(limit, took_s)
            await asyncio.sleep(REST_S)


def next_limit(limit: int, took_s: float) -> int:
    """Rows of the next chunk, from what this one took: at most doubled, at most quartered."""
    factor = CHUNK_S / took_s if took_s > 0 else 2.0
    return max(SMALLEST, min(LARGEST, int(limit * max(0.25, min(2.0, factor)))))
