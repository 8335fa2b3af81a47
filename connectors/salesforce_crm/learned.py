"""Facts that were learned of conversations, so that the org is not asked for them again and again: it counts calls."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

LEARN_S = 600.0
"""So long facts are good while people talk; each time one takes over they are asked for."""
REMEMBERED = 5_000


class Learned:
    """Facts of conversations, for as long as they need not be asked for again while people talk. now: seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._facts: OrderedDict[str, tuple[float, str, dict[str, Any]]] = OrderedDict()

    def of(self, key: str, record_id: str) -> dict[str, Any] | None:
        at, whose, facts = self._facts.get(key, (0.0, "", {}))
        return facts if whose == record_id and self._now() - at < LEARN_S else None

    def put(self, key: str, record_id: str, facts: dict[str, Any]) -> None:
        self._facts[key] = (self._now(), record_id, facts)
        self._facts.move_to_end(key)
        while len(self._facts) > REMEMBERED:
            self._facts.popitem(last=False)
