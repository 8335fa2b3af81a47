"""`omnibridge demo`: simulated Rocket.Chat, simulated bot and the real bridge in one process, over real sockets.

Plays one conversation on the community edition and prints it like a chat, with the reason of each decision
beside it; then stays up for a person to type as the visitor. The numbers at the end come from the
simulators' ledgers, not from the bridge.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from omnibridge.config_reader import load
from omnibridge.demo_screen import Screen
from omnibridge.errors import ConfigError
from omnibridge.log import configure_logging
from omnibridge.sandbox.configured import bot_user, workspace
from omnibridge.sandbox.server import SandboxOptions, start
from omnibridge.sandbox.visitor import SandboxClient, Staff, Visitor
from omnibridge.server import Node


def run(*, once: bool, as_json: bool, hub_version: str) -> int:
    """Returns the exit code: 0 when nothing was lost, doubled or out of order."""
    configure_logging("warning", "text")
    with contextlib.suppress(KeyboardInterrupt):
        return asyncio.run(_run(once=once, as_json=as_json, hub_version=hub_version))
    return 0


async def _run(*, once: bool, as_json: bool, hub_version: str) -> int:
    running = await start(SandboxOptions(hub_version=hub_version))
    kinds = [key.removesuffix("_url") for key, value in running.description.items() if key.endswith("_url") and value]
    kinds = [each for each in kinds if each not in ("webhook",)]
    # The one whose connection needs least: it starts soonest.
    kind = min(kinds, key=lambda each: len(running.description[f"{each}_settings"]), default=None)
    if kind is None:
        raise ConfigError("no connector with a simulator is installed: there is no bot to demonstrate with")
    out = sys.stderr if as_json else sys.stdout
    with tempfile.TemporaryDirectory(prefix="omnibridge-demo-") as folder:
        config = Path(folder) / "omnibridge.toml"
        config.write_text(_config(running.description, kind), "utf-8")
        node = Node(load(config, {}))
        await node.start()
        client = SandboxClient(running.url)
        await client.control(webhook_url=f"{node.url}/webhooks/rocketchat/demo")
        play = Play(client, Staff(client, running.description["agent_account"]), Path(folder) / "demo.db", out)
        print(f"Simulated Rocket.Chat {hub_version} at {running.url}, its ledger at /_sandbox/ledger.", file=out)
        print(f"The bridge is at {node.url}: /readyz, /metrics. Decisions stand on the right.\n", file=out)
        await play.conversation()
        await play.second_conversation()
        verdict = await play.verdict()
        print(f"\n{_sentence(verdict)}", file=out)
        if not once:
            await talk(client, play.screen)
        await node.stop()
        await client.aclose()
        await running.stop()
    if as_json:
        print(msgspec.json.encode(verdict).decode())
    return 0 if not verdict["lost"] + verdict["doubled"] + verdict["out_of_order"] else 1


class Play:
    """One visitor, one bot, one person called Alice."""

    def __init__(self, client: SandboxClient, alice: Staff, database: Path, out: Any) -> None:
        self._client, self._alice = client, alice
        self.screen = Screen(client, database, out)
        self._said_by_bot = 0
        self.visitor = Visitor(client, "Vera")

    async def conversation(self) -> None:
        """Welcome, choices, a question, two answers not understood, handover, a person, close."""
        visitor = self.visitor
        await visitor.open_room()
        await self._bot_says(1)
        for text, answers in (("menu", 1), ("1", 2), ("where is my order A10023", 1), ("qwe zxc", 1), ("asd fgh", 2)):
            await self._say(visitor, text, answers)
        await visitor.wait_event("assigned", "alice")
        await self._alice.say(visitor.rid, "Hello Vera, this is Alice. What is it about?")
        await visitor.say("My parcel is broken.")
        await self._alice.say(visitor.rid, "Sorry to hear that. A new one is on its way.")
        await self._alice.close(visitor.rid)
        await visitor.wait_event("closed")
        await self.screen.show(visitor)

    async def second_conversation(self) -> None:
        """The same visitor comes back, and nobody is online."""
        self.screen.tell("-- Vera comes back; nobody is online now")
        self.screen.begin()
        self._said_by_bot = 0
        await self._client.control(available={"alice": False, "bot": True})
        visitor = Visitor(self._client, "Vera", self.visitor.token)
        await visitor.open_room()
        await self._bot_says(1, visitor)
        await self._say(visitor, "talk to a human", 2)
        await self._say(visitor, "where is my order B20034", 1)
        await visitor.close()
        await self.screen.show(visitor)
        await self._client.control(available={"alice": True})

    async def verdict(self) -> dict[str, int]:
        """What was asked against what was answered, from the hub's ledger."""
        await self._client.settled()
        rooms = (await self._client.ledger())["rooms"]
        said = [each for room in rooms for each in room["messages"] if not each["t"]]
        bot = [each for each in said if each["kind"] == "bot"]
        order = [bot_answers(room) for room in rooms]
        return {
            "conversations": len(rooms),
            "visitor_messages": sum(each["kind"] == "visitor" for each in said),
            "replies_delivered": len(bot),
            "handovers": sum(_handed_over(room) for room in rooms),
            "lost": sum(each[0] for each in order),
            "doubled": sum(n - 1 for n in Counter(each["id"] for each in said).values())
            + sum(each[1] for each in order),
            "out_of_order": sum(each[2] for each in order),
        }

    async def _say(self, visitor: Visitor, text: str, answers: int) -> None:
        await visitor.say(text)
        await self._bot_says(answers, visitor)

    async def _bot_says(self, n: int, visitor: Visitor | None = None) -> None:
        visitor = visitor or self.visitor
        self._said_by_bot += n
        await visitor.wait_for("bot", self._said_by_bot)
        await self.screen.show(visitor)


