"""A connector for tests of the core: a bot in memory with a ledger, so that no vendor's connector is needed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar

import msgspec

from omnibridge.connector import (
    Choices,
    ConnectorContext,
    Custom,
    DeliveryRetryable,
    DeliveryUncertain,
    ExternalAgent,
    File,
    Handover,
    Image,
    Option,
    Reply,
    Text,
    Turn,
)

MENU = Choices("Pick one of these:", (Option("Show a picture", "/ask_picture"), Option("Talk to sales", "/sales")))


class ScriptedSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    url: str = ""


class ScriptedBot:
    """What every instance of one test shares: switches and the ledger."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.answers: dict[str, Reply] = {}
        self.delay_ms, self.down = 0, False
        self.fail_next: list[dict[str, Any]] = []
        self.typed: list[tuple[str, bool]] = []
        self.contexts: list[ConnectorContext] = []
        self.given: list[Turn] = []
        self.says: Callable[[Turn], Reply | None] = lambda turn: None  # None = the dialogue below

    async def control(self, **wish: Any) -> None:
        self.delay_ms = wish.get("delay_ms", self.delay_ms)
        self.down = wish.get("down", self.down)
        self.fail_next += wish.get("fail_next", [])

    async def turns(self) -> list[dict[str, Any]]:
        return self.entries


class ScriptedConnector:
    """Implements Connector, ResolvesTurns and HearsTyping. `bot` is set by the test's fixture."""

    settings_type: ClassVar[type[msgspec.Struct]] = ScriptedSettings
    bot: ClassVar[ScriptedBot]

    async def initialize(self, context: ConnectorContext) -> None:
        self.bot.contexts.append(context)

    async def on_message(self, turn: Turn) -> Reply:
        bot = self.bot
        if bot.down:
            raise DeliveryRetryable("down", code="down")
        failure = bot.fail_next.pop(0) if bot.fail_next else None
        message = turn.choice_value or turn.text
        entry = {"message": message, "delivery_id": turn.delivery_id, "outcome": "started"}
        bot.entries.append(entry)
        bot.given.append(turn)
        if bot.delay_ms:
            await asyncio.sleep(bot.delay_ms / 1000)
        said = bot.says(turn)
        bot.answers[turn.delivery_id] = answer(message) if said is None else said
        entry["outcome"] = "answered"
        if failure:
            raise DeliveryUncertain("the answer was cut off", code="cut")
        return bot.answers[turn.delivery_id]

    async def resolve(self, turn: Turn) -> Reply | None:
        return self.bot.answers.get(turn.delivery_id)

    async def on_typing(self, session_id: str, is_typing: bool) -> None:
        self.bot.typed.append((session_id, is_typing))

    async def on_close(self, session_id: str, reason: str) -> None:
        self.bot.entries.append({"message": "", "closed": reason, "outcome": "closed"})

    async def aclose(self) -> None:
        """Holds nothing open."""


def answer(message: str) -> Reply:
    """A dialogue like that of the vendors' simulators, as far as the tests need it."""
    if message.startswith("echo "):
        return Reply((Text(message[5:]),))
    if message.startswith("note "):
        return Reply((Text("Noted."),), fields={"ticket": message[5:]})
    if message.startswith("write "):
        return Reply((Text("\n\n".join(f"Paragraph {number}." for number in range(1, int(message[6:]) + 1))),))
    if message.startswith("parts "):
        return Reply(tuple(Text(f"part {number}") for number in range(1, int(message[6:]) + 1)))
    if message.startswith("as "):  # as ID NAME: WORDS, or as ID NAME <ADDRESS OF A PICTURE>: WORDS
        identity, _, rest = message[3:].partition(" ")
        name, _, words = rest.partition(": ")
        name, _, picture = name.removesuffix(">").partition(" <")
        return Reply((Text(words),), agent=ExternalAgent("desk", identity, name, picture))
    if message.startswith("menu as "):
        return Reply((MENU,), agent=ExternalAgent("desk", *message[8:].split(" ", 1)))
    if message.startswith("file "):  # file ADDRESS NAME
        url, _, name = message[5:].partition(" ")
        return Reply((File(url, name),))
    if message.startswith("picture "):
        return Reply((Image(message[8:]),))
    if message == "menu":
        return Reply((MENU,))
    if message == "rich":
        parts = (Image("https://x.test/a.png", "A *cat*"), MENU, Custom({"seen": "by nobody"}))
        return Reply(parts, intent="menu.rich", losses=("table",))
    if message in ("/sales", "talk to a human"):
        return Reply((Text("One moment, a colleague takes over."),), Handover("sales" if message == "/sales" else ""))
    if message.startswith("where is my order "):
        return Reply((Text(f"Order {message.split()[-1]} is on its way."),))
    return Reply((Text("I did not understand that."),), fallback=True)
