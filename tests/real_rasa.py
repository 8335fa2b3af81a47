"""A visitor, the simulated hub, `omnibridge serve` and a real Rasa 3.6: `make test-rasa ARGS="--rasa … --bot …"`.

Prints the conversations like a chat and checks each answer. Needs a Rasa environment (Python 3.10) and a
trained bot; fails with the install line when it is not there.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import aiohttp

from connectors.rasa.connector import RasaConnector
from connectors.rasa.settings import RasaSettings
from omnibridge.clock import SystemClock
from omnibridge.connector import ConnectorContext, Turn
from omnibridge.http import create_client
from omnibridge.sandbox.visitor import SandboxClient, Staff, Visitor
from tests.soak.processes import Bridge, Sandbox

INSTALL = (
    "python3.10 -m venv .venv-rasa && .venv-rasa/bin/pip install rasa==3.6.21 rasa-sdk==3.6.2, then train the bot:"
    " .venv-rasa/bin/rasa train --fixed-model-name testbot"
)
RASA_PORT, ACTION_PORT, TOKEN = 5905, 5955, "testtoken"


async def talk(rasa: Path, bot: Path, folder: Path) -> None:
    environ = {
        **os.environ,
        "RASA_TELEMETRY_ENABLED": "false",
        "SQLALCHEMY_SILENCE_UBER_WARNING": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "SANIC_HOST": "127.0.0.1",
    }
    endpoints = folder / "endpoints.yml"
    endpoints.write_text(f'action_endpoint:\n  url: "http://127.0.0.1:{ACTION_PORT}/webhook"\n')
    credentials = folder / "credentials.yml"
    credentials.write_text("rest:\n")
    with (folder / "rasa.log").open("wb") as log:
        started = [
            await asyncio.create_subprocess_exec(*command, cwd=bot, env=environ, stdout=log, stderr=log)
            for command in (
                [str(rasa.parent / "python"), "-m", "rasa_sdk", "--actions", "actions.actions",
                 "--port", str(ACTION_PORT)],
                [str(rasa), "run", "--enable-api", "-i", "127.0.0.1", "-p", str(RASA_PORT), "--model",
                 "models/testbot.tar.gz", "--endpoints", str(endpoints), "--credentials", str(credentials),
                 "--auth-token", TOKEN],
            )
        ]  # fmt: skip
        try:
            async with aiohttp.ClientSession() as session:
                await _answers(session, f"http://127.0.0.1:{RASA_PORT}/status?token={TOKEN}", started[1])
                await _play(session, folder)
        finally:
            for each in reversed(started):
                if each.returncode is None:
                    each.send_signal(signal.SIGTERM)
                    await each.wait()


async def _answers(session: aiohttp.ClientSession, url: str, process: asyncio.subprocess.Process) -> None:
    for _ in range(240):
        if process.returncode is not None:
            raise RuntimeError("Rasa ended before it was ready")
        try:
            async with session.get(url) as answer:
                if answer.status == 200:
                    return
        except aiohttp.ClientError:
            pass  # not listening yet
        await asyncio.sleep(0.5)
    raise TimeoutError("Rasa was not ready within two minutes")


async def _play(session: aiohttp.ClientSession, folder: Path) -> None:
    sandbox = Sandbox("--hub-version", "8.3")
    description = await sandbox.start()
    wish = {**description, "real_url": f"http://127.0.0.1:{RASA_PORT}"}
    extra = f'token = "{TOKEN}"\nwelcome = "/greet"\nfallback_detection = ["tracker"]\nfallbacks = 2\n'
    quiet = '[texts]\ndelayed = ""\n'
    bridge = Bridge(folder, wish, "rasa", url=wish["real_url"], settings=quiet, options=extra)
    client = SandboxClient(description["url"])
    try:
        await client.control(webhook_url=f"{bridge.url}/webhooks/rocketchat/soak")
        await bridge.start()
        await bridge.ready(session)
        alice = Staff(client, description["agent_account"])
        await _first(client, alice)
        await _second(client, alice)
        await _killed(client, bridge, session)
        await _resolved(wish["real_url"])
    finally:
        await bridge.stop()
        await client.aclose()
        await sandbox.stop()


async def _first(client: SandboxClient, alice: Staff) -> None:
    chat = Chat(client, "Vera")
    await chat.begin()
    await chat.expect("Hello, this is the test bot.")
    await chat.say("menu", "Pick one of these:")
    await chat.say("1", "Here is the picture.", "")
    await chat.say("where is my order A10023", "Order A10023 is on its way.")
    await chat.say("tell me a long story", "First", "Second", "Third")
    await chat.say("/restart", "I did not understand")
    await chat.say("hello", "Hello, this")
    await chat.say("qwe zxc asd", "I did not understand")
    await chat.say("jkl uio bnm", "I did not understand", "I am connecting you")
    await chat.visitor.wait_event("assigned", "alice")
    await alice.say(chat.visitor.rid, "Hello Vera, this is Alice.")
    await alice.close(chat.visitor.rid)
    await chat.print()


async def _second(client: SandboxClient, alice: Staff) -> None:
    chat = Chat(client, "Viktor")
    await chat.begin()
    await chat.expect("Hello, this is the test bot.")
    await chat.say("menu", "Pick one of these:")
    await chat.say("Talk to a person", "One moment, a colleague takes over.")
    await chat.visitor.wait_event("assigned", "alice")
    await alice.close(chat.visitor.rid)
    await chat.print()
    chat = Chat(client, "Vanessa")
    await chat.begin()
    await chat.expect("Hello, this is the test bot.")
    await chat.say("close the chat", "Closing the chat. Goodbye.")
    await chat.visitor.wait_event("closed")
    await chat.print()


async def _killed(client: SandboxClient, bridge: Bridge, session: aiohttp.ClientSession) -> None:
    """`kill -9` of the bridge while Rasa works on a turn: the answer comes once all the same."""
    chat = Chat(client, "Valentin")
    await chat.begin()
    await chat.expect("Hello, this is the test bot.")
    await chat.visitor.say("take your time")
    await asyncio.sleep(1.0)
    await bridge.kill()
    await bridge.start()
    await bridge.ready(session)
    await chat.expect("That took 3 seconds.")
    await chat.say("where is my order A10023", "Order A10023 is on its way.")
    await chat.print()


async def _resolved(url: str) -> None:
    """What the tracker tells of a turn is what the channel had answered."""
    connector = RasaConnector()
    settings = RasaSettings(url=url, token=TOKEN, fallback_detection=("tracker",))
    await connector.initialize(
        ConnectorContext("real", settings, SystemClock(), create_client, lambda *_: None, lambda *_, **__: None)
    )
    lines = ("menu", "show me a picture", "tell me a long story", "show a card", "talk to a human", "qwe zxc asd")
    for n, text in enumerate(lines):
        turn = Turn(f"d{n}", "resolve-test", "w", "r", text)
        if await connector.resolve(turn) is not None:
            raise AssertionError(f"{text!r} is known before it was said")
        reply = await connector.on_message(turn)
        resolved = await connector.resolve(turn)
        if reply != resolved:
            raise AssertionError(f"{text!r}: answered {reply}, the tracker says {resolved}")
    await connector.aclose()
    print(f"\nthe tracker repeats {len(lines)} answers as they were given")


class Chat:
    """A visitor who knows what to expect."""

    def __init__(self, client: SandboxClient, name: str) -> None:
        self._client, self.visitor = client, Visitor(client, name)
        self._heard = 0

    async def begin(self) -> None:
        await self.visitor.open_room()

    async def say(self, text: str, *answers: str) -> None:
        await self.visitor.say(text)
        for each in answers:
            await self.expect(each)

    async def expect(self, beginning: str) -> None:
        self._heard += 1
        found = (await self.visitor.wait_for("bot", self._heard, timeout_ms=20_000))[self._heard - 1]["text"]
        if not found.startswith(beginning):
            raise AssertionError(f"expected {beginning!r}, heard {found!r}")

    async def print(self) -> None:
        ledger: dict[str, Any] = await self._client.call("GET", "/_sandbox/ledger", None, None, rid=self.visitor.rid)
        print(f"\n--- {self.visitor.name}")
        for each in ledger["rooms"][0]["messages"]:
            text = each["text"].replace("\n", " / ") + "".join(f" [{a.get('image_url')}]" for a in each["attachments"])
            who = self.visitor.name if each["kind"] == "visitor" else each["author"]
            print(f"{who:>9}: {text}" if not each["t"] else f"{'':>9}  ({each['t']} {each['author']})")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rasa", type=Path, default=Path(".venv-rasa/bin/rasa"), help="the rasa command")
    parser.add_argument("--bot", type=Path, default=Path("tests/rasa_bot"), help="folder with models/testbot.tar.gz")
    wish = parser.parse_args()
    if not wish.rasa.exists() or not (wish.bot / "models" / "testbot.tar.gz").exists():
        print(f"no Rasa at {wish.rasa}, or no trained bot in {wish.bot}. Install: {INSTALL}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="omnibridge-rasa-") as folder:
        asyncio.run(talk(wish.rasa.resolve(), wish.bot.resolve(), Path(folder)))
    print("\nthe real Rasa answered as expected")
    return 0


if __name__ == "__main__":
    sys.exit(main())
