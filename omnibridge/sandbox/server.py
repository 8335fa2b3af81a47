"""Starts the simulated hub and the simulators of vendors, each on a socket of its own."""

from __future__ import annotations

import asyncio
import base64
import secrets
import signal
import sys
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from omnibridge.listening import Serving, listen
from omnibridge.sandbox.agent_api import AgentApi
from omnibridge.sandbox.apps_api import AppsApi
from omnibridge.sandbox.avatars import AvatarsApi
from omnibridge.sandbox.channels_api import ChannelsApi
from omnibridge.sandbox.control_api import ControlApi
from omnibridge.sandbox.departments_api import DepartmentsApi
from omnibridge.sandbox.files_api import FilesApi
from omnibridge.sandbox.find_users_api import FindUsersApi
from omnibridge.sandbox.http import Api, reply
from omnibridge.sandbox.hub import SimulatedHub
from omnibridge.sandbox.lifecycle import Lifecycle
from omnibridge.sandbox.omnichannel_api import OmnichannelApi
from omnibridge.sandbox.posting_api import PostingApi
from omnibridge.sandbox.presence_api import PresenceApi
from omnibridge.sandbox.queue_api import QueueApi
from omnibridge.sandbox.realtime.server import Realtime
from omnibridge.sandbox.roles_api import RolesApi
from omnibridge.sandbox.router_simulator import RouterSimulator
from omnibridge.sandbox.session_api import SessionApi
from omnibridge.sandbox.settings_api import SettingsApi
from omnibridge.sandbox.staff_api import StaffApi
from omnibridge.sandbox.state import User
from omnibridge.sandbox.users_api import UsersApi
from omnibridge.sandbox.visitor_api import VisitorApi
from omnibridge.sandbox.webhook_api import WebhookApi
from omnibridge.sandbox.widget_api import WidgetApi

SIMULATORS = "omnibridge.simulators"

_KINDS = (
    SessionApi,
    UsersApi,
    FindUsersApi,
    AvatarsApi,
    PresenceApi,
    StaffApi,
    DepartmentsApi,
    RolesApi,
    AgentApi,
    PostingApi,
    ChannelsApi,
    OmnichannelApi,
    QueueApi,
    WebhookApi,
    VisitorApi,
    FilesApi,
    SettingsApi,
    AppsApi,
    ControlApi,
)


@dataclass(frozen=True)
class SandboxOptions:
    """port 0 takes a free one. licence: community or enterprise. admin: USER:PASSWORD.

    department: name of one to begin with, alice and bot in it; empty = none. simulators: those of the vendors.
    widget: folder of the livechat widget's build; empty = it is not served.
    router: an external system that decides who serves.
    """

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
    simulators: bool = True
    department: str = ""
    rate_limit: bool = False
    widget: str = ""
    router: bool = False


class Socket(Serving):
    """One ASGI app on one listening socket, in this process. url: where. Raises OSError."""

    def __init__(self, app: Any, host: str, port: int) -> None:
        listening = listen(host, port)
        self.url = f"http://{host}:{listening.getsockname()[1]}"
        # DDP has pings of its own; those of WebSocket would hide a client that does not answer them.
        super().__init__(
            app, listening, grace_s=1, log_level="error", lifespan="on", ws="websockets-sansio", ws_ping_interval=None
        )


@dataclass
class RunningSandbox:
    """description: what the command prints."""

    url: str
    hub: SimulatedHub
    description: dict[str, Any]
    life: Lifecycle
    realtime: Realtime
    sockets: list[Socket] = field(default_factory=list)

    async def stop(self) -> None:
        """Long polls end at once; webhooks that wait for a retry are lost, as with the real hub."""
        self.hub.is_stopping = True
        self.hub.changed_everywhere()
        await self.realtime.aclose()
        await self.life.aclose()
        await self.hub.sender.aclose()
        await self.hub.app.aclose()
        await asyncio.gather(*(each.stop() for each in self.sockets))


