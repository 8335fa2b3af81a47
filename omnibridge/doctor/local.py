"""This machine: database, disk, lock, and our own server. Creates nothing that stays."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import httpx2
import pysqlite3.dbapi2 as sqlite

from omnibridge import open_files
from omnibridge.config import Settings
from omnibridge.doctor.finding import MACHINE, NETWORK, OURS, Finding, ok, problem, warning
from omnibridge.doctor.probe import CALL_S
from omnibridge.http import create_client
from omnibridge.storage.database import OLDEST_SQLITE, connect

LEAST_BYTES, FEW_BYTES = 200 * 2**20, 2 * 2**30
SLOW_COMMIT_S = 0.1


class OurServer(NamedTuple):
    """is_locked: a process holds the database. is_serving: it also answers at our port."""

    is_locked: bool
    is_serving: bool
    findings: list[Finding]


def sqlite_version() -> Finding:
    """Below 3.51.3 a write-ahead log can be corrupted, and `serve` refuses."""
    found, needed = sqlite.sqlite_version, ".".join(str(each) for each in OLDEST_SQLITE)
    if sqlite.sqlite_version_info < OLDEST_SQLITE:
        do = "pip install --require-hashes -r requirements/runtime.lock"
        return problem("sqlite", MACHINE, f"SQLite {found} can corrupt the journal; {needed} or newer is needed", do)
    return ok("sqlite", f"SQLite {found}")


def database(path: Path) -> Finding:
    """Writable, on a file system that does what a journal needs: tried in a folder beside it that is removed."""
    folder = existing(path.parent)
    do = f"give the service's user the right to write: chown or chmod {folder}; or set [database] url"
    if path.exists() and not (path.is_file() and os.access(path, os.R_OK | os.W_OK)):
        return problem("database", MACHINE, f"{path} is not a file that this user may write", do)
    try:
        with tempfile.TemporaryDirectory(prefix=".omnibridge-doctor-", dir=folder) as trial:
            took_s, mode, synchronous = _try(Path(trial) / "trial.db")
    except OSError as exc:
        return problem("database", MACHINE, f"{folder} cannot be written: {exc.strerror}", do)
    except sqlite.Error as exc:
        do = "keep the database on a local disk, not on a network share"
        return problem("database", MACHINE, f"SQLite cannot work in {folder}: {exc}", do)
    if mode != "wal" or synchronous < 2:
        do = "keep the database on a local disk, not on a network share"
        found = f"the file system of {folder} cannot do journal_mode=WAL with synchronous=FULL"
        return problem("database", MACHINE, found, do)
    what = str(path) if path.exists() else f"{path} will be made by `serve`"
    if took_s > SLOW_COMMIT_S:
        do = "each webhook waits for one: use a faster or less busy disk"
        return warning("database", MACHINE, f"{what}; a commit takes {took_s * 1000:.0f} ms", do)
    return ok("database", f"{what}; writable, WAL, synchronous=FULL, a commit takes {took_s * 1000:.1f} ms")


def disk(path: Path) -> Finding:
    folder = existing(path.parent)
    free = shutil.disk_usage(folder).free
    found, do = f"{free / 2**30:.1f} GiB free at {folder}", "make room, or move [database] url to a larger disk"
    if free < LEAST_BYTES:
        return problem("disk", MACHINE, f"{found}: soon nothing can be journalled, and webhooks are refused", do)
    return warning("disk", MACHINE, found, do) if free < FEW_BYTES else ok("disk", found)


def files() -> Finding:
    """Of a process that this user starts from here; the service's own limit is in its metrics."""
    most = open_files.most()
    if most < open_files.FEW:
        found = f"a process may have {most} files and connections open, and chats with desks need one each"
        return warning("files", MACHINE, found, open_files.DO)
    return ok("files", f"a process may have {most} files and connections open")


def is_locked(path: Path) -> bool:
    """Whether a process holds the database. Asks for a lock and gives it back at once; makes no file."""
    try:
        with open(f"{path}.lock", "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


async def our_server(settings: Settings, path: Path) -> OurServer:
    """Lock, `/livez` and `/readyz` together tell whether it runs and is well."""
    locked = is_locked(path)
    host, port = settings.server.host, settings.server.port
    if port == 0:
        text = "[server] port 0 takes a free one, which is not known here"
        do = "set a fixed [server] port: Rocket.Chat's webhook needs one"
        return OurServer(locked, locked, [warning("server", OURS, text, do)])
    url = base_url(host, port)
    live, text = await _get(f"{url}/livez")
    if live is None:
        if locked:
            found = f"a process holds {path.name}, but {url}/livez does not answer ({text})"
            do = f"is it `omnibridge serve` with this configuration? restart it; is {host} an address of this machine?"
            return OurServer(True, False, [problem("server", OURS, found, do)])
        found, do = (
            "not running: webhooks are not taken",
            "start it: `omnibridge serve`, or `systemctl start omnibridge`",
        )
        return OurServer(False, False, [warning("server", MACHINE, found, do)])
    if live != 200 or text != "ok":
        found, do = f"something else answers at {url} (HTTP {live})", "stop it, or set another [server] port"
        return OurServer(locked, False, [problem("server", OURS, found, do)])
    if not locked:
        found = f"an omnibridge answers at {url}, but with another database than {path}"
        do = "run doctor with the --config of that service, and as its user"
        return OurServer(False, False, [problem("server", OURS, found, do)])
    ready, reason = await _get(f"{url}/readyz")
    if ready != 200:
        found = f"runs at {url}, takes webhooks, but does not relay yet: {reason or 'no answer from /readyz'}"
        return OurServer(True, True, [problem("server", NETWORK, found, "see the checks of the workspace it names")])
    return OurServer(True, True, [ok("server", f"runs at {url} and relays")])


def base_url(host: str, port: int) -> str:
    """Where we reach ourselves: an address that means "all" is this machine's own."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return next((each for each in (folder, *folder.parents) if each.is_dir()), Path("/"))


def _try(path: Path) -> tuple[float, str, int]:
    """(seconds of a commit, journal mode, synchronous) of a new database, opened as the service opens its own."""
    connection = connect(path)
    try:
        connection.execute("CREATE TABLE trial (x)")
        began = time.monotonic()
        connection.execute("INSERT INTO trial VALUES (1)")
        took_s = time.monotonic() - began
        mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
        return took_s, str(mode), int(connection.execute("PRAGMA synchronous").fetchone()[0])
    finally:
        connection.close()


async def _get(url: str) -> tuple[int | None, str]:
    """(status, what it says); (None, why) without an answer."""
    try:
        async with asyncio.timeout(CALL_S), create_client(timeout_s=CALL_S) as client:
            answer = await client.get(url)
    except (httpx2.HTTPError, TimeoutError) as exc:
        return None, type(exc).__name__
    text = answer.text[:2000]
    if answer.headers.get("content-type", "").startswith("application/problem+json"):
        text = str(answer.json().get("detail", ""))
    return answer.status_code, text.strip()
