"""How many files and connections this process may have open. Each chat with a desk keeps one while it lasts."""

from __future__ import annotations

import os
import resource

WANTED, FEW = 65_536, 8_192
DO = "each chat with people of another system keeps a connection open: LimitNOFILE=65536 in the unit, or ulimit -Hn"


def allow_many() -> int:
    """Take what the system allows, instead of the 1,024 that many begin with. Returns the limit that holds now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return limit()


def limit() -> int:
    """That holds now; what `serve` would take is `most`."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return WANTED if soft == resource.RLIM_INFINITY else soft


def most() -> int:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return WANTED if hard == resource.RLIM_INFINITY else hard


def n_open() -> int:
    """0 where the system does not tell."""
    try:
        return len(os.listdir("/proc/self/fd")) - 1
    except OSError:
        return 0
