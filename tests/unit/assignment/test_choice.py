"""Who takes work that waits in another system: pure, and explained."""

from __future__ import annotations

from typing import Any

from omnibridge.assignment.choice import Choice, choose
from omnibridge.connector.routing import Candidate, Push, Work

WORK = Work("w1", 3, weight=2.0)


def chosen(work: Work = WORK, *staff: Candidate, **how: Any) -> Choice:
    given: dict[str, Any] = {
        "known": {each.id for each in staff}, "given": {}, "last_given": {}, "refused": set(), "now_ms": 100_000,
    }  # fmt: skip
    return choose(work, staff, **{**given, **how})


def why(choice: Choice) -> dict[str, str]:
    return {each.agent: each.why for each in choice.candidates}


def test_least_busy_and_then_longest_idle_takes_it() -> None:
    busy, idle, fresh = (
        Candidate("busy", free=8, load=2, idle_since=1),
        Candidate("idle", free=3, load=0, idle_since=10_000),
        Candidate("fresh", free=3, load=0, idle_since=90_000),
    )
    choice = chosen(WORK, busy, fresh, idle)

    assert (choice.agent, choice.reason) == ("idle", "the least busy of 3")
    assert why(choice)["busy"] == why(choice)["fresh"] == "busier, or not idle for as long"
    assert [each.idle_s for each in choice.candidates] == [99, 10, 90]
    assert chosen(WORK, busy, fresh, idle, last_given={"idle": 95_000}).agent == "fresh"
    assert chosen(WORK, busy, fresh, idle, given={"idle": 2.0, "fresh": 3.0}).agent == "busy"


def test_why_not_is_said_of_each() -> None:
    choice = chosen(
        Work("w1", 3, weight=2.0, channel="calls"),
        Candidate("away", free=9, why_not="he is away"),
        Candidate("stranger", free=9),
        Candidate("full", free=3),
        Candidate("not-taken", free=9),
        Candidate("chats", free=9, channels=("chats",)),
        known={"away", "full", "not-taken", "chats"},
        given={"full": 1.5},
        refused={"not-taken"},
    )

    assert (choice.agent, choice.reason) == ("", "nobody of 5 can take it")
    assert why(choice) == {
        "away": "he is away",
        "stranger": "no agent of the directory",
        "full": "no capacity left: 1.5 of the 2 that it takes",
        "not-taken": "the system did not take him for it",
        "chats": "he does not take this sort of work now",
    }


def test_who_declined_comes_again_only_when_all_did_and_the_last_one_never() -> None:
    first, last = Candidate("first", free=9), Candidate("last", free=9, idle_since=5)
    pushes = (Push("1", "first", True), Push("2", "last", True))
    both = chosen(Work("w", 3, pushes=pushes), first, last)
    other = chosen(Work("w", 3, pushes=pushes), first, last, Candidate("other", free=9, load=7))
    alone = chosen(Work("w", 2, pushes=(Push("1", "first", True),)), first)

    assert (both.agent, both.reason) == ("first", "the only one who can take it; everybody declined it before")
    assert other.agent == "other" and why(other)["first"] == "he declined it"
    assert (alone.agent, why(alone)) == ("", {"first": "he declined it last"})


def test_preferred_agent_goes_first_when_he_can() -> None:
    idle, wanted = Candidate("idle", free=9), Candidate("wanted", free=9, load=5)
    choice = chosen(Work("w", 1, preferred="wanted"), idle, wanted)

    assert (choice.agent, why(choice)["idle"]) == ("wanted", "another one is preferred for it")
    assert chosen(Work("w", 1, preferred="wanted", weight=10), idle, wanted).agent == ""
    assert chosen(Work("w", 1, preferred="nobody"), idle, wanted).agent == "idle"


def test_work_that_is_for_one_alone_waits_for_him() -> None:
    idle, wanted = Candidate("idle", free=9), Candidate("wanted", free=0)
    choice = chosen(Work("w", 1, preferred="wanted", is_his=True), idle, wanted)

    assert (choice.agent, why(choice)["idle"]) == ("", "it is for another one alone")
