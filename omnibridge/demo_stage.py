"""`omnibridge demo --story NAME`: a play that connectors bring, on everything that they simulate, and the real bridge.

A story is an entry point of `omnibridge.stories`: `async def play(stage) -> dict`, the verdict; `ok` in it is the exit
code. It takes what it needs from the stage, so it imports nothing of the service, and reaches simulators over HTTP.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TextIO

import aiohttp
import msgspec

from omnibridge.config_reader import load
from omnibridge.demo import bot_answers, talk
from omnibridge.demo_screen import Screen
from omnibridge.errors import ConfigError
from omnibridge.log import configure_logging
from omnibridge.sandbox.configured import workspace
from omnibridge.sandbox.server import RunningSandbox, SandboxOptions, start
from omnibridge.sandbox.visitor import SandboxClient, Visitor
from omnibridge.server import Node
from omnibridge.setup.provisioner import PERMISSIONS

STORIES = "omnibridge.stories"
LIMIT_S = 15.0
AGENT_FIELD = {
    "externalAgentId": {
        "type": "text",
        "required": False,
        "maxLength": 128,
        "sendToIntegrations": True,
        "modifyRecordField": {"array": True, "field": "importIds"},
    }
}


def run_story(name: str, *, once: bool, as_json: bool, hub_version: str) -> int:
    """Returns the exit code: 0 when everything that the verdict looks at holds. Raises ConfigError."""
    known = {each.name: each for each in entry_points(group=STORIES)}
    if name not in known:
        raise ConfigError(f"there is no story {name!r}; there are: {', '.join(sorted(known)) or 'none'}")
    configure_logging("error", "text")
    play = known[name].load()
    with contextlib.suppress(KeyboardInterrupt):
        return asyncio.run(_run(play, once=once, as_json=as_json, hub_version=hub_version))
    return 0


async def _run(
    play: Callable[[Stage], Awaitable[dict[str, Any]]], *, once: bool, as_json: bool, hub_version: str
) -> int:
    with tempfile.TemporaryDirectory(prefix="omnibridge-demo-") as folder:
        async with Stage(Path(folder), sys.stderr if as_json else sys.stdout, hub_version=hub_version) as stage:
            stage.stays = not once
            verdict = await play(stage)
            if not once:
                await talk(stage.hub, stage.screen)
    if as_json:
        print(msgspec.json.encode(verdict).decode())
    return 0 if verdict["ok"] else 1


class Stage:
    """A simulated Rocket.Chat, every simulator, and a bridge with the configuration that the story gives it.

    told: what `omnibridge sandbox` prints. hub: client of the simulated Rocket.Chat. stays: a person types after the
    play. options: of the sandbox.
    """

    stays = False

    def __init__(self, folder: Path, out: TextIO, **options: Any) -> None:
        self.folder = folder
        self._out, self._options = out, SandboxOptions(router=True, **options)
        self._sandbox: RunningSandbox | None = None
        self._node: Node | None = None
        self._clients: list[SandboxClient] = []

    async def __aenter__(self) -> Stage:
        self._sandbox = await start(self._options)
        self.told = self._sandbox.description
        self.hub = self._client(self.told["url"])
        self.screen = Screen(self.hub, self.folder / "demo.db", self._out)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._node:
            await self._node.stop()
        for each in self._clients:
            await each.aclose()
        if self._sandbox:
            await self._sandbox.stop()

    @property
    def bridge_url(self) -> str:
        assert self._node
        return self._node.url

    # -- to set it up -----------------------------------------------------------------------------------------------

    def simulator(self, name: str) -> SandboxClient:
        """Switches and ledger of a vendor. Raises ConfigError for one that is not there."""
        url = self.told.get(f"{name}_url")
        if not url:
            raise ConfigError(f"the simulator {name!r} is not installed: the story cannot be told without it")
        return self._client(url)

    def face(self, colour: str) -> str:
        """Address of a picture. colour: RRGGBB."""
        return f"{self.told['router_url']}faces/{colour}.png"

    def bot_user(self, username: str, name: str) -> dict[str, str]:
        """A user as a connection needs it: {username, auth_token}."""
        assert self._sandbox
        hub = self._sandbox.hub
        user = hub.add_user(username, secrets.token_urlsafe(12), {"bot", "livechat-agent"}, name)
        token = hub.accounts.issue_access_token(user, "omnibridge", bypasses_two_factor=True).token
        return {"username": username, "auth_token": token}

    def department(self, name: str, *usernames: str) -> str:
        """A department with these users; its id. The community edition has one."""
        assert self._sandbox
        hub = self._sandbox.hub
        return hub.add_department(name, {hub.by_name[each].id for each in usernames}).id

    def workspace(self) -> str:
        """[[workspace]] of the configuration, to begin with, and with a user who may make users as
        `omnibridge setup --provisioner` makes him; more lines of it may follow."""
        assert self._sandbox
        hub = self._sandbox.hub
        user = hub.add_user("provisioner", secrets.token_urlsafe(12), {"bot", "provisioner"}, "Provisioner")
        for each in PERMISSIONS:
            hub.rules.permissions[each] |= {"provisioner"}
        token = hub.accounts.issue_access_token(user, "omnibridge", bypasses_two_factor=True).token
        hub.change_setting("Accounts_CustomFields", json.dumps(AGENT_FIELD))
        return f'{workspace(self.told, "demo")}\nprovisioner_user_id = "{user.id}"\nprovisioner_token = "{token}"'

    async def begin(self, files: dict[str, str]) -> None:
        """Write the configuration (omnibridge.toml) and what it names, start the bridge, let events come to it."""
        keys = f"k1:{base64.urlsafe_b64encode(os.urandom(32)).decode()}"
        for name, text in {"agent_keys": keys, **files}.items():
            (self.folder / name).write_text(text, "utf-8")
        self._node = Node(load(self.folder / "omnibridge.toml", {}))
        await self._node.start()
        await self.hub.control(webhook_url=f"{self.bridge_url}/webhooks/rocketchat/demo")

    async def command(self, *words: str) -> str:
        """`omnibridge …` beside the running bridge; what it printed. Raises ConfigError when it fails."""
        environ = {key: value for key, value in os.environ.items() if not key.startswith("OMNIBRIDGE_")}
        environ["OMNIBRIDGE_CONFIG"] = str(self.folder / "omnibridge.toml")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "omnibridge", *words,
            env=environ, cwd=self.folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        out, _ = await process.communicate()
        if process.returncode:
            raise ConfigError(f"omnibridge {' '.join(words)}: {out.decode(errors='replace')}")
        return out.decode()

    # -- to play ----------------------------------------------------------------------------------------------------

    def visitor(self, name: str) -> Visitor:
        return Visitor(self.hub, name)

    async def download(self, url: str) -> bytes:
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            answer.raise_for_status()
            return await answer.read()

    async def room(self, visitor: Visitor) -> dict[str, Any]:
        """The visitor's room in the hub's ledger."""
        return dict((await self.hub.ledger(visitor.rid))["rooms"][0])

    async def learn_names(self) -> None:
        """Print users by the names that the hub has for them now."""
        users = (await self.hub.call("GET", "/_sandbox/workspace"))["users"]
        self.screen.names = {username: user["name"] for username, user in users.items()}
        self.screen.name_width = 2 + max(map(len, self.screen.names.values()))

    async def until(self, what: str, look: Callable[[], Awaitable[object]]) -> None:
        """Raises TimeoutError with `what`, for people."""
        deadline = time.monotonic() + LIMIT_S
        while not await look():
            if time.monotonic() > deadline:
                raise TimeoutError(what)
            await asyncio.sleep(0.03)

    bot_answers = staticmethod(bot_answers)
    """(lost, doubled, out of order) of what the simulated bot answered in a room."""

    def _client(self, url: str) -> SandboxClient:
        self._clients.append(SandboxClient(url))
        return self._clients[-1]
