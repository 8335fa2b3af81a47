"""External decisions while the process is killed with `kill -9`, at random and at the decision's own points.

`python -m tests.soak.decisions --kills 120 --seed 1`: hub and external router in this process, the bridge in another
one that dies again and again. Chats are decided in all four ways: asked, by ticket and callback, pushed with an
Idempotency-Key, and through the External routing method, whose holding bot has them until it is decided. Then
the router's ledger, the hub's and our own journal are compared (`verdict_of_decisions.py`), each key is pushed once
more, and every decision is made again (`omnibridge replay --all`). Exit 1 when anything differs or a point is not hit.

`--auto`: the hub gives each new chat to an agent at once (Auto Selection), and what is decided counts more: the room is
moved to him, once. A run of its own, because a running bridge learns of another routing method only by the minute.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pysqlite3.dbapi2 as sqlite

from omnibridge.engine.faults import DECISION_POINTS
from omnibridge.sandbox.configured import workspace
from omnibridge.sandbox.router_simulator import RouterSimulator
from omnibridge.sandbox.server import SandboxOptions, Socket, start
from omnibridge.sandbox.state import new_id
from omnibridge.sandbox.visitor import SandboxClient, Visitor
from omnibridge.storage import api_tokens
from omnibridge.storage.api_tokens import ApiToken
from omnibridge.storage.database import connect, migrate
from tests.soak.processes import Bridge, folder_of
from tests.soak.verdict_of_decisions import judge

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
HUB_TOKEN = "token-of-the-hub"
AGENTS = {f"00{n:02}": f"agent{n:02}" for n in range(20)}
"""External id -> user name."""

RANDOM = "any moment"
AUTO = "Auto_Selection"
FAULT_LIMIT_S = 60.0
"""A point must be reached within this time. Where all webhooks of the waiting chats were given up, the reconciler has
to find them first."""

PATIENCE_S = 5.0
"""So long a visitor keeps his place among those who chat at a time."""

SERVED_LIMIT_S = 300.0
"""After the last start. A room that no webhook told of is found by comparing all of them, ten calls a second."""


class PatientRouter(RouterSimulator):
    """Every other question is answered with a ticket; the answer to one is sent again until it is taken."""

    def _answer(self, request_id: str, question: dict[str, Any]) -> tuple[Any, int]:
        self.mode = "ticket" if len(self.decisions) % 2 else "agent"
        return super()._answer(request_id, question)

    async def _call_back(self, path: str, answer: dict[str, Any]) -> None:
        request_id = new_id()
        for _ in range(600):
            await asyncio.sleep(0.1)
            with contextlib.suppress(aiohttp.ClientError):  # the bridge is dead
                status = await self.post_back(path, answer, request_id)
                self.callbacks.append(status)
                if status < 500:
                    return


class Soak:
    """visitors: chats at a time. points: where the process dies, in turn. methods: of routing, in turn. Everything
    random comes from the seed."""

    def __init__(
        self,
        kills: int,
        seed: int,
        visitors: int,
        folder: Path,
        points: tuple[str, ...] = (*DECISION_POINTS, RANDOM),
        methods: tuple[str, ...] = ("Manual_Selection", "External"),
    ) -> None:
        self._methods, self._chooses = methods, AUTO in methods
        self._kills, self._visitors, self._folder, self._points = kills, visitors, folder, points
        self._random = random.Random(seed)
        self._router = PatientRouter(SECRET)
        self._n, self._stopping, self._calm_at = 0, False, float("inf")
        self._pushing: list[asyncio.Task[None]] = []
        self.pushed: dict[str, tuple[str, str, list[Any]]] = {}
        self.kills_by_point: Counter[str] = Counter()
        self.failures: list[str] = []

    async def run(self) -> dict[str, Any]:
        began = time.monotonic()
        self._sandbox = sandbox = await start(
            SandboxOptions(
                simulators=False, licence="enterprise", bot_first=False,
                duplicate_rate=0.07, swap_rate=0.08, http_timeout_ms=1200,
            )
        )  # fmt: skip
        socket = Socket(self._router.app(), "127.0.0.1", 0)
        await socket.start()
        client = self._client = SandboxClient(sandbox.url)
        bridge = self._bridge = Bridge(self._folder, {}, "", text=self._configuration(socket.url))
        self._token = self._make_token(bridge.database)
        self._router.bridge_url, self._router.delay_ms = bridge.url, 20
        sandbox.life.external.worker_ms = 500
        try:
            await client.control(
                routing_method=self._methods[0],
                webhook_url=f"{bridge.url}/webhooks/rocketchat/main",
                external_url=f"{bridge.url}/external/main",
                external_token=HUB_TOKEN,
            )
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
                self._session = session
                load = [asyncio.create_task(self._chat_on_and_on()) for _ in range(self._visitors)]
                await self._crash_again_and_again()
                self._stopping = True
                await asyncio.gather(*load)
                await asyncio.gather(*self._pushing)
                for room in list(sandbox.hub.rooms):
                    if not await self._served(room, self._calm_at + SERVED_LIMIT_S):
                        self.failures.append(f"{room} was not served {SERVED_LIMIT_S:g} s after the last start")
                for room in self.pushed:
                    await self._push_into(room)
                await bridge.stop()
        finally:
            await bridge.kill()
            await client.aclose()
            await sandbox.stop()
            await socket.stop()
        verdict = judge(
            sandbox.hub.rooms.values(), self._router.decisions, self.pushed, self._effects(bridge.database), AGENTS,
            hub_chooses=self._chooses,
        )  # fmt: skip
        verdict["wrong"] += self.failures
        replayed = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "omnibridge", "replay", "--all", "--config", str(self._folder / "omnibridge.toml")],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return {
            **verdict,
            "replay": f"exit {replayed.returncode}: {replayed.stdout.strip()}",
            "replay_is_clean": replayed.returncode == 0,
            "callbacks": dict(Counter(self._router.callbacks)),
            "kills": self.kills_by_point.total(),
            "kills_by_point": dict(self.kills_by_point),
            "seconds": round(time.monotonic() - began, 1),
        }

    async def _crash_again_and_again(self) -> None:
        points = self._points
        for n in range(self._kills):
            point = points[n % len(points)]
            # Each point in turn with each method; what waits from before is found by the worker of External.
            method = self._methods[(n + n // len(points)) % len(self._methods)]
            await self._client.control(routing_method=method)
            if point == RANDOM:
                await self._bridge.start()
                await asyncio.sleep(self._random.uniform(0.3, 2.5))
                await self._bridge.kill()
                self.kills_by_point[point] += 1
                continue
            await self._bridge.start(f"{point}:{self._random.randint(1, 6)}")
            if await self._bridge.died(FAULT_LIMIT_S):
                self.kills_by_point[point] += 1
            else:
                self.failures.append(f"{point} was not reached within {FAULT_LIMIT_S:g} s")
                await self._bridge.kill()
        await self._bridge.start()
        await self._bridge.ready(self._session)
        self._calm_at = time.monotonic()

    async def _chat_on_and_on(self) -> None:
        while not self._stopping:
            self._n += 1
            number, is_pushed = self._n, self._n % 3 == 0
            visitor = Visitor(self._client, f"Visitor {number}")
            await visitor.open_room(department=self._departments["pushed" if is_pushed else "asked"])
            if is_pushed:
                key, agent = f"key-{number}", self._random.choice(list(AGENTS))
                self.pushed[visitor.rid] = (key, agent, [])
                # Twice at once, as a caller does that lost the first answer.
                self._pushing += [asyncio.create_task(self._push_into(visitor.rid)) for _ in range(2)]
            # One that waits for the reconciler must not keep the others from coming: it is waited for at the end.
            await self._served(visitor.rid, time.monotonic() + PATIENCE_S)

    async def _push_into(self, room: str) -> None:
        key, agent, answers = self.pushed[room]
        answers.append(await self._push(room, agent, key))

    async def _push(self, room: str, agent: str, key: str) -> Any:
        """The answer, asked for again under the same key until there is one."""
        url = f"{self._bridge.url}/api/v1/conversations/{room}/assignment"
        headers = {"Authorization": f"Bearer {self._token}", "Idempotency-Key": key}
        body = {"external_system": "crm", "external_id": agent}
        status: Any = "no answer"
        while time.monotonic() < self._calm_at + SERVED_LIMIT_S:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):  # the bridge is dead
                async with self._session.post(url, json=body, headers=headers) as answer:
                    status = answer.status
                    if status == 202:
                        return await answer.json()
            await asyncio.sleep(0.05)  # 404: the hub has not told it of the room yet
        return f"{status} to the end"

    async def _served(self, room: str, until: float) -> bool:
        """Until the hub says that an agent serves; where it chose one itself, that it is who was decided."""
        while time.monotonic() < until:
            server = self._sandbox.hub.rooms[room].served_by
            username = server.username if server else "holding"
            if username != "holding" and (not self._chooses or username == self._decided(room)):
                return True
            await asyncio.sleep(0.05)
        return False

    def _decided(self, room: str) -> str:
        if room in self.pushed:
            return AGENTS[self.pushed[room][1]]
        found = (each["external_id"] for each in self._router.decisions if each["conversation"] == room)
        return AGENTS.get(next(found, ""), "")

    def _effects(self, database: Path) -> dict[str, int]:
        """Room -> how often our journal has it that somebody was pushed."""
        sql = (
            "SELECT c.room, count(*) FROM events e JOIN conversations c ON c.id = e.conversation_id "
            "WHERE e.kind = 'AssignmentRequested' AND e.data LIKE '%\"by\":\"token:%' GROUP BY c.room"
        )
        with contextlib.closing(sqlite.connect(str(database))) as reader:
            return dict(reader.execute(sql).fetchall())

    def _make_token(self, database: Path) -> str:
        migrate(database)
        identity, token, digest = api_tokens.new_token()
        with contextlib.closing(connect(database)) as connection:
            row = ApiToken(identity, "router", "assign read", "main", "crm", 1, "soak")
            api_tokens.add(connection.cursor(), row, digest)
        return token

    def _configuration(self, router_url: str) -> str:
        hub, told = self._sandbox.hub, self._sandbox.description
        for username in (*AGENTS.values(), "holding"):
            hub.add_user(username, "secret", {"livechat-agent", "bot" if username == "holding" else "user"})
        # A hub gives a room to a bot of its department whatever the method: so none is where nobody shall be asked.
        for name, others in (("asked", ("holding",)), ("pushed", ())):
            hub.add_department(name, {hub.by_name[each].id for each in (*AGENTS.values(), *others)})
        self._departments = {each.name: each.id for each in hub.departments.values()}
        self._router.agents = {"": list(AGENTS)}
        table = "\n".join(f'"{key}" = "{value}"' for key, value in AGENTS.items())
        rule = f"""default = "decider:crm"
