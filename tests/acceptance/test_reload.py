"""SIGHUP to a real process: it goes on, with what changed; a wrong file is named in its log."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

from omnibridge.sandbox.server import SandboxOptions, start
from tests.browser.worlds import configuration

ANALYSER = '[[analyser]]\nname = "suggestions"\nkind = "suggest"\nconnection = "assistant"\n'


async def until(process: asyncio.subprocess.Process, action: str) -> dict[str, Any]:
    """The next log line of that action."""
    assert process.stderr
    async with asyncio.timeout(30):
        while line := await process.stderr.readline():
            found: dict[str, Any] = json.loads(line)
            if found["action"] == action:
                return found
    raise AssertionError(f"ended before {action}")


async def test_s1_03_sighup_takes_changed_settings_over(tmp_path: Path) -> None:
    sandbox = await start(SandboxOptions())
    path = tmp_path / "omnibridge.toml"
    right = configuration(sandbox.description, "rasa") + ANALYSER
    path.write_text(right, "utf-8")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "omnibridge", "serve", "--config", str(path), stderr=asyncio.subprocess.PIPE
    )
    try:
        await until(process, "relaying")
        path.write_text(right + "min_confidence = 0.5\n", "utf-8")
        process.send_signal(signal.SIGHUP)
        taken = await until(process, "settings_read")
        path.write_text(right + 'min_confidence = "high"\n', "utf-8")
        process.send_signal(signal.SIGHUP)
        refused = await until(process, "settings_read")
    finally:
        process.terminate()
        code = await process.wait()
        await sandbox.stop()

    assert (taken["changed"], taken["problems"]) == (["[[analyser]] suggestions: min_confidence"], [])
    assert refused["changed"] == [] and "min_confidence: Expected `float`" in refused["problems"][0]
    assert code == 0
