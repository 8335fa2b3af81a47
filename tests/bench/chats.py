"""`make bench-chats`: what an idle chat with a Salesforce agent costs: memory, CPU, file descriptors.

The bridge is `omnibridge serve` with its database, the org a process of its own, the hub and the visitors this one.
Each visitor opens a room and says one thing, an agent of the org accepts, and then nobody says anything. Measured is
the bridge before any chat, with all of them idle, and after kill -9 when all of them are followed again. Exit 1 when a
budget is not kept.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import resource
import ssl
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pysqlite3.dbapi2 as sqlite
import uvloop

from connectors.salesforce_live_agent.simulated.service import BUTTON_ID, DEPLOYMENT_ID
from connectors.salesforce_messaging.simulated.org import DEVELOPER_NAME, ORG_ID
from omnibridge.sandbox.server import RunningSandbox, SandboxOptions, start
from omnibridge.sandbox.visitor import SandboxClient, Visitor
from tests.bench.process import Process, gauge
from tests.certificates import chain
from tests.command_line import omnibridge
from tests.soak.desk_configuration import configuration
from tests.soak.processes import Bridge

BUDGETS = {"kb_per_chat": 32.0, "kb_per_further_chat": 30.0, "kb_per_chat_after_kill": 30.0}
"""Figures must stay below. `kb_per_chat` counts too what is filled once, whatever the number of chats: the database's
page cache, lanes."""
WITH_TLS = 40.0
"""How much more they may be: OpenSSL alone takes 21 KB for a connection, ours on it 24; the rest is of a busy machine.
Not where streams share connections. See README.md."""

PROTOCOLS = ("messaging", "live_agent")
AT_A_TIME = 64
"""Visitors who came and have no agent yet: with all at once the bridge would keep the memory of its longest queue."""
STREAM_ALIVE = 0.98
"""Live Agent's polls end and begin: a few are always between two."""
FILES = 512
"""Besides those of the chats: in each process."""

CONNECTIONS = {
    "messaging": f"""
kind = "salesforce_messaging"
url = "ORG"
org_id = "{ORG_ID}"
es_developer_name = "{DEVELOPER_NAME}"
""",
    "live_agent": f"""
kind = "salesforce_live_agent"
endpoint = "ORG/chat/rest/"
org_id = "{ORG_ID}"
deployment_id = "{DEPLOYMENT_ID}"
button_id = "{BUTTON_ID}"
""",
}


class Org:
    """The simulated org's process. is_tls: with a certificate made now, which `trusted` is the file of."""

    def __init__(self, protocol: str, folder: Path, *, is_tls: bool) -> None:
        self._protocol, self._folder, self._is_tls = protocol, folder, is_tls
        self.url, self.trusted = "", ""
        self._session: aiohttp.ClientSession | None = None
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        more: list[str] = []
        trust: ssl.SSLContext | bool = True
        if self._is_tls:
            own, root = chain(self._folder, "127.0.0.1")
            more, self.trusted = ["--certificate", str(own)], str(root)
            trust = ssl.create_default_context(cafile=self.trusted)
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.bench.chats_org", "--protocol", self._protocol, *more,
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert self._process.stdout
        async with asyncio.timeout(20):
            self.url = json.loads(await self._process.stdout.readline())["url"]
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust))

    async def figures(self) -> dict[str, int]:
        """chats: with an agent. followed: whose news are asked for right now. double: asked for twice at a time."""
        assert self._session
        async with self._session.get(f"{self.url}/_bench") as answer:
            return dict(await answer.json())

    async def stop(self) -> None:
        if self._session:
            await self._session.close()
        if self._process and self._process.returncode is None:
            self._process.kill()  # in good order it would wait for its streams
            await self._process.wait()


