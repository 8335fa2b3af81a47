"""Counting of what could not be shown as it was meant, by connection, kind and the bot's intent; bounded."""

from __future__ import annotations

from collections.abc import Iterable

from omnibridge.engine.counters import Counters

MOST_INTENTS = 200
"""Names of intents that are counted by themselves; they are a bot's own words, so there may be any number."""

LONGEST_INTENT = 100
LONGEST_KIND = 40
OTHER = "other"


class Losses:
    """`content_losses` of the metrics. An intent that is not known is empty, one too many is `other`."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._intents: set[tuple[str, str]] = set()

    def count(self, connection: str, kinds: Iterable[str], intent: str) -> None:
        """Once for each kind. Cheap where nothing is lost."""
        for kind in kinds:
            self._counters.add("content_losses", 1, connection, kind[:LONGEST_KIND], self._known(connection, intent))

    def _known(self, connection: str, intent: str) -> str:
        if not intent:
            return ""
        name = intent[:LONGEST_INTENT]
        if (connection, name) not in self._intents:
            if len(self._intents) >= MOST_INTENTS:
                return OTHER
            self._intents.add((connection, name))
        return name
