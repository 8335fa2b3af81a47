"""Worlds for the plays: a hub, a bridge, one bot each, whose choices are pressed where the companion app is."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from connectors.salesforce_messaging.story.play import set_up
from omnibridge.client import BotClient, Button
from omnibridge.config_reader import load
from omnibridge.demo_stage import Stage
from omnibridge.sandbox.configured import bot_user, workspace
from omnibridge.sandbox.server import SandboxOptions, start
from omnibridge.sandbox.visitor import SandboxClient
from omnibridge.server import Node
from tests.command_line import omnibridge

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
APP = f'app_secret = "{SECRET}"\nblocks = true'
"""Lines of [[workspace]]: visitors press what bots show."""

GREETING, PICTURE = "Hello, this is the test bot.", "Show a picture"


@asynccontextmanager
async def with_bot(kind: str, folder: Path, widget: Path, *, has_app: bool) -> AsyncIterator[dict[str, Any]]:
    """The sandbox's description. kind: of the connector; a bot of the bot API runs here, with our own client."""
    folder.mkdir()
    sandbox = await start(SandboxOptions(widget=str(widget)))
    hub = SandboxClient(sandbox.url)
    config = folder / "omnibridge.toml"
    config.write_text(configuration(sandbox.description, kind, APP if has_app else ""), "utf-8")
    node = Node(load(config, {}))
    await node.start()
    await hub.control(webhook_url=f"{node.url}/webhooks/rocketchat/main")
    if has_app:
        await hub.control(app_url=f"{node.url}/webhooks/rocketchat-app/main", app_secret=SECRET)
    bot = asyncio.create_task(telegram_like(node.url, folder)) if kind == "bot_api" else None
    try:
        yield {**sandbox.description, "kind": kind, "simulator_url": sandbox.description.get(f"{kind}_url", "")}
    finally:
        if bot:
            bot.cancel()
            await asyncio.gather(bot, return_exceptions=True)
        await hub.aclose()
        await node.stop()
        await sandbox.stop()


@asynccontextmanager
async def with_salesforce(folder: Path, widget: Path) -> AsyncIterator[dict[str, Any]]:
    """The world of `omnibridge demo --story salesforce`, with the companion app and the widget."""
    folder.mkdir()
    async with Stage(folder, io.StringIO(), widget=str(widget)) as stage:
        await set_up(stage, APP)
        await stage.hub.control(app_url=f"{stage.bridge_url}/webhooks/rocketchat-app/demo", app_secret=SECRET)
        yield stage.told


async def telegram_like(url: str, folder: Path) -> None:
    """A bot as its author writes it: a keyboard, and another text in its place when a button of it was pressed."""
    made = await omnibridge(folder, "bots", "create", "assistant")
    async with BotClient(url, made.out.strip().splitlines()[-1].strip()) as bot:
        async for update in bot.updates(wait_s=5):
            query, message = update.callback_query, update.message
            if query and query.message:
                await bot.answer(query.id)
                await bot.edit(query.message, f"You chose: {query.data}")
                await bot.send(query.message.chat.id, "Here is the picture.")
            elif message and message.text == "hello":
                await bot.send(message.chat.id, GREETING)
            elif message and message.text == "menu":
                buttons = [Button(PICTURE, "/picture"), Button("Finish")]
                await bot.send(message.chat.id, "Pick one of these:", buttons)
            elif message and message.text.startswith("where is"):
                await bot.send(message.chat.id, f"Order {message.text.split()[-1]} is on its way.")


def configuration(told: dict[str, Any], kind: str, workspace_more: str = "") -> str:
    return f"""
[server]
port = 0
[database]
url = "sqlite:///browser.db"
{workspace(told)}
{workspace_more}
[[connection]]
name = "assistant"
kind = "{kind}"
{told.get(f"{kind}_connection", "")}
{bot_user(told)}
"""
