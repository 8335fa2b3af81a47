"""Names of departments: the hub tells a room's by its id, and people write names.

They are read at start, every minute, and when a conversation comes to a department that is not known. Decisions are
made with those of the directory, whose snapshot is stored before the first decision that refers to it; so a department
that gets another name changes no replay. The last ones known are kept for a start without the hub. No conversation
waits for the hub here; a start does, for two seconds at most.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec
import structlog

from omnibridge.clock import Clock
from omnibridge.engine.processor import Processor
from omnibridge.engine.work import Policy
from omnibridge.errors import DeliveryError
from omnibridge.rocketchat.client import RocketChatClient
from omnibridge.storage import instance, journal
from omnibridge.storage.database import Database

_log = structlog.get_logger("omnibridge.departments")
_names = msgspec.json.Decoder(dict[str, str])
_encode = msgspec.json.Encoder(order="deterministic").encode

EVERY_S = 60.0
SOONEST_S = 5.0
"""Between two looks, however many unknown departments there are."""

FIRST_S = 2.0
"""How long a start waits for the hub; then it goes on with the names that were known last."""


class Departments:
    """Of the workspaces that were begun. Every other one has none."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._names: dict[str, dict[str, str]] = {}
        self._asked: dict[str, asyncio.Event] = {}
        self._steered: tuple[Processor, Policy] | None = None
        self._used: dict[str, dict[str, str]] | None = None
        self._using = asyncio.Lock()

    def name(self, workspace: str, department: str) -> str:
        """Empty when it is not known."""
        return self._names.get(workspace, {}).get(department, "")

    async def begin(self, workspace: str, client: RocketChatClient) -> None:
        """Those that the hub tells in time, else those that were known last."""
        kept = instance.read(self._database.reader, _key(workspace))
        self._names[workspace] = _names.decode(kept) if kept else {}
        self._asked[workspace] = asyncio.Event()
        try:
            async with asyncio.timeout(FIRST_S):
                await self._read(workspace, client)
        except (DeliveryError, TimeoutError) as exc:
            self._asked[workspace].set()
            _log.warning("departments_not_read", workspace=workspace, reason=_words(exc))

    async def steer(self, processor: Processor, policy: Policy) -> None:
        """Decide by this policy, and where its rules ask for departments, by the names known now and later."""
        self._steered, self._used = (processor, replace(policy, department_seen=self.seen)), None
        await self._use()

    def seen(self, workspace: str, department: str) -> None:
        """A conversation came to it: when it is new, the hub is asked for its name, and nobody waits."""
        if department and workspace in self._asked and not self.name(workspace, department):
            self._asked[workspace].set()

    async def serve(self, workspace: str, client: RocketChatClient) -> None:
        """Read them again and again, until cancelled."""
        asked, was_read = self._asked[workspace], True
        while True:
            try:
                async with asyncio.timeout(EVERY_S):
                    await asked.wait()
            except TimeoutError:
                pass  # time for the next look all the same
            asked.clear()
            try:
                await self._read(workspace, client)
                was_read = True
                await self._use()
            except Exception as exc:  # the hub, or the database: the names known are good until the next look
                if was_read:
                    _log.warning("departments_not_read", workspace=workspace, reason=_words(exc))
                was_read = False
            await asyncio.sleep(SOONEST_S)

    async def _read(self, workspace: str, client: RocketChatClient) -> None:
        """Raises DeliveryError."""
        found = {each.id: each.name for each in await client.departments(disabled=True) if each.name}
        if found == self._names[workspace]:
            return
        value = _encode(found).decode()
        await self._database.writer.submit(partial(instance.write, name=_key(workspace), value=value))
        self._names[workspace] = found

    async def _use(self) -> None:
        """The snapshot first: no decision may refer to one that is not stored."""
        async with self._using:
            names = dict(self._names)
            if self._steered is None or names == self._used:
                return
            processor, policy = self._steered
            if policy.rules.names_departments:
                policy = replace(policy, directory=msgspec.structs.replace(policy.directory, departments=names))
            now = self._clock.now_ms()
            for digest, kind, body in policy.snapshots():
                await self._database.writer.submit(partial(_keep, digest=digest, kind=kind, body=body, at=now))
            processor.use(policy)
            self._used = names


def _key(workspace: str) -> str:
    return f"departments:{workspace}"


def _keep(cursor: Any, *, digest: str, kind: str, body: bytes, at: int) -> None:
    journal.keep_snapshot(cursor, digest, kind, body, at)


def _words(exc: BaseException) -> str:
    return str(exc) if isinstance(exc, DeliveryError) else type(exc).__name__
