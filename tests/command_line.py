"""The command line as a stranger uses it: in a process of its own, beside a running bridge or without one."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIMIT_S = 60.0


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
    environ = {key: value for key, value in os.environ.items() if not key.startswith("OMNIBRIDGE_")}
    environ["OMNIBRIDGE_CONFIG"] = str(folder / "omnibridge.toml")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "omnibridge", *arguments,
        env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(LIMIT_S):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Done(process.returncode, out.decode(), err.decode())
