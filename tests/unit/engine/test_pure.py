"""Reorder window, retry and breaker: tables of numbers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnibridge.clock import FixedClock
from omnibridge.engine.breaker import Breaker
from omnibridge.engine.faults import POINTS, Faults
from omnibridge.engine.ids import IdSequence, conversation_of, is_message_id, message_id, session_id
from omnibridge.engine.reorder import release as release_since
from omnibridge.engine.retry import decide_retry
from omnibridge.errors import DeliveryError, DeliveryRejected, DeliveryRetryable, DeliveryUncertain
from omnibridge.storage.journal import Observation


def row(n: int, received_at: int, kind: str = "Message", source: str = "webhook", ts: int | None = None) -> Observation:
    return Observation(n, "w", "r", source, kind, received_at, str(ts if ts is not None else n).encode())


def ts_of(observation: Observation) -> int | None:
    return int(observation.body) if observation.source == "webhook" and observation.kind == "Message" else None


def release(rows: list[Observation], ts: Any, now: int, window: int) -> tuple[list[Observation], int | None]:
    return release_since(rows, ts, now, window, lambda each: each.received_at)


def ids(rows: list[Observation]) -> list[int]:
    return [each.id for each in rows]


def test_messages_are_held_for_the_window_then_ordered_by_hub_time() -> None:
    rows = [row(1, 100, ts=20), row(2, 110, ts=10)]

    assert release(rows, ts_of, 150, 150) == ([], 250)
    ready, wake_at = release(rows, ts_of, 250, 150)
    assert (ids(ready), wake_at) == ([2, 1], None)


def test_newer_message_waits_its_own_window() -> None:
    ready, wake_at = release([row(1, 100, ts=10), row(2, 200, ts=30)], ts_of, 260, 150)

    assert (ids(ready), wake_at) == ([1], 350)


def test_window_begins_when_a_row_is_visible() -> None:
    rows = [row(1, 100, ts=20)]

    assert release_since(rows, ts_of, 260, 150, lambda _: 200) == ([], 350)


def test_session_event_waits_for_what_was_said_before_it() -> None:
    rows = [row(1, 100, ts=20), row(2, 102, "LivechatSession"), row(3, 110, ts=10)]

    assert release(rows, ts_of, 120, 150) == ([], 250)
    ready, wake_at = release(rows, ts_of, 250, 150)
    assert (ids(ready), wake_at) == ([3, 1, 2], None)


def test_words_that_the_close_overtook_come_before_it() -> None:
    rows = [row(1, 100, "LivechatSession", ts=30), row(2, 110, ts=20)]
    of_both = lambda each: int(each.body)  # noqa: E731

    assert release(rows, of_both, 120, 150) == ([], 250)
    ready, wake_at = release(rows, of_both, 250, 150)
    assert (ids(ready), wake_at) == ([2, 1], None)


def test_what_the_app_tells_of_the_room_waits_and_its_words_do_not() -> None:
    rows = [row(1, 100, ts=20), row(2, 102, "message.posted", "app"), row(3, 103, "room.closed", "app")]

    assert (ids(release(rows, ts_of, 120, 150)[0]), ids(release(rows, ts_of, 250, 150)[0])) == ([2], [1, 2, 3])


def test_session_event_with_nothing_before_it_is_ready() -> None:
    ready, wake_at = release([row(1, 100, "LivechatSessionTaken"), row(2, 101)], ts_of, 102, 150)

    assert (ids(ready), wake_at) == ([1], 251)


def test_what_the_engine_says_passes_held_messages() -> None:
    ready, _ = release([row(1, 100), row(2, 101, "PartyReplied", "engine")], ts_of, 105, 150)

    assert ids(ready) == [2]


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 300)), max_size=20), st.integers(0, 1000))
def test_nothing_is_lost_or_doubled_by_the_window(messages: list[tuple[int, int]], now: int) -> None:
    rows = [row(n, received, ts=ts) for n, (received, ts) in enumerate(messages)]
    ready, wake_at = release(rows, ts_of, now, 150)
    held = [each for each in rows if each not in ready]

    assert len(ready) == len(set(ids(ready)))
    assert [ts_of(each) for each in ready] == sorted(ts_of(each) or 0 for each in ready)
    assert (wake_at is None) == (not held)
    assert all(each.received_at + 150 > now for each in held)


@pytest.mark.parametrize(
    ("error", "attempts", "now", "expected"),
    [
        (DeliveryRetryable(code="x"), 1, 0, ("retry", 250)),
        (DeliveryRetryable(code="x"), 3, 0, ("retry", 1000)),
        (DeliveryRetryable(code="x"), 30, 0, ("retry", 30_000)),
        (DeliveryRetryable(code="x", retry_after_s=7), 1, 0, ("retry", 7000)),
        (DeliveryUncertain(code="x"), 1, 0, ("resolve", 250)),
        (DeliveryRejected(code="x"), 1, 0, ("bury", 0)),
        (DeliveryRetryable(code="x"), 1, 59_900, ("retry", 60_000)),
        (DeliveryRetryable(code="x"), 1, 60_000, ("bury", 60_000)),
        (DeliveryRetryable("x", retry_after_s=0.0, answered=True), 9, 0, ("retry", 0)),
        (DeliveryRetryable("x", retry_after_s=0.0), 9, 0, ("retry", 30_000)),
    ],
)
def test_retry_decision(error: DeliveryError, attempts: int, now: int, expected: tuple[str, int]) -> None:
    decision = decide_retry(error, attempts, now, 60_000)

    assert (decision.action, decision.at) == expected


def test_breaker_opens_lets_one_try_and_closes() -> None:
    breaker = Breaker(failures=2, open_ms=1000)
    breaker.failed(0)
    assert breaker.wait_until(1) == 0
    breaker.failed(10)
    assert breaker.wait_until(500) == 1010
    assert breaker.wait_until(1010) == 0
    assert breaker.wait_until(1011) > 1011
    breaker.succeeded()
    assert breaker.wait_until(1012) == 0


def test_ids_grow_even_when_the_clock_goes_back() -> None:
    clock = FixedClock()
    sequence = IdSequence(clock)
    first = sequence.next()
    clock.advance(-10_000)

    assert sequence.next() > first


def test_ids_start_above_the_database() -> None:
    assert IdSequence(FixedClock(), newest=1 << 62).next() > 1 << 62


def test_message_ids_differ_by_installation_room_and_row() -> None:
    made = {message_id(secret, "w", room, n) for secret in (b"a", b"b") for room in "xy" for n in (1, 2)}

    assert len(made) == 8


@given(st.integers(0, (1 << 63) - 1), st.text(min_size=1))
def test_session_tells_its_conversation_to_us_only(conversation: int, connection: str) -> None:
    session = session_id(b"secret", conversation, connection)

    assert (len(session), session.isalnum()) == (32, True)
    assert conversation_of(b"secret", session, connection) == conversation
    assert conversation_of(b"another", session, connection) is None
    assert conversation_of(b"secret", session, connection + "x") is None


@given(st.text() | st.from_regex(r"[0-9a-f]{0,40}", fullmatch=True))
def test_foreign_session_is_no_conversation(session: str) -> None:
    assert conversation_of(b"secret", session, "c") is None


def test_faults_are_off_by_default_and_count_visits() -> None:
    assert not any(Faults().wants(point) for point in POINTS)
    faults = Faults("outbox_to_send:2")
    assert [faults.wants("outbox_to_send") for _ in range(3)] == [False, True, False]
    with pytest.raises(ValueError, match="unknown fault point"):
        Faults("nowhere")


def test_message_id_is_known_again_in_its_room_only() -> None:
    made = message_id(b"s", "w", "r", 7 << 40)

    assert is_message_id(b"s", "w", "r", made)
    others = [
        (b"t", "w", "r", made),
        (b"s", "v", "r", made),
        (b"s", "w", "x", made),
        (b"s", "w", "r", made[:-2] + "AA"),
    ]
    odd = [(b"s", "w", "r", text) for text in ("", "x" * 22, "-" * 22, "é" * 22, made + "=")]
    assert not any(is_message_id(*each) for each in others + odd)
