"""An external agent in, a user of the hub out: found, made within the budget, lent a proxy; or a reason why not."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial

import msgspec

from omnibridge.domain.agents import AgentFound, AgentRefused, ExternalAgent
from omnibridge.errors import DeliveryError, DeliveryRejected, DeliveryRetryable, DeliveryUncertain, StorageError
from omnibridge.identity import guard, making
from omnibridge.identity.claims import Claims
from omnibridge.identity.guard import refused
from omnibridge.identity.logins import Logins
from omnibridge.identity.names import POOL, is_plain, one_line, problem_of
from omnibridge.identity.pool import Pool
from omnibridge.identity.serving import TO_BE_SWITCHED_OFF, Serving
from omnibridge.identity.world import Key, World
from omnibridge.identity.writing import write
from omnibridge.rocketchat.provisioning import Profile, Provisioner
from omnibridge.storage import directory, faces, seats
from omnibridge.storage.directory import CONFLICT, READY, AgentRow
from omnibridge.storage.seats import DAY_MS, Proxy

PAUSES_S = (0.2, 1.0)
LONGEST_PAUSE_S = 5.0
"""A visitor waits: a hub that fails for longer, or asks for a longer pause, is told to the caller as hub_error."""

FACES_DAYS = 30
"""For so long it is remembered which face a visitor saw; pages are not left open for longer."""


class Identity:
    """hubs: by workspace. All methods may be called at any time, in parallel, and again after a crash."""

    def __init__(self, world: World, hubs: Mapping[str, Provisioner]) -> None:
        self._world, self._hubs = world, hubs
        self._serving = {name: Serving(world, hub, name) for name, hub in hubs.items()}
        self._pools = {name: Pool(world, hub, self._serving[name], name) for name, hub in hubs.items()}
        self._claims = Claims(world)
        self._logins = Logins(world, hubs)
        self.credentials = self._logins.credentials
        self._shared: dict[str, Profile] = {}
        self._later: dict[tuple[str, str], None] = {}

    async def ensure(
        self, workspace: str, agent: ExternalAgent, cause: str, visitor: str = ""
    ) -> AgentFound | AgentRefused:
        """Who on the hub can take a room as this agent, now. cause: for the audit, such as a room and an event.

        visitor: who will see him, '' = nobody yet.
        """
        if problem := problem_of(agent.system, agent.id):
            return self._counted(refused(agent, "unknown", problem))
        hub = self._hubs.get(workspace)
        if hub is None:
            return self._counted(refused(agent, "unknown", f"there is no workspace {workspace!r}"))
        agent, cause = _cleaned(agent), one_line(cause, 500)
        key = (workspace, agent.system, agent.id)
        for pause_s in (*PAUSES_S, None):
            try:
                async with self._world.locks.hold(key):
                    return self._counted(await self._ensure(hub, key, agent, cause, visitor))
            except (DeliveryRetryable, DeliveryUncertain) as exc:
                failure: Exception = exc
                wait_s = exc.retry_after_s or 0.0 if isinstance(exc, DeliveryRetryable) else 0.0
                if pause_s is None or wait_s > LONGEST_PAUSE_S:
                    break
                self._world.count("retried")
                await asyncio.sleep(max(pause_s, wait_s))  # then it goes on from the step that was reached
            except DeliveryRejected as exc:
                self._world.alarm("hub_refused", workspace, reason=str(exc))
                return self._counted(refused(agent, "hub_refused", f"{exc} ({exc.code})"))
            except (DeliveryError, StorageError) as exc:
                failure = exc
                break
        self._world.alarm("hub_error", workspace, reason=str(failure))
        return self._counted(refused(agent, "hub_error", str(failure)))

    async def release(self, workspace: str, user_id: str) -> None:
        """He serves no room any more, as far as one knows. Mapped people are left as they are.

        One who was chosen for another room a moment ago, or cannot be asked about, is looked at again soon.
        """
        serving = self._serving.get(workspace)
        if serving is None:
            return
        async with self._world.locks.hold((workspace, "user", user_id)):
            try:
                rests = await serving.end(user_id)
            except DeliveryError:
                rests = False
        if rests:
            self._later.pop((workspace, user_id), None)
        else:
            self._later[workspace, user_id] = None

    # -- who it is ----------------------------------------------------------------------------------------

    async def _ensure(
        self, hub: Provisioner, key: Key, agent: ExternalAgent, cause: str, visitor: str
    ) -> AgentFound | AgentRefused:
        row = directory.find(self._world.database.reader, *key)
        agent = await self._remembered(row, agent)
        if row and row.step == READY and row.user_id:
            return await self._known(row, agent)
        creation = seats.creation_of(self._world.database.reader, key)
        if creation and not creation.user_id and not self._world.policy.makes_users:
            return refused(agent, "creation_off", "this user was begun; users are not made any more: see [agents]")
        if creation:
            if row is None or row.step in ("", CONFLICT):  # the row was lost, the audit was not
                step = making.CREATED if creation.user_id else making.RESERVED
                name = creation.username if creation.user_id else ""
                row = self._row(key, agent, user_id=creation.user_id, username=name, mode="provisioned", step=step)
                await write(self._world.database.writer, partial(directory.put, rows=[row], at=self._now()))
            return await self._finished(hub, key, agent, cause, visitor)
        mode = (row.mode if row else "") or self._world.policy.mode
        if hub.may_create and (row is None or row.step in ("", CONFLICT)):
            claimed = await self._claims.find(hub, key)
            if isinstance(claimed, Profile):
                ours = seats.proxy(self._world.database.reader, key[0], claimed.user_id)
                mode = "provisioned" if ours else "mapped"
                row = self._row(key, agent, user_id=claimed.user_id, username=claimed.username, mode=mode, step=READY)
                await write(self._world.database.writer, partial(directory.put, rows=[row], at=self._now()))
                return await self._known(row, agent)
            if claimed:
                return await self._claims.conflict(key, self._row(key, agent, step=CONFLICT), claimed)
        if mode == "pooled":
            await self._put(key, agent, mode, READY)
            return await self._pooled(hub, agent, key[0], cause, visitor)
        if mode == "shared":
            await self._put(key, agent, mode, READY)
            return await self._spoken_for(hub, agent, key[0])
        return await self._made(hub, key, agent, cause, visitor)

    async def _known(self, row: AgentRow, agent: ExternalAgent) -> AgentFound | AgentRefused:
        proxy = seats.proxy(self._world.database.reader, row.workspace, row.user_id)
        if proxy is None:
            return AgentFound(row.system, row.external_id, row.user_id, row.username, "mapped")
        try:
            return await self._serves(proxy, agent)
        except DeliveryRejected as exc:
            if exc.code != "error-invalid-user":
                raise
            self._world.alarm("user_gone", row.workspace, username=row.username)
            return refused(
                agent, "unknown", f"{row.username} was deleted on the hub: `agents unlink` makes way for another"
            )

    async def _serves(self, proxy: Proxy, agent: ExternalAgent) -> AgentFound:
        """A user of his own."""
        serving = self._serving[proxy.workspace]
        async with self._world.locks.hold((proxy.workspace, "user", proxy.user_id)):
            proxy = seats.proxy(self._world.database.reader, proxy.workspace, proxy.user_id) or proxy
            await serving.dress(proxy, agent)
            await serving.begin(proxy, agent)
            proxy = seats.proxy(self._world.database.reader, proxy.workspace, proxy.user_id) or proxy
        return AgentFound(agent.system, agent.id, proxy.user_id, proxy.username, "provisioned", proxy.shown_name)

    async def _finished(
        self, hub: Provisioner, key: Key, agent: ExternalAgent, cause: str, visitor: str
    ) -> AgentFound | AgentRefused:
        """The seat is taken; the workspace's licence may have none all the same: then it is asked again next time."""
        try:
            proxy = await making.finish(self._world, hub, key, agent, pooled=False)
        except DeliveryRejected as exc:
            if exc.code != "error-license-user-limit-reached":
                raise
            self._world.alarm("licence", key[0], reason=exc.code)
            return await self._without_seat(hub, agent, key[0], cause, visitor, "the licence allows no further user")
        return await self._serves(proxy, agent)

    async def _made(
        self, hub: Provisioner, key: Key, agent: ExternalAgent, cause: str, visitor: str
    ) -> AgentFound | AgentRefused:
        why_not = await guard.reserve(self._world, hub, key, agent, cause)
        if why_not is None:
            return await self._finished(hub, key, agent, cause, visitor)
        if isinstance(why_not, AgentRefused):
            return why_not
        return await self._without_seat(hub, agent, key[0], cause, visitor, why_not.text)

    async def _without_seat(
        self, hub: Provisioner, agent: ExternalAgent, workspace: str, cause: str, visitor: str, text: str
    ) -> AgentFound | AgentRefused:
        match self._world.policy.over_budget:
            case "pool":
                return await self._pooled(hub, agent, workspace, cause, visitor)
            case "shared":
                return await self._spoken_for(hub, agent, workspace)
            case _:
                return self._no_seat(agent, "over_budget", text)

    def _no_seat(self, agent: ExternalAgent, reason: str, text: str) -> AgentRefused:
        """The room waits for one, or goes elsewhere."""
        return refused(agent, "waiting_seat" if self._world.policy.over_budget == "queue" else reason, text)

    async def _pooled(
        self, hub: Provisioner, agent: ExternalAgent, workspace: str, cause: str, visitor: str
    ) -> AgentFound | AgentRefused:
        proxy = await self._pools[workspace].carry(agent, cause, visitor)
        if isinstance(proxy, Proxy):
            return AgentFound(agent.system, agent.id, proxy.user_id, proxy.username, "pooled", proxy.shown_name)
        if self._world.policy.shared_user:
            self._world.alarm("pool_exhausted", workspace, reason=proxy.text)
            return await self._spoken_for(hub, agent, workspace)
        if proxy.reason in ("pool_exhausted", "over_budget"):
            return self._no_seat(agent, proxy.reason, proxy.text)
        return proxy

    async def _spoken_for(self, hub: Provisioner, agent: ExternalAgent, workspace: str) -> AgentFound | AgentRefused:
        """By the one bot; staff see the alias, the visitor a line in front."""
        name = self._world.policy.shared_user
        if workspace not in self._shared:
            user = await hub.find(username=name) if name else None
            if user is None:
                return refused(agent, "unknown", f"[agents] shared_user: there is no user {name!r}")
            self._shared[workspace] = user
        user = self._shared[workspace]
        return AgentFound(agent.system, agent.id, user.user_id, user.username, "shared", agent.name)

    # -- small things --------------------------------------------------------------------------------------

    async def _remembered(self, row: AgentRow | None, agent: ExternalAgent) -> ExternalAgent:
        """With what was known before where this time nothing was said; what is new is written down."""
        if row is None:
            return agent
        full = ExternalAgent(agent.system, agent.id, agent.name or row.name, agent.avatar_url or row.avatar_url,
                             agent.language or row.language, agent.departments or row.departments)  # fmt: skip
        known = ExternalAgent(row.system, row.external_id, row.name, row.avatar_url, row.language, row.departments)
        if full != known:
            await self._put(row.key, full, row.mode, row.step)
        return full

    async def _put(self, key: Key, agent: ExternalAgent, mode: str, step: str) -> None:
        row = self._row(key, agent, mode=mode, step=step)
        if directory.find(self._world.database.reader, *key) != row:
            await write(self._world.database.writer, partial(directory.put, rows=[row], at=self._now()))

    def _row(self, key: Key, agent: ExternalAgent, **values: str) -> AgentRow:
        known = directory.find(self._world.database.reader, *key) or AgentRow(*key)
        return msgspec.structs.replace(
            known, departments=agent.departments, name=agent.name, avatar_url=agent.avatar_url,
            language=agent.language, **values,
        )  # fmt: skip

    def _now(self) -> int:
        return self._world.clock.now_ms()

    def _counted(self, outcome: AgentFound | AgentRefused) -> AgentFound | AgentRefused:
        self._world.count(outcome.mode if isinstance(outcome, AgentFound) else outcome.reason)
        return outcome

    # -- from time to time ---------------------------------------------------------------------------------

    async def look_again(self) -> None:
        """At those whose release had to wait."""
        for workspace, user_id in list(self._later):
            await self.release(workspace, user_id)

    async def tidy(self) -> None:
        """Let rest who serves nothing, deactivate the idle, renew log-ins, go on with the half-made."""
        before = self._now() - FACES_DAYS * DAY_MS
        await write(self._world.database.writer, partial(faces.purge, before=before))
        for workspace, serving in self._serving.items():
            for proxy in seats.proxies(self._world.database.reader, workspace):
                if proxy.serving:
                    await self.release(workspace, proxy.user_id)
                else:
                    await self._let_rest(serving, proxy)
                await self._logins.keep(proxy)
            await self._go_on(workspace)

    async def _let_rest(self, serving: Serving, proxy: Proxy) -> None:
        idle_ms = self._world.policy.idle_days * DAY_MS
        is_idle = bool(idle_ms) and proxy.active and proxy.used_at + idle_ms <= self._now()
        if not is_idle and (proxy.active or proxy.hold_until != TO_BE_SWITCHED_OFF):
            return
        try:
            async with self._world.locks.hold((proxy.workspace, "user", proxy.user_id)):
                found = seats.proxy(self._world.database.reader, proxy.workspace, proxy.user_id)
                if found and not found.serving and found.used_at == proxy.used_at:
                    await serving.rest(found)
        except DeliveryError as exc:
            self._world.alarm("deactivate", proxy.workspace, username=proxy.username, reason=str(exc))

    async def _go_on(self, workspace: str) -> None:
        """Users that were begun before a crash."""
        for step in (making.RESERVED, making.CREATED, making.TOKENED):
            for row in list(directory.rows(self._world.database.reader, workspace, step=step)):
                agent = ExternalAgent(row.system, row.external_id, row.name, row.avatar_url, row.language)
                lock = (workspace, POOL) if row.system == POOL else row.key
                try:
                    async with self._world.locks.hold(lock):
                        now = directory.find(self._world.database.reader, *row.key)
                        is_begun = now and (now.user_id or self._world.policy.makes_users)
                        if now and now.step == row.step and is_begun:
                            is_pooled = row.system == POOL
                            await making.finish(self._world, self._hubs[workspace], row.key, agent, pooled=is_pooled)
                except (DeliveryError, StorageError) as exc:
                    self._world.alarm("half_made", workspace, reason=str(exc))


def _cleaned(agent: ExternalAgent) -> ExternalAgent:
    """What came from outside, as it may be kept and written into a file."""
    url = agent.avatar_url if is_plain(agent.avatar_url) and len(agent.avatar_url) <= 1000 else ""
    departments = tuple(
        name for name in (one_line(each, 200) for each in agent.departments) if name and ";" not in name
    )
    return ExternalAgent(
        agent.system, agent.id, one_line(agent.name, 200), url, one_line(agent.language, 35), departments
    )
