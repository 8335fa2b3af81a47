"""A visitor, the simulated hub, `omnibridge serve` and a real Rasa 3.6: `make test-rasa`.

Prints the conversations like chats and checks every answer. Exit codes: 0 as expected, 1 not, 2 something is
missing. Makes `.venv-rasa` and trains the bot once; `ARGS="--rasa … --bot …"` takes what is there already.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import traceback
from contextlib import AsyncExitStack
from pathlib import Path

from tests.ports import free_port
from tests.real_rasa import callback, plays
from tests.real_rasa.environment import Environment, NotThere, find
from tests.real_rasa.processes import CALLBACK_TOKEN, Rasa, Site

QUIET = '[texts]\ndelayed = ""\n'
WISHES = {
    "patient": {
        "settings": f"[engine]\nbot_turn_deadline_s = 60\n{QUIET}",
        "options": f'welcome = "/greet"\nfallbacks = 2\nsilent_text = "{plays.SILENT}"\n',
    },
    "hasty": {
        "settings": f"[engine]\nbot_turn_deadline_s = 5\n{QUIET}",
        "options": 'welcome = "/greet"\nbot_down = "tell"\n',
    },
    "called": {
        "settings": QUIET,
        "options": f'welcome = "/greet"\nfallbacks = 2\nchannel = "callback"\ncallback_token = "{CALLBACK_TOKEN}"\n',
    },
}
"""One bridge each: that waits for a Rasa that is gone, that does not, and that Rasa calls."""


async def play(environment: Environment, folder: Path) -> None:
    """Every conversation, on one Rasa. Raises what a check raises."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    async with AsyncExitStack() as stack:
        sites = [Site(folder / name) for name in WISHES]
        for site, wish in zip(sites, WISHES.values(), strict=True):
            await site.prepare(url, **wish)
            stack.push_async_callback(site.stop)
        patient, hasty, called = sites
        rasa = Rasa(environment, folder, port, f"{called.bridge.url}/connections/assistant/callback")
        stack.push_async_callback(rasa.stop)
        await rasa.start()
        for site in sites:
            await site.start()
        await plays.dialogue(patient)
        await plays.handover_and_close(patient)
        if environment.knows_our_actions:
            await plays.our_actions(patient)
        else:
            print("\nnot tried: this bot does not list the actions that come with the connector")
        await plays.bridge_killed(patient, "Valentin")
        await callback.dialogue(called)
        await callback.reminder(called)
        await plays.bridge_killed(called, "Willy")
        await plays.rasa_killed(patient, hasty, rasa)
        await plays.actions_killed(patient, rasa)
        await plays.tracker_agrees(rasa.url)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rasa", type=Path, help="the rasa command of an environment that is there already")
    parser.add_argument("--bot", type=Path, help="folder with the bot's files and models/testbot.tar.gz")
    wish = parser.parse_args()
    try:
        environment = find(wish.rasa, wish.bot)
    except NotThere as exc:
        print(exc, file=sys.stderr)
        return 2
    except subprocess.CalledProcessError as exc:
        print(f"failed with {exc.returncode}: {' '.join(exc.cmd)}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="omnibridge-rasa-") as folder:
        try:
            asyncio.run(play(environment, Path(folder)))
        except (AssertionError, TimeoutError, RuntimeError):
            traceback.print_exc()
            for log in sorted(Path(folder).rglob("*.log")):
                print(f"\n== {log.name}, the end of it", *log.read_text("utf-8", "replace").splitlines()[-15:],
                      sep="\n", file=sys.stderr)  # fmt: skip
            return 1
    print("\nthe real Rasa answered as expected")
    return 0


if __name__ == "__main__":
    sys.exit(main())
