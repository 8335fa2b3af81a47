"""`python -m tests.simulation --seconds 60 --seed 1`: as many histories as fit; prints the rate and each failure.

With `--mutant NAME` an engine with one guard missing: then the histories that notice it are printed.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import time

from tests.simulation.history import Step, play, random_steps
from tests.simulation.invariants import check
from tests.simulation.mutants import MUTANTS, mutated
from tests.simulation.quiet_log import collected_log
from tests.simulation.world import World


def run_history(seed: int, steps: list[Step]) -> list[str]:
    """What is wrong after a history; seed: of delays, losses and of what kind of world it is."""
    world = World(seed)
    with collected_log(world), world.running():
        return check(play(world, steps))


def steps_of(seed: int) -> list[Step]:
    return random_steps(random.Random(seed))


def shortened(seed: int, steps: list[Step]) -> list[Step]:
    """Fewer steps that still fail."""
    n = len(steps) // 2
    while n:
        at = 0
        while at < len(steps):
            fewer = steps[:at] + steps[at + n :]
            if fewer and run_history(seed, fewer):
                steps = fewer
            else:
                at += n
        n //= 2
    return steps


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1, help="of the first history")
    parser.add_argument("--failures", type=int, default=5, help="stop after so many")
    parser.add_argument("--mutant", choices=sorted(MUTANTS), help="switch one guard off")
    wish = parser.parse_args()
    began, seed, failed = time.monotonic(), wish.seed, 0
    with mutated(wish.mutant) if wish.mutant else contextlib.nullcontext():
        while time.monotonic() - began < wish.seconds and failed < wish.failures:
            steps = steps_of(seed)
            if run_history(seed, steps):
                failed += 1
                fewer = shortened(seed, steps)
                print(f"seed {seed}: {fewer}", *run_history(seed, fewer), sep="\n  ", flush=True)
            seed += 1
    n, seconds = seed - wish.seed, time.monotonic() - began
    print(f"{n} histories in {seconds:.1f} s, {60 * n / seconds:.0f} a minute, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
