"""Which pending observations are ready, and in which order. Pure.

Webhooks of messages written close together overtake each other, and the close overtakes the last words. A visitor's
message and the close are held for at most the window, then released by their hub time. What the engine tells itself is
never held. Another session event of the hub (taken, forwarded) waits for the messages that came before it, whoever
tells of it: it neither passes them nor hurries them. The companion app's own messages are never held: it tells them in
their order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from omnibridge.storage.journal import Observation

TsOf = Callable[[Observation], int | None]
"""Hub time (ms) of a visitor message or of the close, None for everything else."""


def release(
    rows: Sequence[Observation], ts_of: TsOf, now_ms: int, window_ms: int, since: Callable[[Observation], int]
) -> tuple[list[Observation], int | None]:
    """rows: pending, oldest first. since: when a row became visible (ms): its window begins there, because a
    commit may take longer than the window. Returns those to handle now, in order, and when the rest is due."""
    times = {row.id: ts for row in rows if (ts := ts_of(row)) is not None}
    due = [times[row.id] for row in rows if row.id in times and since(row) + window_ms <= now_ms]
    newest = max(due, default=None)
    messages = deque(
        sorted(
            (row for row in rows if newest is not None and times.get(row.id, newest + 1) <= newest),
            key=lambda row: (times[row.id], row.id),
        )
    )
    ready: list[Observation] = []
    is_held = False
    for row in rows:
        ts = times.get(row.id)
        if ts is None:
            if not (is_held and _follows_words(row)):
                ready.append(row)
        elif newest is None or ts > newest:
            is_held = True
        else:
            while messages and times[messages[0].id] <= ts:
                ready.append(messages.popleft())
    handled = {row.id for row in ready}
    wake = min((since(row) + window_ms for row in rows if row.id in times and row.id not in handled), default=None)
    return ready, wake


def _follows_words(row: Observation) -> bool:
    return (row.source == "webhook" and row.kind != "Message") or (
        row.source == "app" and not row.kind.startswith("message.")
    )
