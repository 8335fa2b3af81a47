"""Who takes a piece of work that waits in another system, chosen from whom it shows. Pure, and says why of each.

Least busy first, then who has been idle for longest. Whoever declined this work is left out; when that leaves nobody,
only the last one who did. A preferred agent goes before all others, or is the only one, where the work says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

import msgspec

from omnibridge.connector.routing import Candidate, Work


class Looked(msgspec.Struct, frozen=True, omit_defaults=True):
    """One candidate and what was found. idle_s: -1 = not known."""

    agent: str
    name: str
    is_taken: bool
    why: str
    load: float = 0.0
    free: float = 0.0
    idle_s: int = -1


class Choice(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is written down of a decision. by: `least busy`, or `decider:NAME`. agent: '' = nobody can take it."""

    by: str
    agent: str
    reason: str
    work: Mapping[str, object] = {}
    candidates: tuple[Looked, ...] = ()


def choose(
    work: Work,
    staff: Sequence[Candidate],
    known: AbstractSet[str],
    given: Mapping[str, float],
    last_given: Mapping[str, int],
    refused: AbstractSet[str],
    now_ms: int,
) -> Choice:
    """known: agents of the directory. given: weight that others of this round take. last_given: when he got something
    of us, ms. refused: whom the system did not take for this serial."""
    declined = [each.agent for each in work.pushes if each.is_declined]
    last = declined[-1] if declined else ""
    looked: list[tuple[Candidate, str]] = []
    for each in staff:
        free = each.free - given.get(each.id, 0.0)
        if each.why_not:
            why = each.why_not
        elif each.channels is not None and work.channel not in each.channels:
            why = "he does not take this sort of work now"
        elif work.is_his and each.id != work.preferred:
            why = "it is for another one alone"
        elif each.id not in known:
            why = "no agent of the directory"
        elif each.id in refused:
            why = "the system did not take him for it"
        elif free < work.weight:
            why = f"no capacity left: {free:g} of the {work.weight:g} that it takes"
        elif each.id == last:
            why = "he declined it last"
        else:
            why = "he declined it" if each.id in declined else ""
        looked.append((each, why))
    able = [each for each, why in looked if not why]
    again = "" if able else "he declined it"
    able = able or [each for each, why in looked if why == again]

    def order(each: Candidate) -> tuple[bool, float, int, str]:
        idle_since = max(each.idle_since, last_given.get(each.id, 0))
        return each.id != work.preferred, each.load + given.get(each.id, 0.0), idle_since, each.id

    best = min(able, key=order, default=None)
    reason = _reason(work, best, len(able), bool(again) and best is not None, len(staff))
    candidates = tuple(
        Looked(
            each.id,
            each.name,
            best is not None and each.id == best.id,
            "taken" if best is not None and each.id == best.id else why or _worse(work, each, best),
            each.load + given.get(each.id, 0.0),
            each.free - given.get(each.id, 0.0),
            (now_ms - max(each.idle_since, last_given.get(each.id, 0))) // 1000 if each.idle_since else -1,
        )
        for each, why in looked
    )
    return Choice("least busy", best.id if best else "", reason, work.facts, candidates)


def _reason(work: Work, best: Candidate | None, able: int, is_again: bool, total: int) -> str:
    if best is None:
        return f"nobody of {total} can take it"
    if best.id == work.preferred:
        return "he is preferred for it"
    why = f"the least busy of {able}" if able > 1 else "the only one who can take it"
    return f"{why}; everybody declined it before" if is_again else why


def _worse(work: Work, each: Candidate, best: Candidate | None) -> str:
    if best is not None and best.id == work.preferred:
        return "another one is preferred for it"
    return "busier, or not idle for as long"