async def talk(client: SandboxClient, screen: Screen) -> None:
    """A person types as the visitor; answers are printed as they come."""
    visitor = Visitor(client, "You")
    await visitor.open_room()
    screen.tell()
    screen.tell("Now you are the visitor. Type and press return; an empty line ends it.")
    shown = asyncio.create_task(_print_answers(visitor, screen))
    loop = asyncio.get_running_loop()
    while line := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
        await visitor.say(line)
    shown.cancel()


async def _print_answers(visitor: Visitor, screen: Screen) -> None:
    n = 0
    while True:
        with contextlib.suppress(TimeoutError):
            messages = await visitor.wait_for("any", n + 1, timeout_ms=60_000)
            for each in messages[n:]:
                if each["kind"] != "visitor":
                    screen.tell(screen.line(each, width=2_000))
                    screen.out.flush()
            n = len(messages)


def _config(sandbox: dict[str, Any], kind: str) -> str:
    return f"""
[server]
port = 0
[database]
url = "sqlite:///demo.db"
{workspace(sandbox, "demo")}
[[connection]]
name = "assistant"
kind = "{kind}"
{sandbox[f"{kind}_connection"]}
welcome = "/greet"
fallbacks = 2
{bot_user(sandbox)}
"""


def _handed_over(room: dict[str, Any]) -> bool:
    served = [each["who"] for each in room["log"] if each["what"] == "assigned"]
    return len(served) > 1 and served[0] != served[-1]


EXPECTED = {
    "menu": ("Pick one of these:",),
    "1": ("Here is the picture.", ""),
    "where is my order A10023": ("Order A10023 is on its way.",),
    "where is my order B20034": ("Order B20034 is on its way.",),
    "qwe zxc": ("I did not understand that.",),
    "asd fgh": ("I did not understand that.",),
    "talk to a human": ("One moment, a colleague takes over.",),
}
"""What the simulated bot answers to the lines of the play."""


def bot_answers(room: dict[str, Any]) -> tuple[int, int, int]:
    """(lost, doubled, out of order) of a room: answers must follow the order of the questions."""
    wanted = [
        answer
        for each in room["messages"]
        if each["kind"] == "visitor" and not each["t"]
        for answer in EXPECTED.get(each["text"], ())
    ]
    answers = {answer for each in EXPECTED.values() for answer in each}
    found = [each["text"].split("\n")[0] for each in room["messages"] if each["kind"] == "bot" and not each["t"]]
    found = [each for each in found if each in answers]
    missing, extra = Counter(wanted) - Counter(found), Counter(found) - Counter(wanted)
    disordered = 0 if missing or extra else sum(a != b for a, b in zip(wanted, found, strict=True))
    return missing.total(), extra.total(), disordered


def _sentence(verdict: dict[str, int]) -> str:
    return (
        f"{verdict['conversations']} conversations, {verdict['visitor_messages']} messages of the visitor, "
        f"{verdict['replies_delivered']} answers, {verdict['handovers']} handover(s); "
        f"lost {verdict['lost']}, doubled {verdict['doubled']}, out of order {verdict['out_of_order']}."
    )
