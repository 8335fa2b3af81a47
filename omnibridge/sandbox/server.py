"""Starts the simulated hub and the simulators of vendors, each on a socket of its own."""

from __future__ import annotations

import asyncio
import secrets
import signal
import socket
import sys
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any

import msgspec
import uvicorn
from starlette.applications import Starlette

from omnibridge.sandbox.agent_api import AgentApi
from omnibridge.sandbox.control_api import ControlApi
from omnibridge.sandbox.http import Api
from omnibridge.sandbox.hub import SimulatedHub
from omnibridge.sandbox.omnichannel_api import OmnichannelApi
from omnibridge.sandbox.state import User
from omnibridge.sandbox.visitor_api import VisitorApi

SIMULATORS = "omnibridge.simulators"


@dataclass(frozen=True)
class SandboxOptions:
    """port 0 takes a free one. licence: community or enterprise. admin: USER:PASSWORD."""

    port: int = 0
    host: str = "127.0.0.1"
    hub_version: str = "8.3"
    licence: str = "community"
    admin: str = "admin:secret"
    bot_first: bool = True
    webhook_url: str = ""
    webhook_token: str = ""
    http_timeout_ms: int = 5000
    duplicate_rate: float = 0.0
    swap_rate: float = 0.0
    seed: int = 0


class Socket:
    """One ASGI app on one listening socket, in this process."""

    def __init__(self, app: Any, host: str, port: int) -> None:
        self._socket = socket.create_server((host, port), backlog=512)
        self.url = f"http://{host}:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(app, log_level="error", access_log=False, lifespan="on", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """The socket listens already, so callers need not wait: their requests are queued."""
        self._task = asyncio.create_task(self._server._serve([self._socket]))

    async def stop(self) -> None:
        self._server.should_exit = True
        if self._task:
            await self._task
        self._socket.close()


@dataclass
class RunningSandbox:
    """description: what the command prints."""

    url: str
    hub: SimulatedHub
    description: dict[str, Any]
    sockets: list[Socket] = field(default_factory=list)

    async def stop(self) -> None:
        await self.hub.sender.aclose()
        for each in self.sockets:
            await each.stop()


def create_hub(options: SandboxOptions) -> tuple[SimulatedHub, Starlette, dict[str, Any]]:
    """The hub with its users, its app, and what it tells about its accounts."""
    major, minor = (int(part) for part in options.hub_version.split(".")[:2])
    hub = SimulatedHub((major, minor), options.licence, options.seed)
    hub.bot_first = options.bot_first
    sender = hub.sender
    sender.url, sender.token = options.webhook_url, options.webhook_token or secrets.token_urlsafe(24)
    sender.http_timeout_ms = options.http_timeout_ms
    sender.duplicate_rate, sender.swap_rate = options.duplicate_rate, options.swap_rate
    name, _, password = options.admin.partition(":")
    admin = hub.add_user(name, password, {"admin", "user"})
    relay = hub.add_user("omnibridge", "secret", {"bot", "livechat-manager"}, "omnibridge")
    bot = hub.add_user("bot", "secret", {"bot", "livechat-agent"}, "Assistant")
    alice = hub.add_user("alice", "secret", {"user", "livechat-agent"}, "Alice Example")
    api = Api(hub)
    parts = (AgentApi(api), OmnichannelApi(api), VisitorApi(api), ControlApi(api))
    app = Starlette(routes=[route for part in parts for route in part.routes()])

    def account(user: User) -> dict[str, str]:
        return {"username": user.username, "user_id": user.id, "auth_token": hub.issue_token(user)}

    description = {
        "hub_version": options.hub_version,
        "licence": options.licence,
        "admin": {**account(admin), "password": password},
        "service_account": account(relay),
        "bot_account": account(bot),
        "agent_account": account(alice),
        "webhook_token": sender.token,
    }
    return hub, app, description


async def start(options: SandboxOptions) -> RunningSandbox:
    """Run everything in this process and event loop; real sockets all the same."""
    hub, app, description = create_hub(options)
    hub_socket = Socket(app, options.host, options.port)
    hub_socket.start()
    running = RunningSandbox(hub_socket.url, hub, {"url": hub_socket.url, **description}, [hub_socket])
    for each in sorted(entry_points(group=SIMULATORS), key=lambda point: point.name):
        running.description[f"{each.name}_url"] = None
        try:
            simulator = Socket(each.load()(), options.host, 0)
        except Exception as exc:
            print(f"sandbox: simulator {each.name!r} is left out: {exc}", file=sys.stderr)
            continue
        simulator.start()
        running.sockets.append(simulator)
        running.description[f"{each.name}_url"] = simulator.url
    return running


def run(options: SandboxOptions, *, as_json: bool) -> None:
    """Serve until SIGINT or SIGTERM; prints where, and with which accounts."""
    asyncio.run(_run(options, as_json))


async def _run(options: SandboxOptions, as_json: bool) -> None:
    running = await start(options)
    if as_json:
        print(msgspec.json.encode(running.description).decode(), flush=True)
    else:
        print(f"Simulated Rocket.Chat {options.hub_version} ({options.licence}) at {running.url}")
        for key, value in running.description.items():
            print(f"  {key}: {value}")
        print("Ledger and switches: /_sandbox/ledger, /_sandbox/control. Stop with Ctrl-C.", flush=True)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, stop.set)
    await stop.wait()
    await running.stop()
