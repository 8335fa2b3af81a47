"""What waits in each stream, known without asking the outbox again and again.

Memory is complete for every stream but those with a backlog: from before the start, or touched by anything
but the lane's own commit (a retry, a change of control, an operator). Those are read from the outbox until
it shows nothing; the outbox stays the truth.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from typing import Any

from omnibridge.storage import outbox
from omnibridge.storage.outbox import Delivery

StreamKey = tuple[int, str]
"""(conversation id, stream)"""

LONGEST = 64
"""Rows of a stream kept in memory; a longer queue is read from the outbox as it drains."""


class Queues:
    """Rows by stream, lowest first."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader
        self._rows: dict[StreamKey, deque[Delivery]] = {}
        self._backlog: set[StreamKey] = set()
        self._committing: Counter[StreamKey] = Counter()

    def announce(self, rows: Sequence[Delivery]) -> None:
        """They are about to be committed: until then a backlog is not over, whatever the outbox shows."""
        for row in rows:
            self._committing[row.conversation_id, row.stream] += 1

    def committed(self, rows: Sequence[Delivery], *, keep: bool) -> list[StreamKey]:
        """They are in the outbox. keep: nothing is being sent yet when False. Returns the streams to ring."""
        keys = self._count_down(rows)
        if not keep:
            return []
        for row in rows:
            key = (row.conversation_id, row.stream)
            if key not in self._backlog:
                queue = self._rows.setdefault(key, deque())
                queue.append(row)
                if len(queue) > LONGEST:
                    self.forget(key)
        return keys

    def failed(self, rows: Sequence[Delivery]) -> list[StreamKey]:
        """Whether they are in the outbox is not known. Returns the streams to ring."""
        keys = self._count_down(rows)
        for key in keys:
            self.forget(key)
        return keys

    def head(self, key: StreamKey, after: int) -> Delivery | None:
        """The next row of a stream. after: rows up to this id are settled, though the outbox may not show it yet."""
        if key in self._backlog:
            row = outbox.next_due(self._reader, *key, after=after)
            if row is not None or key in self._committing:
                return row
            self._backlog.discard(key)
        queue = self._rows.get(key)
        return queue[0] if queue else None

    def drop(self, key: StreamKey, row: Delivery) -> None:
        """A row is settled."""
        queue = self._rows.get(key)
        if queue and queue[0].id == row.id:
            queue.popleft()
            if not queue:
                del self._rows[key]

    def reread(self, key: StreamKey, row: Delivery) -> Delivery | None:
        """A row as the outbox has it now: None when it, and all behind it, is settled."""
        self.forget(key)
        return outbox.next_due(self._reader, *key, after=row.id - 1)

    def forget(self, key: StreamKey) -> None:
        """Memory may be wrong about this stream: read the outbox."""
        self._rows.pop(key, None)
        self._backlog.add(key)

    def _count_down(self, rows: Sequence[Delivery]) -> list[StreamKey]:
        keys = list(dict.fromkeys((row.conversation_id, row.stream) for row in rows))
        for row in rows:
            key = (row.conversation_id, row.stream)
            self._committing[key] -= 1
            if not self._committing[key]:
                del self._committing[key]
        return keys
