"""A database of the real kind, a simulated hub behind its socket, and the service between them."""

from __future__ import annotations

import base64
import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from omnibridge.clock import FixedClock
from omnibridge.demo_stage import AGENT_FIELD
from omnibridge.domain.agents import AgentFound, AgentRefused, ExternalAgent
from omnibridge.identity import sync
from omnibridge.identity.avatars import Avatars
from omnibridge.identity.policy import Policy
from omnibridge.identity.service import Identity
from omnibridge.identity.vault import Vault
from omnibridge.identity.world import World
from omnibridge.rocketchat.calls import Calls, Credentials
from omnibridge.rocketchat.client import RocketChatClient
from omnibridge.rocketchat.provisioning import Provisioner
from omnibridge.sandbox.hub import SimulatedHub
from omnibridge.sandbox.server import RunningSandbox, SandboxOptions, Socket, start
from omnibridge.sandbox.state import User
from omnibridge.sandbox.visitor import SandboxClient, VisitorClient
from omnibridge.storage.database import Database, open_database
from omnibridge.storage.seats import Budget

DECLARED = AGENT_FIELD
RIGHTS = (
    "create-user", "assign-roles", "edit-other-user-info", "edit-other-user-avatar", "view-full-other-user-info",
    "edit-other-user-active-status", "view-d-room",
)  # fmt: skip
"""Of the provisioner, as README names them."""

OPEN = Policy(creation=True, budget=Budget(1000, 1000, 1000), avatar_hosts=())
KEYS = f"k1:{base64.urlsafe_b64encode(os.urandom(32)).decode()}"


def add_provisioner(hub: SimulatedHub) -> tuple[User, Credentials]:
    """A user who may make users."""
    user = hub.add_user("provisioner", "secret", {"bot", "provisioner"}, "Provisioner")
    for each in RIGHTS:
        hub.rules.permissions[each] |= {"provisioner"}
    token = hub.accounts.issue_access_token(user, "omnibridge", bypasses_two_factor=True).token
    return user, Credentials(user.id, token)


def configured_provisioner(hub: SimulatedHub, folder: Path) -> str:
    """The hub has him and his field, the folder `keys`; the lines of [[workspace]] that name him."""
    hub.change_setting("Accounts_CustomFields", json.dumps(DECLARED))
    (folder / "keys").write_text(KEYS, "utf-8")
    _, account = add_provisioner(hub)
    return f'provisioner_user_id = "{account.user_id}"\nprovisioner_token = "{account.auth_token}"'


class Killed(BaseException):
    """The process died here."""


