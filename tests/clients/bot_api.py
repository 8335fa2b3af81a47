"""The bot API under a client library of Telegram: a visitor, the sandbox, `omnibridge serve`, and its bot."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from pathlib import Path

from omnibridge.sandbox.server import RunningSandbox, SandboxOptions, start
from omnibridge.sandbox.visitor import SandboxClient, Visitor
from tests.acceptance.test_bots import Bridge
from tests.command_line import omnibridge
from tests.ports import free_port

HERE = Path(__file__).parent
MODES = ("polling", "webhook")
BOTS = {"python-telegram-bot": "telegram_bot.py", "aiogram": "aiogram_bot.py"}
"""Package -> its bot."""

PATIENCE_S, EDITED_S = 60, 20


class Failed(Exception):
    """What was not as it should be."""


async def play(python: str, mode: str, package: str = "python-telegram-bot") -> None:
    """Raises Failed with what the bot and the bridge printed."""
    sandbox = await start(SandboxOptions(simulators=False))
    with tempfile.TemporaryDirectory() as folder:
        bridge = Bridge(Path(folder), sandbox)
        bot: asyncio.subprocess.Process | None = None
        try:
            async with asyncio.timeout(PATIENCE_S):
                made = await omnibridge(bridge.folder, "bots", "create", "helper", "--json")
                token = made.json["token"]
                await bridge.start()
                bot = await _bot([python, BOTS[package], mode, bridge.url, token], Path(folder) / "bot.txt")
                await _converse(sandbox, bridge, token)
        except (TimeoutError, AssertionError) as exc:
            printed = (Path(folder) / "bot.txt").read_text("utf-8", "replace")
            raise Failed("\n".join([f"{type(exc).__name__} {exc}", printed, bridge.log()])) from exc
        finally:
            if bot is not None:
                with contextlib.suppress(ProcessLookupError):
                    bot.terminate()
                await bot.wait()
            await bridge.stop()
            await sandbox.stop()


async def _bot(command: list[str], log: Path) -> asyncio.subprocess.Process:
    with log.open("wb") as printed:
        bot = await asyncio.create_subprocess_exec(
            *command, str(free_port()), cwd=HERE, env={"PATH": os.environ["PATH"]}, stdout=printed, stderr=printed,
        )  # fmt: skip
    while "listening" not in log.read_text("utf-8", "replace"):
        assert bot.returncode is None, "the bot ended"
        await asyncio.sleep(0.05)
    return bot


async def _converse(sandbox: RunningSandbox, bridge: Bridge, token: str) -> None:
    hub = SandboxClient(sandbox.url)
    try:
        await hub.control(webhook_url=f"{bridge.url}/webhooks/rocketchat/main")
        visitor = Visitor(hub, "Vera")
        await visitor.open_room()
        asked = (await visitor.wait_for("bot", 1))[0]["text"]
        assert asked.startswith("Hello Vera") and "2. Mate" in asked, asked
        await visitor.say("mate")
        async with asyncio.timeout(EDITED_S):
            while (now := (await visitor.wait_for("bot", 1))[0]["text"]) == asked:  # its message, to be edited
                await asyncio.sleep(0.05)
        assert now == "*chose* m", now
        await visitor.say("ping")
        said = [each["text"] for each in await visitor.wait_for("bot", 2)]
        assert said == ["*chose* m", "pong ping"], said
        assert token.partition(":")[2] not in bridge.log(), "the token is in the log"
    finally:
        await hub.aclose()


def version(package: str) -> str:
    """As pinned."""
    pins = (HERE / "requirements.txt").read_text("utf-8").splitlines()
    return next(each.split("==")[1].split()[0] for each in pins if each.startswith(package))
