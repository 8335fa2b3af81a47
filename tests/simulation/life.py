"""One life of the bridge's process: the real service, from its start to its end, on what the world gives it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from omnibridge import bootstrap, bootstrap_bots
from omnibridge.bootstrap import Service
from omnibridge.config import Settings, WorkspaceSettings
from omnibridge.config_connections import ConnectionSettings
from omnibridge.config_values import Secret
from omnibridge.engine import faults
from omnibridge.engine.faults import Faults
from omnibridge.routing.rules import Condition, Rule, RuleSet, Target
from omnibridge.storage import writer
from tests.simulation.clockwork import VirtualLoop
from tests.simulation.disk import database_of
from tests.simulation.vendors import BotClient, HubClient

if TYPE_CHECKING:
    from tests.simulation.world import World

RULES = RuleSet((Rule("staff", "message", (Condition("text", "contains", "staff please"),), Target("queue")),))
TOKEN = "webhook-token"
SETTINGS = Settings(
    workspace=(
        WorkspaceSettings(
            name="main",
            url="http://hub.test",
            user_id="omnibridgeId",
            auth_token=Secret("r"),
            webhook_token=Secret(TOKEN),
        ),
    ),
    connection=(
        ConnectionSettings(name="helper", kind="simulated", rocketchat_user="bot", rocketchat_token=Secret("b")),
    ),
)
_SCOPE = {
    "type": "http",
    "method": "POST",
    "path": "/webhooks/rocketchat/main",
    "headers": [(b"x-rocketchat-livechat-token", TOKEN.encode())],
}


class Life:
    """From a start to a crash or stop. dead: nothing of what still runs has an effect."""

    def __init__(self, world: World, number: int) -> None:
        self.world, self.number, self.dead = world, number, False
        self.is_open = False
        self.loop = VirtualLoop(world.clockwork)
        self.loop.set_exception_handler(self._failed)
        self.database = database_of(world, self)
        self.faults = Faults()
        self.service = Service(SETTINGS, self.faults, world.clockwork)

    def begin(self) -> None:
        self._run(self._begin())

    def take_in(self, body: bytes, answered: Callable[[int], None]) -> None:
        """A webhook; answered: with the HTTP status, if it comes to that."""
        if self.is_open:
            self._run(self._take_in(body, answered))

    def stop(self) -> None:
        """As at SIGTERM."""
        if self.is_open:
            self.is_open = False
            self._run(self._stop())

    def crash(self) -> None:
        """Dead at once."""
        self.dead, self.is_open = True, False
        self.loop.stop()

    def die_at(self, point: str, visits: int) -> None:
        """Crash when a fault point is reached for so many times more; none = not at all."""
        self.faults._point, self.faults._left = point, visits

    async def _begin(self) -> None:
        await self.service.start()
        self.is_open = True

    async def _stop(self) -> None:
        await self.service.stop()
        self.crash()

    async def _take_in(self, body: bytes, answered: Callable[[int], None]) -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start" and not self.dead:
                answered(message["status"])

        endpoint = self.service._webhooks
        assert endpoint is not None
        await endpoint(_SCOPE, receive, send)

    def _run(self, coroutine: Any) -> None:
        self.loop.create_task(coroutine).add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not self.dead and not task.cancelled() and task.exception():
            self.world.problems.append(f"a task failed: {task.exception()!r}")

    def _failed(self, _: object, context: dict[str, Any]) -> None:
        if not self.dead and not self.world.disk.has_failed:
            self.world.problems.append(f"{context.get('message')}: {context.get('exception')!r}")


class _NoThread:
    """The writer's: the loop does its work."""

    def __init__(self, **_: Any) -> None:
        pass

    def start(self) -> None:
        pass

    def join(self) -> None:
        pass


@contextmanager
def surroundings(world: World) -> Iterator[None]:
    """Whatever a service asks of its surroundings is answered by the world."""

    async def opened(_: str) -> Any:
        assert world.life
        return world.life.database

    def client(*_: Any, **__: Any) -> Any:
        return HubClient(world, world.life)

    plugins = SimpleNamespace(create=lambda *_: (BotClient(world, world.life), None))
    with ExitStack() as stack:
        for owner, name, ours in (
            (bootstrap, "open_database", opened),
            (bootstrap_bots, "RocketChatClient", client),
            (bootstrap, "read_rules", lambda _: RULES),
            (bootstrap_bots, "plugins", plugins),
            (writer, "time", SimpleNamespace(perf_counter=world.clockwork.monotonic)),
            (writer, "threading", SimpleNamespace(Thread=_NoThread)),
            (faults, "die", world.crash),
        ):
            stack.enter_context(patch.object(owner, name, ours))
        yield
