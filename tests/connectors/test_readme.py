"""The example of connectors/README.md is a whole connector that keeps the contract, in less than sixty lines."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from omnibridge.connector import Findings, Handover, Label, Note, Reply, Text
from omnibridge.connector.testing import FakeContext, check_contract, observed, turn
from omnibridge.sandbox.server import Socket

README = Path(__file__).parent.parent.parent / "connectors" / "README.md"


def example(number: int = 0) -> tuple[str, dict[str, Any]]:
    code = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)[number]
    names: dict[str, Any] = {}
    exec(compile(code, str(README), "exec"), names)  # noqa: S102 - our own page
    return code, names


def test_example_is_short() -> None:
    assert len(example()[0].splitlines()) < 60


async def test_example_keeps_the_contract() -> None:
    await check_contract(example()[1]["EchoConnector"], {"url": "http://127.0.0.1:9"})


async def test_s1_25_analyser_of_the_page_is_short_and_keeps_the_contract() -> None:
    code, names = example(1)
    await check_contract(names["UrgencyAnalyser"], {"words": ["urgent"]})
    analyser = names["UrgencyAnalyser"]()
    await analyser.initialize(FakeContext().make(names["UrgencySettings"]()))
    found = await analyser.on_observed(observed("It is URGENT"))

    assert len(code.splitlines()) < 60
    assert found == Findings((Label("urgency", 1 / 3), Note("mentions urgent")))
    assert await analyser.on_observed(observed("It is not")) is None


async def test_example_relays() -> None:
    async def answer(request: Request) -> JSONResponse:
        said = await request.json()
        return JSONResponse({"texts": [said["text"], said["session"]], "handover": said["text"] == "human"})

    bot = Socket(Starlette(routes=[Route("/message", answer, methods=["POST"])]), "127.0.0.1", 0)
    await bot.start()
    connector = example()[1]["EchoConnector"]()
    settings = msgspec.convert({"url": bot.url}, connector.settings_type)
    await connector.initialize(FakeContext().make(settings))

    assert await connector.on_message(turn("human")) == Reply((Text("human"), Text("s1")), Handover())
    await connector.aclose()
    await bot.stop()
