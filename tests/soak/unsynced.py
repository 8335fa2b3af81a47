"""`python -m tests.soak.unsynced DATABASE SYNCHRONOUS`: journals for ever on a disk that forgets what was not synced.

kill -9 alone proves little about durability: the kernel keeps what a dead process has written. Here everything
between two syncs is held in this process, below SQLite, and dies with it, as in a power cut. Our own writer and
our own statements run above it. Prints the number of each observation once its commit was acknowledged.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import apsw

from omnibridge.storage import journal
from omnibridge.storage.journal import Observation
from omnibridge.storage.writer import Writer

AT_A_TIME = 8


class ForgetfulFile(apsw.VFSFile):
    """What is written stays here until a sync takes it to the real file."""

    def __init__(self, base: str, name: Any, flags: list[int]) -> None:
        super().__init__(base, name, flags)
        size = super().xFileSize()
        self._image = bytearray(super().xRead(size, 0)) if size else bytearray()
        self._dirty: list[tuple[int, int]] = []
        self._shrunk_to: int | None = None

    def xRead(self, amount: int, offset: int) -> bytes:
        return bytes(self._image[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:
        if len(self._image) < offset:
            self._image.extend(bytes(offset - len(self._image)))
        self._image[offset : offset + len(data)] = data
        self._dirty.append((offset, len(data)))

    def xTruncate(self, size: int) -> None:
        del self._image[size:]
        self._shrunk_to = size

    def xFileSize(self) -> int:
        return len(self._image)

    def xSync(self, flags: int) -> None:
        if self._shrunk_to is not None:
            super().xTruncate(self._shrunk_to)
        for offset, length in self._dirty:
            super().xWrite(bytes(self._image[offset : offset + length]), offset)
        self._dirty, self._shrunk_to = [], None
        super().xSync(flags)


class ForgetfulDisk(apsw.VFS):
    """Files of this process that forget; SQLite's own for the rest."""

    def __init__(self) -> None:
        super().__init__("forgetful", base="unix")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        return ForgetfulFile("unix", name, flags)


class Cursor:
    """What our statements need of a DBAPI cursor."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection, self._cursor = connection, connection.cursor()
        self.rowcount = 0

    def execute(self, sql: str, values: tuple[object, ...] = ()) -> Cursor:
        self._cursor.execute(sql, values)  # type: ignore[arg-type]
        self.rowcount = self._connection.changes()
        return self


class Connection:
    """What our writer needs of a DBAPI connection."""

    def __init__(self, path: str, synchronous: str) -> None:
        self._disk = ForgetfulDisk()
        self._connection = apsw.Connection(path, vfs="forgetful")
        # The index of the log in this process: apsw's files share no memory.
        for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", f"synchronous={synchronous}"):
            self._connection.execute(f"PRAGMA {pragma}").fetchall()

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def cursor(self) -> Cursor:
        return Cursor(self._connection)

    def close(self) -> None:
        self._connection.close()


async def journal_for_ever(path: str, synchronous: str) -> None:
    writer = Writer(Connection(path, synchronous), asyncio.get_running_loop())
    numbers = iter(range(1, 10_000_000))

    async def produce() -> None:
        for n in numbers:
            row = Observation(n, "w", f"r{n % 50}", "webhook", "Message", n, b"{}" * 200)
            await writer.submit(lambda cursor, row=row: journal.append(cursor, row))
            print(n, flush=True)

    await asyncio.gather(*(produce() for _ in range(AT_A_TIME)))


if __name__ == "__main__":
    asyncio.run(journal_for_ever(sys.argv[1], sys.argv[2]))
