"""Which pending observations are ready, and in which order. Pure.

Webhooks of messages written close together overtake each other. A visitor's message is held for at most the
window, then released by its hub time. What an engine tells itself is never held; a session event of the
hub first releases what was said before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from omnibridge.storage.journal import Observation

TsOf = Callable[[Observation], int | None]
"""Hub time (ms) of a visitor message, None for everything else."""


def release(
    rows: Sequence[Observation], ts_of: TsOf, now_ms: int, window_ms: int
) -> tuple[list[Observation], int | None]:
    """rows: pending, oldest first. Returns those to handle now, in order, and when (ms) the rest is due."""
    ready: list[Observation] = []
    held: list[tuple[int, Observation]] = []
    for row in rows:
        ts = ts_of(row)
        if ts is not None:
            held.append((ts, row))
        elif row.source == "webhook" and row.kind != "Message":
            ready += _in_order(held)
            held.clear()
            ready.append(row)
        else:
            ready.append(row)
    due = [ts for ts, row in held if row.received_at + window_ms <= now_ms]
    if due:
        newest = max(due)
        ready += _in_order([each for each in held if each[0] <= newest])
        held = [each for each in held if each[0] > newest]
    wake = min((row.received_at + window_ms for _, row in held), default=None)
    return ready, wake


def _in_order(held: Sequence[tuple[int, Observation]]) -> list[Observation]:
    return [row for _, row in sorted(held, key=lambda each: (each[0], each[1].id))]
