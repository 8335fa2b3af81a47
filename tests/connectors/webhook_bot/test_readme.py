"""connectors/webhook_bot/README.md says what is so: its bot runs, its bodies are ours, its tables are whole."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.webhook_bot import connector
from connectors.webhook_bot.convert import to_reply, turn_body
from connectors.webhook_bot.errors import REJECTED
from connectors.webhook_bot.settings import WebhookBotSettings
from connectors.webhook_bot.simulator import SECRET
from omnibridge.connector import Choices, Content, DeliveryRejected, Handover, Option, Reply, Text
from omnibridge.connector.testing import turn
from tests.connectors.webhook_bot.bots import bot

FOLDER = Path(__file__).parent.parent.parent.parent / "connectors" / "webhook_bot"
README = (FOLDER / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_connector_is_short() -> None:
    """The seam: settings, shapes, signing and errors are apart; what implements it is this module."""
    assert len((FOLDER / "connector.py").read_text("utf-8").splitlines()) < 70


async def test_bot_of_the_page_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    code = blocks("python")[0]
    names: dict[str, Any] = {}
    exec(compile(code, "README.md", "exec"), names)  # noqa: S102 - our own page
    async with bot(names["app"], secret=SECRET) as asked:
        said = await asked.on_message(turn("hi"))
        repeated = await asked.resolve(turn("hi"))
        handed_over = await asked.on_message(turn("a human please", delivery_id="2"))
        await asked.on_close("s1", "done")
    async with bot(names["app"], secret="whsec_" + "A" * 44) as asked:
        with pytest.raises(DeliveryRejected, match="set secret"):
            await asked.on_message(turn("hi"))

    question = Choices("Anything else?", (Option("Yes", "Yes"), Option("No", "No")))
    assert said == repeated == Reply((Text("You said: hi"), question))
    assert handed_over == Reply((Text("One moment, please."),), Handover())
    assert len(names["answers"]) == 3  # the repeat was folded
    assert len(code.splitlines()) < 30


def test_bodies_of_the_page_are_ours() -> None:
    asked, answered = (msgspec.json.decode(each) for each in blocks("json"))
    reply = to_reply(blocks("json")[1].encode())

    assert list(asked) == list(msgspec.json.decode(turn_body("message", turn())))
    assert [type(each) for each in reply.parts] == list(Content.__args__)
    assert [msgspec.to_builtins(each)["kind"] for each in reply.parts] == [
        each["kind"] for each in answered["messages"]
    ]
    assert reply.handover == Handover("Sales", "asked for a person")
    assert set(answered) == {"messages", "handover", "close", "fallback"}


def test_tables_are_whole() -> None:
    settings = {each.name for each in msgspec.structs.fields(WebhookBotSettings)}
    table = README.split("## Settings")[1].split("## What the bot gets")[0]
    documented = set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))
    codes = {code for code, _ in REJECTED.values()} | {"redirect", "not-json", "bad-answer", "answer-too-large"}

    assert documented == settings == set(connector.settings_type.__struct_fields__)
    assert {code for code in codes | {"not-sent", "no-answer", "html"} if f"`{code}`" not in README} == set()
