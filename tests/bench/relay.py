"""One relay under load: throughput, CPU and latency of `visitor's words -> bot -> hub`, floor and bridge alike."""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from tests.bench.outside import Caller, Outside, webhook
from tests.bench.process import Process, gauge
from tests.command_line import environment, ready
from tests.ports import free_port

START_LIMIT_S = 30.0
_numbers = itertools.count()


class Target:
    """A process that relays. kind: `floor` or `bridge`."""

    def __init__(self, kind: str, outside: Outside, folder: Path, settings: str = "") -> None:
        self.kind, self._outside, self._folder = kind, outside, folder
        folder.mkdir(exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._config = folder / f"{kind}.toml"
        self._config.write_text(_configuration(outside, self.port, settings), "utf-8")
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        command = {
            "floor": ("-m", "tests.bench.floor", str(self.port), self._outside.bot_url, self._outside.hub_url),
            "bridge": ("-m", "omnibridge", "serve", "--config", str(self._config)),
        }[self.kind]
        with (self._folder / f"{self.kind}.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, *command, env=environment(), stdout=log, stderr=log
            )
        async with aiohttp.ClientSession() as session:
            if await ready(session, f"{self.url}/readyz", self._process, START_LIMIT_S) is None:
                raise RuntimeError(f"{self.kind} did not start; see its log")

    async def stop(self) -> None:
        if self._process and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()

    async def kill(self) -> None:
        assert self._process
        self._process.kill()
        await self._process.wait()

    def cpu_s(self) -> float:
        """User and system time of the process so far."""
        return Process(self.pid).cpu_s()

    def rss(self) -> int:
        """Bytes in memory."""
        return Process(self.pid).rss()

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    async def gauge(self, name: str) -> float:
        """One figure of the bridge's /metrics."""
        async with aiohttp.ClientSession() as session:
            return await gauge(session, self.url, name)


@dataclass
class Figures:
    """messages per second, CPU seconds per 1,000, latencies in ms (sent to seen by the hub)."""

    rate: float
    cpu_per_1000: float
    latencies: list[float] = field(default_factory=list, repr=False)
    acks: list[float] = field(default_factory=list, repr=False)


class Visitor:
    """One conversation on one connection."""

    def __init__(self, outside: Outside, caller: Caller) -> None:
        self._outside, self._caller = outside, caller
        self.room = f"room{next(_numbers):07d}"
        self._n = 0

    @classmethod
    async def come(cls, outside: Outside, target: Target) -> Visitor:
        loop = asyncio.get_running_loop()
        _, caller = await loop.create_connection(Caller, "127.0.0.1", target.port)
        visitor = cls(outside, caller)
        if target.kind == "bridge":
            assert await caller.post(webhook("LivechatSessionTaken", visitor.room)) == 200
        return visitor

    async def write(self) -> tuple[float, float]:
        """Write once, wait for the answer: (ms until the hub had it, ms until the webhook was answered)."""
        self._n += 1
        text = f"{self.room}-{self._n:05d}"
        answered = self._outside.expect(text)
        began = time.monotonic()
        status = await self._caller.post(webhook("Message", self.room, text))
        acked = time.monotonic()
        assert status == 200, status
        async with asyncio.timeout(30):
            return (await answered - began) * 1000, (acked - began) * 1000

    async def come_back(self, target: Target) -> None:
        """To the same conversation; the server closes connections that are idle for some seconds."""
        self._caller.close()
        _, self._caller = await asyncio.get_running_loop().create_connection(Caller, "127.0.0.1", target.port)

    def leave(self) -> None:
        self._caller.close()


async def closed_loop(outside: Outside, target: Target, visitors: list[Visitor], seconds: float) -> Figures:
    """Each visitor writes as soon as he was answered."""
    until = time.monotonic() + seconds
    latencies: list[float] = []

    async def chat(visitor: Visitor) -> None:
        while time.monotonic() < until:
            latencies.append((await visitor.write())[0])

    cpu, began = target.cpu_s(), time.monotonic()
    await asyncio.gather(*(chat(each) for each in visitors))
    took = time.monotonic() - began
    return Figures(len(latencies) / took, (target.cpu_s() - cpu) / len(latencies) * 1000, latencies)


async def at_rate(
    outside: Outside, target: Target, visitors: list[Visitor], per_second: float, seconds: float
) -> Figures:
    """All visitors together write at this rate, evenly, unless one still waits for his answer."""
    latencies: list[float] = []
    acks: list[float] = []
    step = len(visitors) / per_second
    began, cpu = time.monotonic(), target.cpu_s()

    async def chat(visitor: Visitor, offset: float) -> None:
        due = began + offset
        while due < began + seconds:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            latency, ack = await visitor.write()
            latencies.append(latency)
            acks.append(ack)
            due = max(due + step, time.monotonic())

    await asyncio.gather(*(chat(each, n * step / len(visitors)) for n, each in enumerate(visitors)))
    took = time.monotonic() - began
    return Figures(len(latencies) / took, (target.cpu_s() - cpu) / len(latencies) * 1000, latencies, acks)


def _configuration(outside: Outside, port: int, settings: str) -> str:
    return f"""
[server]
port = {port}
log_level = "warning"
[database]
url = "sqlite:///bench.db"
{settings or ENGINE}
[[workspace]]
name = "bench"
url = "{outside.hub_url}"
user_id = "relay"
auth_token = "relay-token"
webhook_token = "bench-token"
[[connection]]
name = "assistant"
kind = "rasa"
url = "{outside.bot_url}"
rocketchat_user = "assistant"
rocketchat_user_id = "botId"
rocketchat_token = "bot-token"
"""


ENGINE = """[engine]
reorder_window_ms = 0
max_in_flight = 256
"""