class Bench:
    """One protocol, plain or with TLS."""

    def __init__(
        self,
        folder: Path,
        protocol: str,
        chats: int,
        idle_s: float,
        *,
        is_tls: bool,
        is_http2: bool = False,
        at_a_time: int = AT_A_TIME,
    ) -> None:
        self._folder, self._protocol, self._chats, self._idle_s = folder, protocol, chats, idle_s
        self._at_a_time = at_a_time
        self._limit_s = 60 + chats / 8
        self._org = Org(protocol, folder, is_tls=is_tls)
        self._connection = CONNECTIONS[protocol] + ('streams = "http2"\n' if is_http2 else "")
        self.visitors: list[Visitor] = []
        self.at_start = 0, 0.0
        """Files and tasks before the first chat."""

    async def measure(self, then: Callable[[Bench], Awaitable[None]] | None = None) -> dict[str, float]:
        """then: what is done with the idle chats in place of the kill."""
        sandbox = await start(SandboxOptions(simulators=False, bot_first=True, http_timeout_ms=30_000))
        self.client = SandboxClient(sandbox.url)
        try:
            async with self._running(sandbox):
                result, empty_kb = await self._idle_chats()
                if then:
                    await then(self)
                    return result
                return result | await self._followed_again(empty_kb)
        finally:
            await self.client.aclose()
            await sandbox.stop()
            await self._org.stop()

    @contextlib.asynccontextmanager
    async def _running(self, sandbox: RunningSandbox) -> AsyncIterator[None]:
        await self._org.start()
        before = os.environ.get("SSL_CERT_FILE")
        if self._org.trusted:
            os.environ["SSL_CERT_FILE"] = self._org.trusted
        self.bridge = bridge = Bridge(
            self._folder,
            {},
            "",
            text=configuration(sandbox, self._folder, self._connection.replace("ORG", self._org.url), "warning"),
        )
        try:
            await self.client.control(webhook_url=f"{bridge.url}/webhooks/rocketchat/main")
            async with aiohttp.ClientSession() as self._session:
                await self._begin()
                synced = await omnibridge(self._folder, "agents", "sync")
                assert synced.code == 0, synced.err
                yield
            await bridge.stop()
        finally:
            await bridge.kill()
            if before is None:
                os.environ.pop("SSL_CERT_FILE", None)
            else:
                os.environ["SSL_CERT_FILE"] = before

    async def _begin(self) -> None:
        await self.bridge.start()
        assert await self.bridge.ready(self._session) is not None, "the bridge did not start: see bridge.log"
        self.process = Process(self.bridge.pid)

    async def _idle_chats(self) -> tuple[dict[str, float], int]:
        """Figures, and the memory before."""
        await asyncio.sleep(min(2.0, self._idle_s))  # what a start leaves for later is done
        empty, no_files = self.process.memory_kb(), self.process.files()
        self.at_start = no_files, await self.gauge("tasks")
        began, cpu = time.monotonic(), self.process.cpu_s()
        await self._open(self._chats // 2)
        await self.quiet()
        half = self.process.memory_kb()
        await self._open(self._chats)
        opened_s, opened_cpu_s = time.monotonic() - began, self.process.cpu_s() - cpu
        await self.quiet()
        written_kb = self.process.written_kb()
        cpu_s = await self._idle()
        written_kb = self.process.written_kb() - written_kb
        idle, files = self.process.memory_kb(), self.process.files()
        result: dict[str, float] = {
            "chats": self._chats,
            "opened_s": opened_s,
            "cpu_ms_per_opening": opened_cpu_s / self._chats * 1000,
            "empty_mb": empty["pss"] / 1024,
            "idle_mb": idle["pss"] / 1024,
            "kb_per_chat": (idle["pss"] - empty["pss"]) / self._chats,
            "kb_per_further_chat": (idle["pss"] - half["pss"]) / (self._chats - self._chats // 2),
            "rss_kb_per_chat": (idle["rss"] - empty["rss"]) / self._chats,
            "cpu_s_per_chat_hour": cpu_s / self._chats * 3600 / self._idle_s,
            "written_kb_per_s": written_kb / self._idle_s,
            "files_per_chat": (files - no_files) / self._chats,
        }
        return result, empty["pss"]

    async def _followed_again(self, empty_kb: int) -> dict[str, float]:
        await self.bridge.kill()
        began = time.monotonic()
        await self.org_says(lambda told: told["followed"] == 0, "polls of a dead process end")
        await self._begin()
        ready_s = time.monotonic() - began
        await self.org_says(lambda told: told["followed"] >= self._chats * STREAM_ALIVE, "all are followed again")
        followed_s = time.monotonic() - began
        await self.quiet()
        cpu_s = await self._idle()
        again, told = self.process.memory_kb(), await self._org.figures()
        return {
            "ready_after_kill_s": ready_s,
            "followed_after_kill_s": followed_s,
            "kb_per_chat_after_kill": (again["pss"] - empty_kb) / self._chats,
            "cpu_s_per_chat_hour_after_kill": cpu_s / self._chats * 3600 / self._idle_s,
            "ended": self._chats - told["chats"],
            "followed_twice": told["double"],
        }

    async def _open(self, most: int) -> None:
        """Until there are so many chats."""
        coming: set[asyncio.Task[None]] = set()

        async def come(n: int) -> None:
            visitor = Visitor(self.client, f"Visitor {n}")
            await visitor.open_room(email=f"visitor{n}@example.com")
            await visitor.say(f"Hello, where is my order {n}?")
            self.visitors.append(visitor)

        begun = served = len(self.visitors)
        until = time.monotonic() + self._limit_s
        while begun < most:
            for n in range(begun, min(most, served + self._at_a_time)):
                coming.add(asyncio.create_task(come(n)))
                begun += 1
            for each in [each for each in coming if each.done()]:
                coming.discard(each)
                each.result()
            await asyncio.sleep(0.02)
            served = (await self._org.figures())["chats"]
            if time.monotonic() > until:
                raise TimeoutError(f"{served} of {begun} visitors have an agent")
        await asyncio.gather(*coming)
        enough = most * STREAM_ALIVE
        await self.org_says(lambda told: told["chats"] >= most and told["followed"] >= enough, "all are served")

    async def quiet(self) -> None:
        """Until the bridge has nothing left to decide or to send."""
        sql = (
            "SELECT (SELECT count(*) FROM deliveries WHERE state = 0 AND stream NOT LIKE 'timer:%') + "
            "(SELECT count(*) FROM observations WHERE state = 0)"
        )
        until = time.monotonic() + self._limit_s
        with contextlib.closing(sqlite.connect(str(self.bridge.database))) as reader:
            while left := reader.execute(sql).fetchone()[0]:
                if time.monotonic() > until:
                    raise TimeoutError(f"{left} rows are not settled")
                await asyncio.sleep(0.1)

    async def gauge(self, name: str) -> float:
        return await gauge(self._session, self.bridge.url, name)

    async def org_says(self, holds: Callable[[dict[str, int]], bool], what: str) -> dict[str, int]:
        """The figures of the org, once they are so. Raises TimeoutError."""
        until = time.monotonic() + self._limit_s
        while not holds(told := await self._org.figures()):
            if time.monotonic() > until:
                raise TimeoutError(f"in vain: {what}; {told}")
            await asyncio.sleep(0.1)
        return told

    async def _idle(self) -> float:
        """CPU seconds while nothing is said."""
        before = self.process.cpu_s()
        await asyncio.sleep(self._idle_s)
        return self.process.cpu_s() - before


def allow_files(wanted: int) -> None:
    """Of this process and those that it starts. Raises SystemExit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise SystemExit(f"{wanted} open files are needed, and {hard} are allowed: ulimit -n {wanted}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench-chats ARGS=…", description=__doc__)
    parser.add_argument("--protocol", choices=(*PROTOCOLS, "both"), default="both")
    parser.add_argument("--tls", choices=("no", "yes", "both"), default="both")
    parser.add_argument("--http2", choices=("no", "yes", "both"), default="both", help="messaging with TLS: streams")
    parser.add_argument("--chats", type=int, default=5000)
    parser.add_argument("--at-a-time", type=int, default=AT_A_TIME, help="visitors without an agent yet")
    parser.add_argument("--idle-s", type=float, default=60.0, help="how long CPU is measured, twice a run")
    parser.add_argument("--keep", type=Path, help="folder for configuration, database and log")
    parser.add_argument("--json", action="store_true")
    wish = parser.parse_args()
    allow_files(2 * wish.chats + FILES)
    protocols = PROTOCOLS if wish.protocol == "both" else (wish.protocol,)
    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="omnibridge-bench-") as folder:
        for protocol in protocols:
            for is_tls, is_http2 in ways(protocol, wish.tls, wish.http2):
                name = protocol + ("_http2" if is_http2 else "_tls" if is_tls else "")
                path = (wish.keep or Path(folder)) / name
                path.mkdir(parents=True, exist_ok=True)
                given = {"is_tls": is_tls, "is_http2": is_http2, "at_a_time": wish.at_a_time}
                bench = Bench(path, protocol, wish.chats, wish.idle_s, **given)
                results[name] = uvloop.run(bench.measure())
                if not wish.json:
                    _print(name, results[name])
    over = [f"{name}: {each}" for name, found in results.items() for each in exceeded(name, found)]
    if wish.json:
        print(json.dumps({**results, "over": over}))
    return 1 if over else 0


def ways(protocol: str, tls: str, http2: str) -> list[tuple[bool, bool]]:
    """(TLS, HTTP/2 for the streams), the latter with the former alone."""
    answers = {"no": (False,), "yes": (True,), "both": (False, True)}
    found = [(is_tls, is_http2) for is_tls in answers[tls] for is_http2 in answers[http2]]
    return [each for each in found if not each[1] or (each[0] and protocol == "messaging")]


def exceeded(name: str, found: dict[str, float]) -> list[str]:
    more = WITH_TLS if name.endswith("_tls") else 0.0
    over = [each for each, most in BUDGETS.items() if found[each] >= most + more]
    return over + [each for each in ("ended", "followed_twice") if found[each]]


def _print(name: str, found: dict[str, Any]) -> None:
    over = exceeded(name, found)
    print(name)
    for each, value in found.items():
        print(f"  {each:34} {value:10.3f}{'   OVER' if each in over else ''}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
