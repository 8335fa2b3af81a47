"""The names of intents are a bot's own: they must not fill the memory, nor the metrics of the others."""

from __future__ import annotations

from omnibridge.engine.counters import Counters
from omnibridge.engine.losses import LONGEST_INTENT, LONGEST_KIND, MOST_INTENTS, Losses


def test_intents_beyond_the_bound_are_counted_together() -> None:
    counters = Counters()
    losses = Losses(counters)
    for number in range(MOST_INTENTS + 3):
        losses.count("helper", ["table"], f"intent {number}")
    losses.count("helper", ["table"], "intent 0")
    losses.count("helper", ["table"], "")

    assert counters.value("content_losses", "helper", "table") == MOST_INTENTS + 5
    assert counters.value("content_losses", "helper", "table", "intent 0") == 2
    assert counters.value("content_losses", "helper", "table", "other") == 3
    assert counters.value("content_losses", "helper", "table", "") == 1


def test_long_words_are_cut() -> None:
    counters = Counters()
    Losses(counters).count("helper", ["k" * 500], "i" * 500)

    assert counters.value("content_losses", "helper", "k" * LONGEST_KIND, "i" * LONGEST_INTENT) == 1
