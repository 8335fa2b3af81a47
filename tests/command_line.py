"""The command line as a stranger uses it: in a process of its own, beside a running bridge or without one."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

LIMIT_S = 60.0


def environment(**more: str) -> dict[str, str]:
    """As it is, but for settings of omnibridge, of which it has only those that are named."""
    return {key: value for key, value in os.environ.items() if not key.startswith("OMNIBRIDGE_")} | more


async def ready(
    session: aiohttp.ClientSession, url: str, process: asyncio.subprocess.Process, limit_s: float
) -> float | None:
    """Seconds until the address answers 200; None when the process ended before, or the time is over."""
    began = time.monotonic()
    while process.returncode is None and time.monotonic() - began < limit_s:
        try:
            async with session.get(url) as answer:
                if answer.status == 200:
                    return time.monotonic() - began
        except aiohttp.ClientError:
            pass  # not listening yet
        await asyncio.sleep(0.01)
    return None


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


async def omnibridge(folder: Path, *arguments: str) -> Done:
    """`omnibridge …` with the configuration of a folder."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "omnibridge", *arguments,
        env=environment(OMNIBRIDGE_CONFIG=str(folder / "omnibridge.toml")),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(LIMIT_S):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Done(process.returncode, out.decode(), err.decode())
