"""The processes of a run: Rasa, its action server, and hub and bridge before them. Each is ended by its id."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import aiohttp

from omnibridge.sandbox.visitor import SandboxClient, Staff
from tests.command_line import ready
from tests.ports import free_port
from tests.real_rasa.environment import MODEL, QUIET, Environment
from tests.soak.processes import Bridge, Sandbox

TOKEN, CALLBACK_TOKEN = "testtoken", "callback-secret"
ACTIONS_PASSWORD = "actions-secret"
START_LIMIT_S = 120.0


class Server:
    """A command that is ready when an address answers 200; killed and started again as a run needs it."""

    def __init__(self, name: str, command: list[str], folder: Path, log: Path, ready_url: str) -> None:
        self._name, self._command, self._folder, self._log, self._ready_url = name, command, folder, log, ready_url
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Returns when it is ready. Raises RuntimeError when it ended, or takes too long."""
        environ = {**os.environ, **QUIET, "RASA_ACTIONS_USER": "rasa", "RASA_ACTIONS_PASSWORD": ACTIONS_PASSWORD}
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, cwd=self._folder, env=environ, stdout=log, stderr=log
            )
        async with aiohttp.ClientSession() as session:
            if await ready(session, self._ready_url, self._process, START_LIMIT_S) is None:
                raise RuntimeError(f"{self._name} is not ready; see {self._log}")

    async def kill(self) -> None:
        """As a crash would end it."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        await self._end(signal.SIGTERM)

    async def _end(self, how: signal.Signals) -> None:
        if self._process and self._process.returncode is None:
            self._process.send_signal(how)
            await self._process.wait()


class Rasa:
    """A Rasa server and its action server on the loopback address. port: of Rasa. callback_url: where its
    callback channel sends the bot's messages."""

    def __init__(self, environment: Environment, folder: Path, port: int, callback_url: str) -> None:
        action_port = free_port()
        self.url, self.actions_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{action_port}"
        endpoints, credentials = folder / "endpoints.yml", folder / "credentials.yml"
        auth = f'{{username: "rasa", password: "{ACTIONS_PASSWORD}"}}'
        endpoints.write_text(f'action_endpoint:\n  url: "{self.actions_url}/webhook"\n  basic_auth: {auth}\n')
        credentials.write_text(f'rest:\ncallback:\n  url: "{callback_url}"\n  token: "{CALLBACK_TOKEN}"\n')
        self.actions = Server(
            "the action server",
            [sys.executable, "-m", "omnibridge", "rasa", "actions", "--actions-module", "actions.actions",
             "--port", str(action_port)],
            environment.bot,
            folder / "actions.log",
            f"{self.actions_url}/health",
        )  # fmt: skip
        self.server = Server(
            "Rasa",
            [str(environment.rasa), "run", "--enable-api", "-i", "127.0.0.1", "-p", str(port), "--model", str(MODEL),
             "--endpoints", str(endpoints), "--credentials", str(credentials), "--auth-token", TOKEN],
            environment.bot,
            folder / "rasa.log",
            f"{self.url}/status?token={TOKEN}",
        )  # fmt: skip

    async def start(self) -> None:
        await asyncio.gather(self.actions.start(), self.server.start())

    async def stop(self) -> None:
        await asyncio.gather(self.actions.stop(), self.server.stop())


class Site:
    """A simulated hub and a bridge of its own, relaying to a Rasa."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder, self._sandbox = folder, Sandbox("--hub-version", "8.3")
        self.session = aiohttp.ClientSession()

    async def prepare(self, rasa_url: str, *, settings: str = "", options: str = "") -> None:
        """Start the hub and choose the bridge's address. rasa_url: where Rasa will be."""
        described = await self._sandbox.start()
        self.client = SandboxClient(described["url"])
        self.alice = Staff(self.client, described["agent_account"])
        self.relay = Staff(self.client, described["service_account"])
        common = f'token = "{TOKEN}"\nfallback_detection = ["tracker"]\n{options}\n'
        self.bridge = Bridge(self._folder, described, "rasa", url=rasa_url, settings=settings, options=common)

    async def start(self) -> None:
        await self.client.control(webhook_url=f"{self.bridge.url}/webhooks/rocketchat/soak")
        await self.again()

    async def again(self) -> None:
        """Start the bridge, once more after it was killed."""
        await self.bridge.start()
        if await self.bridge.ready(self.session) is None:
            raise RuntimeError(f"the bridge is not ready; see {self._folder}/bridge.log")

    async def stop(self) -> None:
        await self.bridge.stop()
        await self.client.aclose()
        await self.session.close()
        await self._sandbox.stop()
