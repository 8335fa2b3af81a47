"""`make soak-controls`: the crash test with one guard switched off in turn. Each run has to find something.

Exit 1 when a run without its guard looks clean: then the crash test could not have seen the guard fail.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from omnibridge.engine.faults import POINTS
from tests.soak.__main__ import Soak
from tests.soak.crippled import GUARDS

WAIT_MS = 6_000
"""A visitor who lost his answer waits no longer: with all guards on, answers come within 5 s of a kill."""


async def run_without(
    guard: str, kind: str, folder: Path, *, kills: int = len(POINTS), seed: int = 7
) -> dict[str, Any]:
    """One short run. Returns the verdict, and under `found` the figure that the guard is there for."""
    folder.mkdir(parents=True, exist_ok=True)
    result = await Soak(kills, seed, 8, "8.3", kind, folder, wait_ms=WAIT_MS, control=guard, troubles=False).run()
    return {**result, "found": result[GUARDS[guard][1]]}


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak-controls ARGS=...", description=__doc__)
    parser.add_argument("--kind", default="rasa", help="connector whose simulator plays the bot")
    parser.add_argument("--only", choices=sorted(GUARDS), help="one guard")
    parser.add_argument("--json", action="store_true")
    wish = parser.parse_args()
    found: dict[str, int] = {}
    with tempfile.TemporaryDirectory(prefix="omnibridge-controls-") as folder:
        for guard, (_, figure) in GUARDS.items():
            if wish.only in (None, guard):
                result = asyncio.run(run_without(guard, wish.kind, Path(folder) / guard))
                found[guard] = result["found"]
                if not wish.json:
                    print(f"without {guard:14} {figure} = {found[guard]}", flush=True)
    if wish.json:
        print(json.dumps(found))
    blind = [guard for guard, n in found.items() if not n]
    if blind:
        print(f"the crash test does not see what these are for: {', '.join(blind)}", file=sys.stderr)
    return 1 if blind else 0


if __name__ == "__main__":
    sys.exit(main())
