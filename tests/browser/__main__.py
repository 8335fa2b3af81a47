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

import msgspec

from tests.acceptance.test_personas import town
from tests.browser.environment import HERE, prepare
from tests.browser.worlds import with_bot, with_salesforce
from tests.command_line import omnibridge
from tests.fetched import Missing

PICTURES = Path("var/browser")
BOTS = {"bots": "rasa", "dialogflow": "dialogflow", "rasa": "rasa", "bot_api": "bot_api"}
"""World -> kind of its bot's connector; `bots` is the one without the companion app."""

POOL = """
mode = "pooled"
pool_size = 3
shared_user = "bot"
avatar_cache_s = 2
"""


async def play() -> int:
    python, widget, chromium = prepare()
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent)
        (folder / "router").mkdir()
        async with AsyncExitStack() as stack:
            bots = {
                name: await stack.enter_async_context(with_bot(kind, folder / name, widget, has_app=name != "bots"))
                for name, kind in BOTS.items()
            }
            decided = await stack.enter_async_context(town(folder / "router", POOL, widget=str(widget)))
            decided.sandbox.hub.change_setting("Accounts_AvatarCacheTime", 2)
            made = await omnibridge(decided.folder, "tokens", "create", "router", "--system", "crm")
            more = {"router_url": decided.faces, "bridge_url": decided.url, "push_token": made.out.strip()}
            salesforce = await stack.enter_async_context(with_salesforce(folder / "salesforce", widget))
            worlds = {**bots, "router": {**decided.sandbox.description, **more}, "salesforce": salesforce}
            process = await asyncio.create_subprocess_exec(
                python, HERE / "plays.py", chromium, PICTURES.absolute(), *sys.argv[1:], stdin=asyncio.subprocess.PIPE
            )
            await process.communicate(msgspec.json.encode(worlds))
        return process.returncode or 0


if __name__ == "__main__":
    try:
        code = asyncio.run(play())
    except Missing as exc:
        print(exc, file=sys.stderr)
        code = 2
    sys.exit(code)