def create_hub(options: SandboxOptions) -> tuple[SimulatedHub, Lifecycle, Realtime, Starlette, dict[str, Any]]:
    """The hub with its users, its routing, its streams, its app, and what it tells about its accounts."""
    major, minor = (int(part) for part in options.hub_version.split(".")[:2])
    hub = SimulatedHub((major, minor), options.licence, options.seed)
    life = Lifecycle(hub)
    life.bot_first = options.bot_first
    sender = hub.sender
    sender.url, sender.token = options.webhook_url, options.webhook_token or secrets.token_urlsafe(24)
    sender.http_timeout_ms = options.http_timeout_ms
    sender.duplicate_rate, sender.swap_rate = options.duplicate_rate, options.swap_rate
    name, _, password = options.admin.partition(":")
    admin = hub.add_user(name, password, {"admin", "user"})
    relay = hub.add_user("omnibridge", "secret", {"bot", "livechat-manager"}, "omnibridge")
    bot = hub.add_user("bot", "secret", {"bot", "livechat-agent"}, "Assistant")
    alice = hub.add_user("alice", "secret", {"user", "livechat-agent"}, "Alice Example")
    if options.department:
        hub.add_department(options.department, {bot.id, alice.id})
    api = Api(hub, life)
    api.limiter.is_on = options.rate_limit
    realtime = Realtime(api)
    routes: list[BaseRoute] = [route for kind in _KINDS for route in kind(api).routes()]
    routes += [*WidgetApi(api, options.widget).routes(), *realtime.routes()]
    app = Starlette(routes=routes, exception_handlers={404: _not_found, 405: _not_found})

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
    return hub, life, realtime, app, description


async def _not_found(_: Request, __: Exception) -> Response:
    return reply({"success": False, "error": "Resource not found"}, 404)


async def start(options: SandboxOptions) -> RunningSandbox:
    """Run everything in this process and event loop; real sockets all the same."""
    hub, life, realtime, app, description = create_hub(options)
    hub_socket = Socket(app, options.host, options.port)
    await hub_socket.start()
    hub.app.site = hub_socket.url
    running = RunningSandbox(hub_socket.url, hub, {"url": hub_socket.url, **description}, life, realtime, [hub_socket])
    if options.router:
        secret = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
        router = Socket(RouterSimulator(secret).app(), options.host, 0)
        await router.start()
        running.sockets.append(router)
        running.description |= {"router_url": f"{router.url}/", "router_secret": secret}
    found = entry_points(group=SIMULATORS) if options.simulators else ()
    for each in sorted(found, key=lambda point: point.name):
        running.description[f"{each.name}_url"] = None
        try:
            app = each.load()()
            simulator = Socket(app, options.host, 0)
            await simulator.start()
        except Exception as exc:
            print(f"sandbox: simulator {each.name!r} is left out: {exc}", file=sys.stderr)
            continue
        running.sockets.append(simulator)
        running.description[f"{each.name}_url"] = simulator.url
        # TOML that a connection to this simulator needs besides the address, such as its secret.
        state = getattr(app, "state", None)
        settings = getattr(state, "connection_settings", "")
        running.description[f"{each.name}_settings"] = settings
        # The whole of it; a simulator whose service is not HTTP names another address than that of its switches.
        address = "" if settings.startswith("url = ") else f'url = "{simulator.url}"\n'
        running.description[f"{each.name}_connection"] = address + settings
    return running


def run(options: SandboxOptions, *, as_json: bool) -> None:
    """Serve until SIGINT or SIGTERM; prints where, and with which accounts."""
    asyncio.run(_run(options, as_json))


async def _run(options: SandboxOptions, as_json: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):  # before anything is printed: a reader may end us right then
        loop.add_signal_handler(each, stop.set)
    running = await start(options)
    if as_json:
        print(msgspec.json.encode(running.description).decode(), flush=True)
    else:
        print(f"Simulated Rocket.Chat {options.hub_version} ({options.licence}) at {running.url}")
        print("\n".join(_shown(running.description)))
        print("Ledger and switches: /_sandbox/ledger, /_sandbox/control. Stop with Ctrl-C.", flush=True)
    await stop.wait()
    await running.stop()


def _shown(description: dict[str, Any]) -> list[str]:
    """For people: what a connection needs once, as it is written into the configuration."""
    lines = []
    for key, value in description.items():
        if key.endswith("_connection"):
            lines += [f"  {key.removesuffix('_connection')}, in the configuration:"]
            lines += [f"    {each}" for each in value.splitlines()]
        elif isinstance(value, dict):
            lines += [f"  {key}: {', '.join(f'{name} {each}' for name, each in value.items())}"]
        elif not key.endswith("_settings"):
            lines += [f"  {key}: {value}"]
    return lines
