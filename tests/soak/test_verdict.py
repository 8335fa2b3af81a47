"""The verdict of the crash test on ledgers that are wrong in each way: it can fail."""

from __future__ import annotations

import pytest

from tests.soak.verdict import judge


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
        # Found after a gap: one turn for both; nothing when a later one was answered by then.
        ((hub(A, B, posts=(f"{A}\necho {B}",)), bot(f"{A}\necho {B}")), 0, 0, 0),
        ((hub(A, B, posts=(f"{A}\necho {B}", B)), bot(f"{A}\necho {B}", B)), 0, 1, 0),
        ((hub(A, B, posts=(B,), ok_at=(10_001, 1)), bot(B)), 0, 0, 0),
        ((hub(A, B, posts=(B,), ok_at=(10_000, 1)), bot(B)), 1, 0, 0),
        ((hub(A, B, posts=(A,), ok_at=(1, 10_001)), bot(A)), 1, 0, 0),
        ((hub(A, B, posts=(B, A), ok_at=(None, 1)), bot(B, A, late=(A,))), 0, 0, 0),
        ((hub(A, B, posts=(B, A), ok_at=(900, 899), cut=(1, 100)), bot(B, A, late=(A,))), 0, 0, 0),
        ((hub(A, B, posts=(B, A), ok_at=(900, 899), cut=(0, 100)), bot(B, A, late=(A,))), 0, 0, 1),
    ],
)
def test_verdict_sees_what_is_wrong(ledgers: tuple[dict, dict], lost: int, doubled: int, disorder: int) -> None:  # type: ignore[type-arg]
    found = judge(*ledgers)

    assert (found["lost"], found["doubled"], found["out_of_order"]) == (lost, doubled, disorder)
