"""The verdict of the crash test on ledgers that are wrong in each way: it can fail."""

from __future__ import annotations

from typing import Any

import pytest

from tests.soak.races import CLOSE, TAKEOVER, judge_races
from tests.soak.verdict import GAVE_WAY, judge


def hub(
    *texts: str, posts: tuple[str, ...] = (), ok_at: tuple[int | None, ...] = (), cut: tuple[int, int] = (0, 0)
) -> dict[str, object]:
    """A ledger of one room: the visitor's `echo X`, the bot's posts."""
    messages = [
        {"id": f"v{n}", "text": f"echo {tag}", "kind": "visitor", "seq": n, "ts": 0} for n, tag in enumerate(texts)
    ]
    messages += [{"id": f"b{n}", "text": tag, "kind": "bot", "seq": 100 + n} for n, tag in enumerate(posts)]
    times = ok_at or tuple(range(len(texts)))
    webhooks = [
        {"message": f"v{n}", "attempts": [[0, 200, at, False]] if at is not None else []} for n, at in enumerate(times)
    ]
    if cut[1]:
        webhooks[cut[0]]["attempts"].insert(0, [0, 0, cut[1], False])
    room = {"rid": "r", "messages": messages, "log": []}
    return {"rooms": [room], "webhooks": webhooks, "duplicates_sent": 0, "reordered_sent": 0}


def bot(*tags: str, late: tuple[str, ...] = ()) -> dict[str, object]:
    turns = [
        {"n": n, "message": f"echo {tag}", "outcome": "answered", "late": tag in late} for n, tag in enumerate(tags)
    ]
    return {"turns": turns}


A, B = "c1-m001", "c1-m002"


@pytest.mark.parametrize(
    ("ledgers", "lost", "doubled", "disorder"),
    [
        ((hub(A, B, posts=(A, B)), bot(A, B)), 0, 0, 0),
        ((hub(A, B, posts=(A,)), bot(A, B)), 1, 0, 0),
        ((hub(A, B, posts=(A, B)), bot(A)), 1, 0, 0),
        ((hub(A, posts=(A, A)), bot(A)), 0, 1, 0),
        ((hub(A, posts=(A,)), bot(A, A)), 0, 1, 0),
        ((hub(A, posts=(A, B)), bot(A, B)), 0, 1, 0),
        ((hub(A, B, posts=(B, A)), bot(A, B)), 0, 0, 1),
        ((hub(A, B, posts=(B, A)), bot(B, A)), 0, 0, 1),
        ((hub(A, B, posts=(B, A), ok_at=(900, 100)), bot(B, A, late=(A,))), 0, 0, 0),
        ((hub(A, B, posts=(B, A), ok_at=(900, 100)), bot(B, A)), 0, 0, 1),
        ((hub(A, B, posts=(B, A), ok_at=(150, 100)), bot(B, A, late=(A,))), 0, 0, 1),
        ((hub(A, ok_at=(None,)), bot()), 0, 0, 0),
        # Found after a gap: one turn for both. What is answered 200 is sent, however late.
        ((hub(A, B, posts=(f"{A}\necho {B}",)), bot(f"{A}\necho {B}")), 0, 0, 0),
        ((hub(A, B, posts=(f"{A}\necho {B}", B)), bot(f"{A}\necho {B}", B)), 0, 1, 0),
        ((hub(A, B, posts=(B,), ok_at=(10_001, 1)), bot(B)), 1, 0, 0),
        ((hub(A, B, posts=(A,), ok_at=(1, 10_001)), bot(A)), 1, 0, 0),
        ((hub(A, B, posts=(B, A), ok_at=(None, 1)), bot(B, A, late=(A,))), 0, 0, 0),
        ((hub(A, B, posts=(B, A), ok_at=(900, 899), cut=(1, 100)), bot(B, A, late=(A,))), 0, 0, 0),
        ((hub(A, B, posts=(B, A), ok_at=(900, 899), cut=(0, 100)), bot(B, A, late=(A,))), 0, 0, 1),
    ],
)
def test_verdict_sees_what_is_wrong(ledgers: tuple[dict, dict], lost: int, doubled: int, disorder: int) -> None:  # type: ignore[type-arg]
    found = judge(*ledgers)

    assert (found["lost"], found["doubled"], found["out_of_order"]) == (lost, doubled, disorder)


@pytest.mark.parametrize(
    ("posts", "turns", "people", "lost", "doubled"),
    [
        ((A, GAVE_WAY), (A, B), 1, 0, 0),  # its answer was lost, a person has it
        ((A, GAVE_WAY), (A,), 1, 0, 0),
        ((A, GAVE_WAY), (A,), 0, 1, 0),  # nobody got it
        ((A, GAVE_WAY), (A,), 2, 1, 0),
        ((A,), (A,), 1, 1, 0),  # nothing broke
        ((B, GAVE_WAY), (A, B), 1, 1, 0),  # what was answered comes after it
        ((A, GAVE_WAY), (A, B, B), 1, 0, 1),  # worked on twice
    ],
)
def test_what_people_were_given_is_not_lost(
    posts: tuple[str, ...], turns: tuple[str, ...], people: int, lost: int, doubled: int
) -> None:
    ledger: Any = hub(A, B, posts=posts)
    ledger["rooms"][0]["log"] = [{"what": "assigned", "who": "alice"}] * people
    found = judge(ledger, bot(*turns), gives_up=True)

    assert (found["lost"], found["doubled"]) == (lost, doubled)
    assert judge(ledger, bot(*turns))["lost"] == 1  # of a bot that can tell, each is


def race(kind: str, posts: tuple[tuple[str, int], ...], at: int, turns: tuple[str, ...] = ()) -> dict[str, Any]:
    """What is found in a race: words of the bot with their place, and that of the takeover or the known close."""
    messages = [{"text": f"echo {kind}1-m{n}", "kind": "visitor", "seq": n, "ts": n} for n in range(3)]
    messages += [{"text": text, "kind": "bot", "seq": seq, "ts": seq} for text, seq in posts]
    log = [{"what": "assigned", "who": "bot", "seq": 1}, {"what": "assigned", "who": "alice", "seq": at}]
    room = {"rid": "r", "messages": messages, "log": log}
    webhooks = [{"rid": "r", "type": "LivechatSession", "ok_at": at}]
    told = [{"message": f"echo {tag}", "outcome": "answered"} for tag in turns]
    return judge_races({"rooms": [room], "webhooks": webhooks}, {"turns": told})


def test_races_are_judged() -> None:
    """One answer may overlap, a second may not; an answer twice is twice in a race as well."""
    before = race(TAKEOVER, (("t1-m0", 10), ("t1-m1", 11)), 20)
    one = race(TAKEOVER, (("t1-m0", 10), ("t1-m1", 21)), 20)
    two = race(TAKEOVER, (("t1-m0", 21), ("t1-m1", 22)), 20)
    closed = race(CLOSE, (("x1-m0", 30), ("x1-m1", 175), ("x1-m2", 180)), 20)
    doubled = race(CLOSE, (("x1-m0", 10), ("x1-m0", 11)), 20, ("x1-m1", "x1-m1"))

    assert [each["max_overlap_per_race"] for each in (before, one, two)] == [0, 1, 2]
    assert (closed["posts_after_close"], closed["max_posts_after_close"]) == (2, 2)
    assert doubled["race_doubled"] == 2
