"""Numbers of the running service that nobody counts: they are looked up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from omnibridge import open_files
from omnibridge.engine.counters import Counters
from omnibridge.engine.sessions import Sessions
from omnibridge.storage import conversations
from omnibridge.storage.database import Database


def show_gauges(counters: Counters, database: Database, sessions: Sessions, is_ready: Callable[[], bool]) -> None:
    """What is looked up whenever the metrics are read."""
    reader, writer = database.reader, database.writer
    due = "SELECT count(*) FROM deliveries WHERE state = 0"
    pending = "SELECT count(*) FROM observations WHERE state = 0"
    counters.gauge("conversations_open", "Open conversations", lambda: conversations.n_open(reader))
    counters.gauge("deliveries_due", "Deliveries waiting", lambda: reader.execute(due).fetchone()[0])
    counters.gauge("observations_due", "Observations waiting", lambda: reader.execute(pending).fetchone()[0])
    counters.gauge("commits", "Commits of the writer since start", lambda: writer.commits)
    counters.gauge("commit_seconds", "Seconds spent in commits since start", lambda: writer.commit_s)
    for percent in (50, 99):
        read = partial(writer.commit_ms, percent)
        counters.gauge(f"commit_ms_p{percent}", f"{percent}th percentile of the last commits, ms", read)
    counters.gauge("database_held_seconds", "How long another program has been writing", lambda: writer.locked_s)
    counters.gauge("sessions_followed", "Desks' sessions whose news we ask for", lambda: sessions.n_followed)
    counters.gauge("tasks", "Tasks of the event loop", lambda: len(asyncio.all_tasks()))
    counters.gauge("open_files", "Files and connections that are open", open_files.n_open)
    counters.gauge("open_files_limit", "How many of them may be", open_files.limit)
    counters.gauge("ready", "1 when relaying", lambda: float(is_ready()))
