"""A sound world that a doctor can look at, with a backend that can be asked; and what may stand in its place."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from omnibridge.clock import Clock
from omnibridge.config_reader import load
from omnibridge.connector import ConnectorContext, DeliveryRejected, DeliveryRetryable, DeliveryUncertain
from omnibridge.doctor.finding import Finding
from omnibridge.doctor.run import examine
from omnibridge.sandbox.server import Socket
from tests.conftest import World
from tests.scripted import ScriptedConnector, ScriptedSettings

MAIN = "/webhooks/rocketchat/main"


class AskedConnector(ScriptedConnector):
    """ChecksHealth over a real socket: asks `url`/health, as a vendor's connector does."""

    async def initialize(self, context: ConnectorContext) -> None:
        settings: ScriptedSettings = context.settings
        self._http = context.create_client(base_url=settings.url, timeout_s=3.0)

    async def check(self) -> str:
        try:
            answer = await self._http.get("/health")
        except httpx2.ConnectError as exc:
            raise DeliveryRetryable("the bot cannot be reached", code="not-sent") from exc
        except httpx2.HTTPError as exc:
            raise DeliveryUncertain("no answer from the bot", code="no-answer") from exc
        if answer.status_code == 200:
            return "Bot 1.0"
        code = {401: "unauthorized", 404: "not-found"}.get(answer.status_code, f"http-{answer.status_code}")
        raise DeliveryRejected(f"the bot refused (HTTP {answer.status_code})", code=code)

    async def aclose(self) -> None:
        await self._http.aclose()


class Backend:
    """What AskedConnector asks. status: of its answers. delay_s: before them."""

    def __init__(self) -> None:
        self.status, self.delay_s = 200, 0.0
        self.socket = Socket(Starlette(routes=[Route("/health", self._health)]), "127.0.0.1", 0)

    async def _health(self, _: Request) -> Response:
        await asyncio.sleep(self.delay_s)
        return Response("", self.status)


@dataclass
class Patient:
    """A sound world that a doctor can look at. backend: of its one connection."""

    world: World
    backend: Backend

    def write(self, edits: dict[str, str]) -> Path:
        """A configuration beside the bridge's own, with its real port, and texts replaced."""
        port = self.world.node.url.rpartition(":")[2]
        text = (self.world.folder / "omnibridge.toml").read_text("utf-8")
        for old, new in {"port = 0": f"port = {port}", **edits}.items():
            assert old in text, old
            text = text.replace(old, new, 1)
        path = self.world.folder / "doctor.toml"
        path.write_text(text, "utf-8")
        return path

    async def examine(self, edits: dict[str, str] | None = None, clock: Clock | None = None) -> list[Finding]:
        return await examine(load(self.write(edits or {}), {}), clock)


MakePatient = Callable[..., Awaitable[Patient]]


def spoken(findings: list[Finding]) -> set[tuple[str, str]]:
    """(check, rank) of what is not fine."""
    return {(each.check, each.status) for each in findings if each.status != "ok"}


ALWAYS = {("settings to look at", "look")}
"""Said to every admin: the relay account may not read these settings, and should not."""


@asynccontextmanager
async def silence() -> AsyncIterator[int]:
    """Takes connections and says nothing; its port."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        yield int(listening.getsockname()[1])


async def command(path: Path, *options: str) -> tuple[int | None, str]:
    arguments = (sys.executable, "-m", "omnibridge", "doctor", "--config", str(path), *options)
    process = await asyncio.create_subprocess_exec(*arguments, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    return process.returncode, out.decode()