@dataclass
class Bridge:
    """The service on one hub and one database. restart: as a new process would find them."""

    sandbox: RunningSandbox
    database: Database
    policy: Policy
    clock: FixedClock
    outcomes: Counter[str] = field(default_factory=Counter)
    alarms: Counter[str] = field(default_factory=Counter)
    keys: str = KEYS
    hubs: list[Provisioner] = field(default_factory=list)
    clients: list[SandboxClient] = field(default_factory=list)

    def __post_init__(self) -> None:
        told = self.sandbox.description["service_account"]
        self.relay = Credentials(told["user_id"], told["auth_token"])
        self.user, self.account = add_provisioner(self.sandbox.hub)
        self.restart()

    def restart(self, **changes: Any) -> None:
        self.policy = msgspec.structs.replace(self.policy, **changes)
        self.hub = Provisioner(self.sandbox.url, self.relay, self.account)
        self.hubs.append(self.hub)
        self.world = World(
            self.database, self.policy, self.clock, Vault(self.keys), lambda name: self.outcomes.update([name]),
            lambda name: self.alarms.update([name]), Avatars(self.policy.avatar_hosts),
        )  # fmt: skip
        self.identity = Identity(self.world, {"main": self.hub})

    async def aclose(self) -> None:
        for each in (*self.hubs, *self.clients):
            await each.aclose()
        await self.world.avatars.aclose()

    async def sync(self) -> dict[str, int]:
        return await sync.run(self.hub, self.database, "main", self.policy.custom_field, self.clock)

    async def ensure(
        self, external_id: str, name: str = "", visitor: str = "", **more: Any
    ) -> AgentFound | AgentRefused:
        agent = ExternalAgent("crm", external_id, name or f"Agent {external_id}", **more)
        return await self.identity.ensure("main", agent, "test", visitor)

    async def found(self, external_id: str, name: str = "", **more: Any) -> AgentFound:
        outcome = await self.ensure(external_id, name, **more)
        assert isinstance(outcome, AgentFound), outcome
        return outcome

    async def refusal(self, external_id: str, **more: Any) -> str:
        outcome = await self.ensure(external_id, **more)
        assert isinstance(outcome, AgentRefused), outcome
        return outcome.reason

    def user_of(self, found: AgentFound) -> User:
        return self.sandbox.hub.users[found.user_id]

    def made(self) -> list[str]:
        """User names that the hub was made to add over REST."""
        return [each["user"] for each in self.sandbox.hub.accounts.audit if each["what"] == "created"]

    def members(self, department: str) -> list[str]:
        users = self.sandbox.hub.users
        (found,) = [each for each in self.sandbox.hub.departments.values() if each.name == department]
        return sorted(users[each].username for each in found.agents)

    def client(self) -> SandboxClient:
        """Closed after the test."""
        self.clients.append(SandboxClient(self.sandbox.url))
        return self.clients[-1]

    async def chat(self, found: AgentFound) -> VisitorClient:
        """A visitor whose room this agent takes."""
        return await self.serve(found, None)

    async def serve(self, found: AgentFound, visitor: VisitorClient | None) -> VisitorClient:
        """Hand a visitor's room to this agent; None = a new visitor's."""
        if visitor is None:
            visitor = VisitorClient(self.client(), "Vera")
            await visitor.open_room()
        client = RocketChatClient(self.sandbox.url, self.relay)
        try:
            room = await client.room(visitor.rid)
            if room.served_by is None or room.served_by.id != found.user_id:
                await client.forward_to_agent(visitor.rid, found.user_id)
        finally:
            await client.aclose()
        return visitor

    def picture(self, found: AgentFound) -> bytes:
        """As the hub has it now."""
        avatar = self.user_of(found).avatar
        return avatar.content if avatar else b""

    def declare(self, text: str) -> None:
        self.sandbox.hub.change_setting("Accounts_CustomFields", text)

    def kill_at(self, step: int, *, after: bool) -> None:
        """Die at the step-th REST call from now; after: when the hub has done it."""
        calls: Calls = self.hub._calls
        exchange, n = calls.exchange, 0

        async def dying(*arguments: Any, **options: Any) -> Any:
            nonlocal n
            n += 1
            if n == step and not after:
                raise Killed
            answer = await exchange(*arguments, **options)
            if n == step:
                raise Killed
            return answer

        calls.exchange = dying  # type: ignore[method-assign]


PNG = b"\x89PNG\r\n\x1a\n"


@pytest_asyncio.fixture
async def pictures() -> AsyncIterator[str]:
    """HOST:PORT of a server that gives /NAME.png as a picture of its own, and other things."""

    async def give(request: Request) -> Response:
        name = request.path_params["name"]
        if name == "elsewhere":
            return Response(status_code=302, headers={"Location": "/ann.png"})
        content = {"page": b"<html>", "huge": PNG + b"x" * 2_000_000}.get(name, PNG + name.encode())
        return Response(content)

    server = Socket(Starlette(routes=[Route("/{name}", give)]), "127.0.0.1", 0)
    await server.start()
    yield server.url.removeprefix("http://")
    await server.stop()


MakeBridge = Callable[..., Awaitable[Bridge]]


@pytest_asyncio.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await open_database(f"sqlite:///{tmp_path}/test.db")
    yield opened
    await opened.aclose()


@pytest.fixture
async def make_bridge(database: Database) -> AsyncIterator[MakeBridge]:
    """make_bridge("7.7", policy=…, synced=False, declared=False)"""
    async with AsyncExitStack() as stack:

        async def make(
            version: str = "8.3", *, policy: Policy = OPEN, synced: bool = True, declared: bool = True, **options: Any
        ) -> Bridge:
            chosen = {"simulators": False, "department": "sales", "bot_first": False, **options}
            sandbox = await start(SandboxOptions(hub_version=version, **chosen))
            stack.push_async_callback(sandbox.stop)
            bridge = Bridge(sandbox, database, policy, FixedClock())
            stack.push_async_callback(bridge.aclose)
            if declared:
                bridge.declare(json.dumps(DECLARED))
            if synced:
                await bridge.sync()
            return bridge

        yield make
