"""The processes of a run: sandbox, bridge; started and ended by their own ids."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp

from omnibridge.sandbox.configured import bot_user, workspace
from tests.command_line import environment, ready
from tests.ports import free_port

START_LIMIT_S = 20.0


@contextlib.contextmanager
def folder_of(keep: Path | None) -> Iterator[Path]:
    """The one to keep, else one that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="omnibridge-soak-") as temporary:
        folder = keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        yield folder


def tell(result: dict[str, Any], problems: list[str], what: str, *, as_json: bool, width: int = 16) -> int:
    """Print the figures, and what is wrong with them; the exit code. what: to say before the problems."""
    if as_json:
        print(json.dumps(result))
    else:
        for key, value in result.items():
            print(f"{key:{width}} {value}")
    if problems:
        print(f"{what}; {', '.join(problems)}", file=sys.stderr)
    return 1 if problems else 0


class Sandbox:
    """`omnibridge sandbox` as a stranger would start it."""

    def __init__(self, *options: str) -> None:
        self._options = options
        self.description: dict[str, Any] = {}
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> dict[str, Any]:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "omnibridge", "sandbox", "--json", *self._options,
            stdout=asyncio.subprocess.PIPE, limit=1 << 20,
        )  # fmt: skip
        assert self._process.stdout
        async with asyncio.timeout(START_LIMIT_S):
            self.description = json.loads(await self._process.stdout.readline())
        return self.description

    async def stop(self) -> None:
        if self._process and self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            await self._process.wait()


class Bridge:
    """`omnibridge serve` on a fixed port, restarted as often as it dies."""

    def __init__(
        self,
        folder: Path,
        sandbox: dict[str, Any],
        kind: str,
        *,
        url: str = "",
        settings: str = "",
        options: str = "",
        control: str = "",
        text: str = "",
    ) -> None:
        """url: of the backend, else of its simulator. settings: further tables. options: of the connection.
        text: the whole configuration in place of that, with PORT for the port.

        control: guard that is switched off, see crippled.py.
        """
        self._program = ("tests.soak.crippled", control) if control else ("omnibridge",)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._config = folder / "omnibridge.toml"
        self._log = (folder / "bridge.log").open("ab")
        self.database = folder / "soak.db"
        if not text:
            text = _configuration(sandbox, kind, self.port, url, settings, options)
        self._config.write_text(text.replace("PORT", str(self.port)), "utf-8")
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, crash_at: str = "") -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *self._program, "serve", "--config", str(self._config),
            env=environment(OMNIBRIDGE_CRASH_AT=crash_at), stdout=self._log, stderr=self._log,
        )  # fmt: skip

    async def ready(self, session: aiohttp.ClientSession) -> float | None:
        """Seconds until `/readyz` answers 200; None when the process ended before."""
        assert self._process
        return await ready(session, f"{self.url}/readyz", self._process, START_LIMIT_S)

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    async def died(self, timeout_s: float) -> bool:
        """Whether the process ended by itself within the time."""
        assert self._process
        try:
            async with asyncio.timeout(timeout_s):
                await self._process.wait()
        except TimeoutError:
            return False
        return self._process.returncode == -signal.SIGKILL

    def rss_mb(self) -> float:
        """Memory that the process has in use now; 0 when it is over."""
        if not self.is_running or self._process is None:
            return 0.0
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text("utf-8").split()[1])
        return round(pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20), 1)

    def pause(self) -> None:
        """SIGSTOP: it does nothing, and does not know it."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    async def kill(self) -> None:
        if self._process and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def stop(self) -> None:
        if self._process and self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            await self._process.wait()
        self._log.close()


def _configuration(sandbox: dict[str, Any], kind: str, port: int, url: str, settings: str, options: str) -> str:
    connection = f'url = "{url}"\n{sandbox.get(f"{kind}_settings", "")}' if url else sandbox[f"{kind}_connection"]
    return f"""
[server]
port = {port}
log_level = "info"
[database]
url = "sqlite:///soak.db"
{settings}
{workspace(sandbox, "soak")}
[[connection]]
name = "assistant"
kind = "{kind}"
{connection}
{bot_user(sandbox)}
{options}
"""
