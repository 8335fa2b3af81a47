"""Histories worth keeping: those that rare mutants show in, and those that found a defect of the engine.

See `world.py` for what a seed decides. When engine or simulation change, a history may miss the moment that it is
about: look for another with `make simulation ARGS="--mutant '...'"`.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.simulation.history import Step

History = tuple[Sequence[int], list[Step]]
"""(seeds, steps): one of the seeds is enough, which moves things by milliseconds."""


def _talk(*words: tuple[str, int]) -> list[Step]:
    return [("open", 0, 300), *((name, 0, pause) for name, pause in words)]


NOBODY: list[Step] = [("open", 0, 3000), ("away", 0, 100)]
GAVE_WAY: list[Step] = [*NOBODY, ("burst", 0, 0), ("burst", 0, 0), ("staff", 0, 3000)]

NOTICED: dict[str, History] = {
    # A slow disk and a quick bot: an answer finds the lane busy, the next one finds it idle.
    "answers pass earlier answers": (
        range(25, 300, 30),
        _talk(
            ("say", 30), ("say", 0), ("say", 60), ("say", 30), ("say", 0), ("say", 10), ("twice", 100), ("say", 0),
            ("say", 60), ("say", 100), ("say", 20),
        ),
    ),
    # Posted, then dead before it is settled; the visitor leaves before the next process sends.
    "does not settle what had arrived": (
        range(1, 6),
        [("open", 0, 300), ("die_at", 14, 0), ("say", 0, 0), ("say", 0, 500), ("start", 0, 0), ("leave", 0, 3000)],
    ),
    # An answer hangs, a close waits in the journal behind a message that is held, and the process dies.
    "sends before it has caught up": (
        range(1, 12),
        [
            ("open", 0, 3000), ("hub_fails", 4, 0), ("twice", 0, 400), ("say", 0, 5), ("leave", 0, 80),
            ("crash", 0, 5), ("start", 0, 5000),
        ],
    ),
    # Decided, and the process dies: the hub, which had no answer, repeats it to one without memory.
    "takes every report for new": (
        range(10, 14),
        [("open", 0, 600), ("leave", 0, 160), ("crash", 0, 5), ("start", 0, 5000)],
    ),
    # A commit fails, but is durable.
    "keeps a lane whose commit failed": (
        range(1, 6),
        [("open", 0, 600), ("say", 0, 130), ("disk_fails", 3, 600), ("say", 0, 3000)],
    ),
    # A rule calls people for a visitor whose turns the bot has; nobody is there, and the bot stays.
    "forgets turns of a party that stays": (range(1, 6), GAVE_WAY),
    "drops what was answered meanwhile": (range(1, 6), GAVE_WAY),
    "gives a turn again that the party has": (range(24, 34), [*NOBODY, ("say", 0, 10), ("staff", 0, 3000)]),
    "believes that it was sent": (range(1, 6), [("open", 0, 3000), ("hub_fails", 2, 0), ("say", 0, 3000)]),
}  # fmt: skip
"""Mutant -> a history that notices it, and in which the real engine does nothing wrong."""

FOUND: dict[str, History] = {
    # A lost message; the room goes from who served it to the queue while the lists are read, one after the other.
    "a room returned to the queue during a comparison is not compared": (
        range(4, 60, 4),
        [("open", 0, 200), ("say", 0, 0), ("hub_forgets", 0, 13_360), ("requeue", 0, 3000)],
    ),
    # What the bot had was held when a rule called people, and given again when nobody was there: its answer was lost.
    "a turn is given twice because the bot gave way meanwhile": (range(1, 31), GAVE_WAY),
    # Two answers are posted and the process dies before it has settled either; then the visitor leaves.
    "the second of two words that were said is settled as refused": (
        range(1, 16),
        [("open", 0, 300), ("die_at", 30, 0), ("say", 0, 0), ("say", 0, 500), ("start", 0, 0), ("leave", 0, 3000)],
    ),
    # The database fails while a process begins.
    "a process that met a failing disk at its start never relays": (
        range(1, 4),
        [("open", 0, 0), ("say", 0, 0), ("disk_fails", 1, 3000)],
    ),
    # A backend never answers.
    "the end of a session waits for ever": (range(1, 4), [("open", 0, 300), ("bot_hangs", 0, 0), ("leave", 0, 3000)]),
    # The bot answers, and the commit of its answer fails.
    "a turn of which the answer could not be stored is given again": (
        range(1, 24),
        [("open", 0, 600), ("say", 0, 160), ("disk_fails", 1, 3000)],
    ),
    # A turn is about to be repeated, which is a commit; during that the visitor leaves.
    "a turn is repeated although control changed meanwhile": (
        range(1, 6),
        [("open", 0, 600), ("bot_fails", 2, 0), ("say", 0, 400), ("disk_stalls", 0, 0), ("leave", 0, 3000)],
    ),
    # A commit fails, but is durable: so is the report in it, and nobody rings its lane.
    "what a failed commit stored waits until the next start": (
        range(1, 6),
        [("open", 0, 600), ("disk_fails", 3, 0), ("say", 0, 3000)],
    ),
}
"""Symptom of a defect that is mended -> a history that showed it, before."""
