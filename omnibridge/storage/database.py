"""Opening the embedded database: one writer connection, one read-only connection, migrations, the lock.

SQLite comes from pysqlite3, because releases before 3.51.3 can corrupt a WAL when two connections write
and checkpoint at once. Exactly one connection writes here; readers are `query_only` and never checkpoint.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pysqlite3.dbapi2 as sqlite
from sqlalchemy import create_engine

from omnibridge.errors import ConfigError, StorageError
from omnibridge.storage.writer import Writer

CHECKPOINT_PAGES = 4_000
"""Pages of the log before it is copied back: hot pages are copied once for many commits."""

CACHE_KB = 16_384

TOLD_AFTER_S = 2.0
"""Another program holds the file: a backup may, for a moment."""

OLDEST_SQLITE = (3, 51, 3)


class Database:
    """writer: the only one that writes. reader: a DBAPI connection for look-ups on the loop's thread.

    secret: key of this installation, made once, for the ids that we give to messages.
    """

    def __init__(self, path: Path, writer: Writer, reader: Any, lock: IO[bytes], secret: bytes) -> None:
        self.path, self.writer, self.reader, self._lock, self.secret = path, writer, reader, lock, secret

    def why_not_written(self) -> str:
        """Empty when nothing but us keeps writes waiting."""
        held_s = self.writer.locked_s
        if held_s < TOLD_AFTER_S:
            return ""
        return f"another program has been writing to {self.path.name} for {held_s:.0f} s, and we wait for it"

    async def aclose(self) -> None:
        """Write what is queued, close both connections, give up the lock."""
        await self.writer.aclose()
        self.reader.close()
        self._lock.close()


def database_path(url: str) -> Path:
    """`sqlite:///var/x.db` -> path. Raises ConfigError for other databases."""
    if not url.startswith("sqlite:///"):
        raise ConfigError(
            "[database] url: only sqlite:///PATH works in this version; PostgreSQL comes with the cluster extra"
        )
    return Path(url.removeprefix("sqlite:///"))


async def open_database(url: str) -> Database:
    """Lock, migrate and open. Raises ConfigError when another process has it, StorageError when unsafe."""
    path = database_path(url)
    if sqlite.sqlite_version_info < OLDEST_SQLITE:
        raise StorageError(f"SQLite {sqlite.sqlite_version} can corrupt a WAL; 3.51.3 or newer is needed")
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = take_lock(path)
    await asyncio.to_thread(migrate, path)
    connection = connect(path)
    if connection.execute("PRAGMA synchronous").fetchone()[0] < 2:
        raise StorageError("synchronous is below FULL: what was answered 200 could be lost")
    secret = _secret(connection)
    reader = connect(path, read_only=True)
    return Database(path, Writer(connection, asyncio.get_running_loop()), reader, lock, secret)


def connect(path: Path, *, read_only: bool = False) -> Any:
    """A DBAPI connection in autocommit: transactions are begun by name."""
    connection = sqlite.connect(str(path), isolation_level=None, check_same_thread=False, timeout=5.0)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.execute(f"PRAGMA cache_size=-{CACHE_KB}")
    connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
    if read_only:
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("PRAGMA query_only=1")
    return connection


def without_server(path: Path, unit: Callable[[Any], bool]) -> bool:
    """Carry out a unit on a database that nobody serves. Raises ConfigError when another process has it."""
    lock = take_lock(path)
    try:
        migrate(path)
        connection = connect(path)
        try:
            return unit(connection.cursor())
        finally:
            connection.close()
    finally:
        lock.close()


def take_lock(path: Path) -> IO[bytes]:
    """Hold the database for this process; the kernel lets go of it when the process dies.

    Raises ConfigError when another process holds it.
    """
    lock = open(f"{path}.lock", "ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        lock.close()
        raise ConfigError(
            f"{path} is in use by another omnibridge process; stop that one, or give this one its own [database] url"
        ) from exc
    os.set_inheritable(lock.fileno(), False)
    return lock


def migrate(path: Path) -> None:
    """Bring the schema to the newest revision; does nothing when it is there."""
    from alembic import command  # here: commands that only look into a database start sooner
    from alembic.config import Config
    from alembic.util import CommandError

    engine = create_engine("sqlite://", module=sqlite, creator=lambda: connect(path))
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as exc:
            raise StorageError(
                f"{path} was made by another version of omnibridge ({exc}): use that version, or move the file away"
            ) from exc
        connection.commit()
    engine.dispose()


def _secret(connection: Any) -> bytes:
    connection.execute("INSERT OR IGNORE INTO instance (name, value) VALUES ('secret', ?)", (secrets.token_hex(32),))
    row = connection.execute("SELECT value FROM instance WHERE name = 'secret'").fetchone()
    return bytes.fromhex(row[0])
