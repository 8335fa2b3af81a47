"""What a process costs, and what the bridge says of itself."""

from __future__ import annotations

import os
from pathlib import Path

import aiohttp


class Process:
    """What the kernel tells of a process."""

    def __init__(self, pid: int) -> None:
        self._at = Path(f"/proc/{pid}")

    def memory_kb(self) -> dict[str, int]:
        """pss: its own pages, and its share of others. rss: all that it has in memory."""
        rows = dict(line.split(":", 1) for line in (self._at / "smaps_rollup").read_text().splitlines()[1:])
        return {name.lower(): int(rows[name].split()[0]) for name in ("Pss", "Rss")}

    def rss(self) -> int:
        """Bytes in memory."""
        return int((self._at / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def cpu_s(self) -> float:
        """User and system time so far."""
        fields = (self._at / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def written_kb(self) -> float:
        """What it had the kernel write to disks."""
        rows = dict(line.split(": ") for line in (self._at / "io").read_text().splitlines())
        return int(rows["write_bytes"]) / 1024

    def files(self) -> int:
        return len(os.listdir(self._at / "fd"))


async def gauge(session: aiohttp.ClientSession, url: str, name: str) -> float:
    """One figure of the bridge's /metrics. Raises LookupError."""
    async with session.get(f"{url}/metrics") as answer:
        for line in (await answer.text()).splitlines():
            if line.startswith(f"omnibridge_{name} "):
                return float(line.split()[1])
    raise LookupError(name)