[[rule]]
name = "pushed"
when = {{ department = "{self._departments["pushed"]}" }}
target = "queue"
"""
        (self._folder / "rules.toml").write_text(rule, "utf-8")
        return f"""
[server]
port = PORT
[database]
url = "sqlite:///soak.db"
[rules]
file = "rules.toml"
{workspace(told)}
external_token = "{HUB_TOKEN}"
holding_bots = {{ "{self._departments["asked"]}" = "holding" }}
[[decider]]
name = "crm"
url = "{router_url}/"
secret = "{SECRET}"
timeout_ms = 20000
[assignment.agents.crm]
{table}
"""


def is_clean(result: dict[str, Any], kills: int) -> bool:
    """Nothing wrong, every kill at its point, as many decisions as chats."""
    as_many = result["chats"] == result["decisions"] > 0
    return as_many and not result["wrong"] and bool(result["replay_is_clean"]) and result["kills"] == kills


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak-decisions ARGS=…", description=__doc__)
    parser.add_argument("--kills", type=int, default=117)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--visitors", type=int, default=6, help="chats at a time")
    parser.add_argument("--auto", action="store_true", help="the hub gives each chat to an agent itself at first")
    parser.add_argument("--keep", type=Path, help="folder for configuration, database and log")
    wish = parser.parse_args()
    with folder_of(wish.keep) as folder:
        methods = {"methods": (AUTO,)} if wish.auto else {}
        result = asyncio.run(Soak(wish.kills, wish.seed, wish.visitors, folder, **methods).run())
    for key, value in result.items():
        print(f"{key:16} {value if isinstance(value, str | float) else json.dumps(value)}")
    return 0 if is_clean(result, wish.kills) else 1


if __name__ == "__main__":
    sys.exit(main())
