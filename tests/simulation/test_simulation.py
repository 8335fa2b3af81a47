"""Histories of the engine in virtual time; many more: `make simulation ARGS="--seconds 600"`."""

from __future__ import annotations

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from tests.simulation.__main__ import run_history, steps_of
from tests.simulation.history import NAMES, PAUSES, Step
from tests.simulation.kept import FOUND, NOTICED
from tests.simulation.mutants import MUTANTS, mutated

STEPS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.integers(0, 999), st.sampled_from(PAUSES)), min_size=1, max_size=30
).map(lambda steps: [("open", 0, 0), *steps])


@settings(max_examples=60, derandomize=True, deadline=None)
@given(seed=st.integers(0, 2**16), steps=STEPS)
def test_every_history_keeps_the_invariants(seed: int, steps: list[Step]) -> None:
    note(f"run_history({seed}, {steps})")

    assert run_history(seed, steps) == []


def test_seeded_histories_keep_the_invariants() -> None:
    found = {seed: wrong for seed in range(1, 61) if (wrong := run_history(seed, steps_of(seed)))}

    assert found == {}


@pytest.mark.parametrize("name", sorted(set(MUTANTS) - set(NOTICED)))
def test_a_missing_guard_is_noticed(name: str) -> None:
    with mutated(name):
        assert any(run_history(seed, steps_of(seed)) for seed in range(1, 41))


@pytest.mark.parametrize("name", sorted(NOTICED))
def test_a_missing_guard_that_seldom_shows_is_noticed(name: str) -> None:
    seeds, steps = NOTICED[name]
    with mutated(name):
        assert any(run_history(seed, steps) for seed in seeds)


@pytest.mark.parametrize("symptom", sorted(FOUND))
def test_a_defect_that_was_found_stays_mended(symptom: str) -> None:
    seeds, steps = FOUND[symptom]

    assert [wrong for seed in seeds if (wrong := run_history(seed, steps))] == []


def test_a_history_is_the_same_each_time() -> None:
    with mutated("answers itself"):
        first, second = ([run_history(seed, steps_of(seed)) for seed in range(1, 6)] for _ in range(2))

    assert first == second
    assert any(first)
