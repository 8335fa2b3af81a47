"""`make test-browser`: fetches widget and playwright once, starts hubs, bot, router and bridges, and plays.

`ARGS=WORD`: the plays whose name has this word.
Exit 1: a play failed; 2: a tool is missing.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec

from omnibridge.config_reader import load
from omnibridge.sandbox.server import SandboxOptions, start
from omnibridge.sandbox.visitor import SandboxClient
from omnibridge.server import Node
from tests.acceptance.test_personas import town
from tests.browser.environment import HERE, prepare
from tests.browser.worlds import with_buttons, with_salesforce
from tests.command_line import omnibridge
from tests.fetched import Missing

PICTURES = Path("var/browser")
POOL = """
mode = "pooled"
pool_size = 3
shared_user = "bot"
avatar_cache_s = 2
"""


async def play() -> int:
    python, widget, chromium = prepare()
    sandbox = await start(SandboxOptions(widget=str(widget)))
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "omnibridge.toml"
        config.write_text(configuration(sandbox.description), "utf-8")
        node = Node(load(config, {}))
        await node.start()
        hub = SandboxClient(sandbox.url)
        await hub.control(webhook_url=f"{node.url}/webhooks/rocketchat/main")
        (Path(folder) / "router").mkdir()
        async with AsyncExitStack() as stack:
            buttons = {
                kind: await stack.enter_async_context(with_buttons(kind, Path(folder) / kind, widget))
                for kind in ("dialogflow", "rasa", "bot_api")
            }
            decided = await stack.enter_async_context(town(Path(folder) / "router", POOL, widget=str(widget)))
            decided.sandbox.hub.change_setting("Accounts_AvatarCacheTime", 2)
            made = await omnibridge(decided.folder, "tokens", "create", "router", "--system", "crm")
            more = {"router_url": decided.faces, "bridge_url": decided.url, "push_token": made.out.strip()}
            salesforce = await stack.enter_async_context(with_salesforce(Path(folder) / "salesforce", widget))
            worlds = {
                "bots": sandbox.description,
                "router": {**decided.sandbox.description, **more},
                "salesforce": salesforce,
                **buttons,
            }
            process = await asyncio.create_subprocess_exec(
                python, HERE / "plays.py", chromium, PICTURES.absolute(), *sys.argv[1:], stdin=asyncio.subprocess.PIPE
            )
            await process.communicate(msgspec.json.encode(worlds))
        await hub.aclose()
        await node.stop()
        await sandbox.stop()
        return process.returncode or 0


def configuration(told: dict[str, Any]) -> str:
    relay, bot = told["service_account"], told["bot_account"]
    return f"""
[server]
port = 0
[database]
url = "sqlite:///browser.db"
[[workspace]]
name = "main"
url = "{told["url"]}"
user_id = "{relay["user_id"]}"
auth_token = "{relay["auth_token"]}"
webhook_token = "{told["webhook_token"]}"
[[connection]]
name = "assistant"
kind = "rasa"
url = "{told["rasa_url"]}"
rocketchat_user = "{bot["username"]}"
rocketchat_token = "{bot["auth_token"]}"
{told["rasa_settings"]}
"""


if __name__ == "__main__":
    try:
        code = asyncio.run(play())
    except Missing as exc:
        print(exc, file=sys.stderr)
        code = 2
    sys.exit(code)
