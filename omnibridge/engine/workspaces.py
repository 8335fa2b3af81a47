"""What decisions must know of a workspace and no event tells: names of its departments, and whether it chooses agents.

The hub tells a room's department by id, and people write names. Whether it gives new visitors to agents by itself is a
setting, and what a decision of an external system is worth depends on it.

Both are read at start, every minute, and when a conversation comes to a department that is not known. Decisions are
made with those of the directory, whose snapshot is stored before the first decision that refers to it; so a department
that gets another name changes no replay. The last ones known are kept for a start without the hub. No conversation
waits for the hub here; a start does, for two seconds at most.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
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

_log = structlog.get_logger("omnibridge.workspaces")
_encode = msgspec.json.Encoder(order="deterministic").encode

EVERY_S = 60.0
SOONEST_S = 5.0
"""Between two looks, however many unknown departments there are."""

FIRST_S = 2.0
"""How long a start waits for the hub; then it goes on with what was known last."""


class Known(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of one workspace. departments: id -> name. chooses: it gives new visitors to agents by itself."""

    departments: dict[str, str] = {}
    chooses: bool = False


@dataclass(frozen=True)
class Wanted:
    """What is needed of a workspace: nothing else is asked for."""

    departments: bool = False
    choice: bool = False


@dataclass
class _Place:
    wanted: Wanted
    known: Known
    asked: asyncio.Event = field(default_factory=asyncio.Event)


_known = msgspec.json.Decoder(Known)


class Workspaces:
    """Of the workspaces that were begun. Of every other one nothing is known."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._places: dict[str, _Place] = {}
        self._steered: tuple[Processor, Policy] | None = None
        self.used: dict[str, Known] | None = None
        """What decisions are made with now."""
        self._using = asyncio.Lock()

    def department_name(self, workspace: str, department: str) -> str:
        """Empty when it is not known."""
        place = self._places.get(workspace)
        return place.known.departments.get(department, "") if place else ""

    async def begin(self, workspace: str, client: RocketChatClient, wanted: Wanted) -> None:
        """What the hub tells in time, else what was known last."""
        if wanted == Wanted():
            return
        kept = instance.read(self._database.reader, _key(workspace))
        place = self._places[workspace] = _Place(wanted, _known.decode(kept) if kept else Known())
        failed: Exception | None
        try:
            async with asyncio.timeout(FIRST_S):
                failed = await self._read(workspace, client)
        except TimeoutError as exc:
            failed = exc
        if failed:
            place.asked.set()
            _log.warning("workspace_not_read", workspace=workspace, reason=_words(failed))

    async def steer(self, processor: Processor, policy: Policy) -> None:
        """Decide by this policy, and by what is known now of the workspaces and becomes known later."""
        self._steered, self.used = (processor, replace(policy, department_seen=self.seen)), None
        await self._use()

    def seen(self, workspace: str, department: str) -> None:
        """A conversation came to it: when it is new, the hub is asked for its name, and nobody waits."""
        place = self._places.get(workspace)
        if place and place.wanted.departments and department and department not in place.known.departments:
            place.asked.set()

    def look(self, workspace: str) -> None:
        """Soon, and not only when it is time."""
        self._places[workspace].asked.set()

    async def serve(self, workspace: str, client: RocketChatClient) -> None:
        """Read it again and again, until cancelled. Returns at once where nothing is wanted."""
        place, was_read = self._places.get(workspace), True
        while place:
            try:
                async with asyncio.timeout(EVERY_S):
                    await place.asked.wait()
            except TimeoutError:
                pass  # time for the next look all the same
            place.asked.clear()
            failed: Exception | None = None
            try:
                failed = await self._read(workspace, client)
                await self._use()
            except Exception as exc:  # the database: what is known is good until the next look
                failed = exc
            if failed and was_read:
                _log.warning("workspace_not_read", workspace=workspace, reason=_words(failed))
            was_read = failed is None
            await asyncio.sleep(SOONEST_S)

    async def _read(self, workspace: str, client: RocketChatClient) -> DeliveryError | None:
        """What can be read counts, also when the other cannot: why that is."""
        place, failed = self._places[workspace], None
        found = place.known
        if place.wanted.choice:
            try:
                found = msgspec.structs.replace(found, chooses=await client.chooses_agents())
            except DeliveryError as exc:
                failed = exc
        if place.wanted.departments:
            try:
                names = {each.id: each.name for each in await client.departments(disabled=True) if each.name}
                found = msgspec.structs.replace(found, departments=names)
            except DeliveryError as exc:
                failed = exc
        if found != place.known:
            value = _encode(found).decode()
            await self._database.writer.submit(partial(instance.write, name=_key(workspace), value=value))
            place.known = found
        return failed

    async def _use(self) -> None:
        """The snapshot first: no decision may refer to one that is not stored."""
        async with self._using:
            known = {workspace: each.known for workspace, each in self._places.items()}
            if self._steered is None or known == self.used:
                return
            processor, policy = self._steered
            names = {workspace: each.departments for workspace, each in known.items()}
            directory = msgspec.structs.replace(
                policy.directory,
                departments=names if policy.rules.names_departments else None,
                choosing=tuple(sorted(workspace for workspace, each in known.items() if each.chooses)),
            )
            policy = replace(policy, directory=directory)
            now = self._clock.now_ms()
            for digest, kind, body in policy.snapshots():
                await self._database.writer.submit(partial(_keep, digest=digest, kind=kind, body=body, at=now))
            processor.use(policy)
            self.used = known


def _key(workspace: str) -> str:
    return f"workspace:{workspace}"


def _keep(cursor: Any, *, digest: str, kind: str, body: bytes, at: int) -> None:
    journal.keep_snapshot(cursor, digest, kind, body, at)


def _words(exc: BaseException) -> str:
    return str(exc) if isinstance(exc, DeliveryError) else type(exc).__name__
