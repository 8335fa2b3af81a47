"""The admin's changes of the directory: import, link, confirm, unlink, sync, approve. Each leaves an audit row."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from omnibridge.clock import Clock
from omnibridge.errors import DeliveryError, DeliveryRejected, OmnibridgeError
from omnibridge.identity import sync
from omnibridge.identity.locks import Locks
from omnibridge.identity.names import claim, problem_of
from omnibridge.identity.policy import Policy
from omnibridge.identity.requests import Decide, Import, Link, Reply, Request, Sync, Unlink
from omnibridge.identity.writing import write
from omnibridge.rocketchat.provisioning import Profile, Provisioner
from omnibridge.storage import directory, seats
from omnibridge.storage.database import Database
from omnibridge.storage.directory import READY, AgentRow, Claim

CHUNK = 200
"""Rows a unit: less than the 5 ms that the writer's bulk work may take."""

PAUSE_S = 0.005
"""After each unit: so that webhooks find the writer free more often than not."""

_request = msgspec.json.Decoder(Request)


class Refused(OmnibridgeError):
    """It cannot be done as asked."""


class Admin:
    """hubs: by workspace. locks: those of the running service, so that nothing is changed under its hands."""

    def __init__(
        self,
        database: Database,
        hubs: Mapping[str, Provisioner],
        policy: Policy,
        clock: Clock,
        locks: Locks | None = None,
    ) -> None:
        self._database, self._hubs, self._policy, self._clock = database, hubs, policy, clock
        self._locks = locks or Locks()

    async def answer(self, body: bytes) -> bytes:
        """A request of the local socket."""
        try:
            reply = await self.carry_out(_request.decode(body))
        except msgspec.DecodeError as exc:
            reply = Reply(problem=f"not a request: {exc}")
        return msgspec.json.encode(reply)

    async def carry_out(self, request: Request) -> Reply:
        """Done, or the reason why not."""
        try:
            match request:
                case Import():
                    return await self._import(request)
                case Link() | Unlink():
                    async with self._locks.hold((request.workspace, request.system, request.external_id)):
                        return await (self._link(request) if isinstance(request, Link) else self._unlink(request))
                case Sync():
                    figures = await sync.run(self._hub(request.workspace), self._database, request.workspace,
                                             self._policy.custom_field, self._clock)  # fmt: skip
                    return Reply(told=sync.told(figures), figures=figures)
                case Decide():
                    return await self._decide(request)
        except (Refused, DeliveryError) as exc:
            return Reply(problem=str(exc))

    async def _import(self, request: Import) -> Reply:
        at, failed = self._clock.now_ms(), 0
        for start in range(0, len(request.rows), CHUNK):
            chunk = request.rows[start : start + CHUNK]
            try:
                await self._database.writer.submit_bulk(partial(directory.put, rows=chunk, at=at))
            except Exception as exc:
                if type(exc).__name__ != "IntegrityError":
                    raise
                failed += 1
            await asyncio.sleep(PAUSE_S)
        if failed:
            raise Refused(
                f"{failed} parts of {CHUNK} rows were not written: the directory changed meanwhile; try again"
            )
        count = len(request.rows)
        key = (request.rows[0].workspace if request.rows else "", "", "")
        await self._note(key, "import", request.by, f"{count} rows")
        return Reply(figures={"written": count})

    async def _link(self, request: Link) -> Reply:
        key = (request.workspace, request.system, request.external_id)
        if problem := problem_of(request.system, request.external_id):
            raise Refused(problem)
        user = await self._hub(request.workspace).find(username=request.username)
        if user is None:
            raise Refused(f"there is no user {request.username!r} on {request.workspace}")
        claims = self._claims(user)
        wanted = claim(request.system, request.external_id)
        if request.is_claim and not {wanted, request.external_id} & claims:
            raise Refused(f"{request.username} does not say that he is {wanted}; `agents link` maps him all the same")
        row = directory.find(self._database.reader, *key)
        if row and row.mode == "provisioned" and row.user_id and row.user_id != user.user_id:
            raise Refused(f"{wanted} is {row.username}, whom we made: `agents unlink` it first")
        others = directory.of_user(self._database.reader, request.workspace, user.user_id)
        for each in others:
            if each.system == request.system and each.key != key:
                raise Refused(f"{request.username} is {each.system}:{each.external_id} already: unlink that one first")
        made = seats.proxy(self._database.reader, request.workspace, user.user_id)
        mode, at = "provisioned" if made else "mapped", self._clock.now_ms()
        confirmed = Claim(request.workspace, wanted, user.user_id, user.username, True)

        def unit(cursor: Any) -> None:
            linked = msgspec.structs.replace(
                row or AgentRow(*key), user_id=user.user_id, username=user.username, mode=mode, step=READY
            )
            directory.put(cursor, [linked], at)
            directory.put_claim(cursor, confirmed, at)
            action = "confirm" if request.is_claim else "link"
            directory.note(cursor, at, key, action, user.user_id, f"by {request.by}")

        await write(self._database.writer, unit)
        return Reply(told=[f"{wanted} is {user.username} ({user.user_id}), {mode}"], figures={"linked": 1})

    async def _unlink(self, request: Unlink) -> Reply:
        key = (request.workspace, request.system, request.external_id)
        row = directory.find(self._database.reader, *key)
        if row is None:
            raise Refused(f"{claim(request.system, request.external_id)} is not in the directory")
        creation, at = seats.creation_of(self._database.reader, key), self._clock.now_ms()
        user_id = row.user_id or (creation.user_id if creation else "")
        if creation and user_id:
            try:
                await self._hub(request.workspace).set_active(user_id, False)
            except DeliveryRejected as exc:
                if exc.code != "error-invalid-user":  # he is gone already
                    raise

        def unit(cursor: Any) -> None:
            directory.set_user(cursor, key, "", "", "", "", at)
            directory.unconfirm(cursor, request.workspace, claim(request.system, request.external_id))
            if creation:
                seats.release(cursor, request.workspace, creation.username, at)
                seats.forget_proxy(cursor, request.workspace, user_id)
            directory.note(cursor, at, key, "unlink", user_id, f"by {request.by}")

        await write(self._database.writer, unit)
        what = "; that user, whom we made, is deactivated" if creation and user_id else ""
        return Reply(told=[f"{row.system}:{row.external_id} is nobody now{what}"], figures={"unlinked": 1})

    async def _decide(self, request: Decide) -> Reply:
        state, at = "refused" if request.refuse else "approved", self._clock.now_ms()
        waiting = [(each[1], each[2]) for each in seats.waiting(self._database.reader, request.workspace)]
        ids = request.ids or waiting

        def unit(cursor: Any) -> None:
            for system, external_id in ids:
                key = (request.workspace, system, external_id)
                seats.decide(cursor, key, state, request.by, at)
                directory.note(cursor, at, key, state, cause=f"by {request.by}")

        await write(self._database.writer, unit)
        return Reply(told=[f"{claim(*each)}: {state}" for each in ids], figures={state: len(ids)})

    def _claims(self, user: Profile) -> set[str]:
        return sync.claims_of(user, self._policy.custom_field)

    def _hub(self, workspace: str) -> Provisioner:
        found = self._hubs.get(workspace)
        if found is None:
            raise Refused(f"there is no workspace {workspace!r}")
        return found

    async def _note(self, key: tuple[str, str, str], action: str, by: str, detail: str) -> None:
        at = self._clock.now_ms()
        await write(
            self._database.writer,
            lambda cursor: directory.note(cursor, at, key, action, cause=f"by {by}", detail=detail),
        )
