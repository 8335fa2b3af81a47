"""Proxies that carry one external agent's name and picture after another.

A widget caches `/avatar/<username>` for Accounts_AvatarCacheTime: a proxy keeps its last persona, the same agent gets
the same proxy again, and another persona comes only when nobody can still have the old face before him: no open room
by a fresh read, and the cache time over since it last served. That is not enough for a visitor who saw the old persona
and whose page is still open: browsers do not ask again within a page. So he never gets that proxy with another one.
"""

from __future__ import annotations

from functools import partial

from omnibridge.domain.agents import AgentRefused, ExternalAgent
from omnibridge.identity import guard, making
from omnibridge.identity.names import POOL
from omnibridge.identity.serving import Serving
from omnibridge.identity.world import World
from omnibridge.identity.writing import write
from omnibridge.rocketchat.provisioning import Provisioner
from omnibridge.storage import directory, faces, seats
from omnibridge.storage.seats import Proxy

CACHE_SETTING = "Accounts_AvatarCacheTime"
ASK_AGAIN_MS = 600_000


class Pool:
    """Of one workspace."""

    def __init__(self, world: World, hub: Provisioner, serving: Serving, workspace: str) -> None:
        self._world, self._hub, self._serving, self._workspace = world, hub, serving, workspace
        self._cache_ms = 0
        self._asked_at = -ASK_AGAIN_MS

    async def carry(self, agent: ExternalAgent, cause: str, visitor: str = "") -> Proxy | AgentRefused:
        """A proxy that serves as this agent. One carries all chats of its persona, but of visitors who saw it as
        somebody else. Raises DeliveryError."""
        async with self._world.locks.hold((self._workspace, POOL)):
            chosen = await self._choose(agent, cause, visitor)
            if isinstance(chosen, AgentRefused):
                return chosen
            if visitor:  # before he can see it: a crash must not forget it
                persona, at = (agent.system, agent.id), self._world.clock.now_ms()
                seen = partial(faces.put, workspace=self._workspace, visitor=visitor, user_id=chosen.user_id,
                               persona=persona, at=at)  # fmt: skip
                await write(self._world.database.writer, seen)
            async with self._world.locks.hold((self._workspace, "user", chosen.user_id)):
                if (chosen.system, chosen.external_id) == (agent.system, agent.id):
                    await self._serving.complete(chosen, agent)
                else:
                    await self._serving.disguise(chosen, agent)
                found = seats.proxy(self._world.database.reader, self._workspace, chosen.user_id) or chosen
                await self._serving.begin(found, agent)
                return found

    async def _choose(self, agent: ExternalAgent, cause: str, visitor: str) -> Proxy | AgentRefused:
        reader, wanted = self._world.database.reader, (agent.system, agent.id)
        proxies = [each for each in seats.proxies(reader, self._workspace) if each.pooled]
        seen = faces.seen(reader, self._workspace, visitor) if visitor else {}
        fit = [each for each in proxies if seen.get(each.user_id, wanted) == wanted]
        if len(fit) < len(proxies):
            self._world.count("face_avoided")
        for each in fit:
            if (each.system, each.external_id) == wanted:
                return each
        unfinished = self._unfinished()
        free = [each for each in fit if not each.serving and each.user_id not in unfinished.values()]
        fresh = [each for each in free if not each.system]
        if fresh:
            return fresh[0]
        made = await self._make(len(proxies), unfinished, agent, cause)
        if isinstance(made, Proxy):
            return made
        cache_ms, now = await self._cache_time(), self._world.clock.now_ms()
        for each in free:  # the longest unused first
            if each.used_at + cache_ms <= now and not await self._hub.n_open_rooms(each.user_id):
                return each
        if isinstance(made, AgentRefused) and made.reason != "pool_exhausted" and not proxies:
            return made  # there is no pool at all, and this is why
        return guard.refused(agent, "pool_exhausted", f"all {len(proxies)} proxies are busy, were a moment "
                             "ago, or are known to this visitor as somebody else")  # fmt: skip

    def _unfinished(self) -> dict[str, str]:
        """Numbers of proxies that are half made -> user id, '' = not made at all."""
        rows = directory.rows(self._world.database.reader, self._workspace, POOL)
        return {each.external_id: each.user_id for each in rows if each.step != directory.READY}

    async def _make(
        self, n_made: int, unfinished: dict[str, str], agent: ExternalAgent, cause: str
    ) -> Proxy | AgentRefused | None:
        """One more, if the pool may grow; one that was begun first."""
        nobody = ExternalAgent(POOL, "")
        for number in (each for each, user_id in unfinished.items() if user_id or self._world.policy.makes_users):
            return await making.finish(self._world, self._hub, (self._workspace, POOL, number), nobody, pooled=True)
        if n_made >= self._world.policy.pool_size:
            return guard.refused(agent, "pool_exhausted", "the pool is as large as it may be")
        taken = {each.external_id for each in directory.rows(self._world.database.reader, self._workspace, POOL)}
        number = next(str(n) for n in range(1, len(taken) + 2) if str(n) not in taken)
        key = (self._workspace, POOL, number)
        why_not = await guard.reserve(self._world, self._hub, key, ExternalAgent(POOL, number), cause, pooled=True)
        if isinstance(why_not, guard.Full):
            return guard.refused(agent, "over_budget", why_not.text)
        if why_not:
            return guard.refused(agent, why_not.reason, why_not.text)
        return await making.finish(self._world, self._hub, key, nobody, pooled=True)

    async def _cache_time(self) -> int:
        """ms. As the hub says (the setting is in seconds), else as configured."""
        now = self._world.clock.now_ms()
        if now >= self._asked_at + ASK_AGAIN_MS:
            told, self._asked_at = await self._hub.setting(CACHE_SETTING), now
            known = isinstance(told, int | float) and not isinstance(told, bool) and told >= 0
            self._cache_ms = int((told if known else self._world.policy.avatar_cache_s) * 1000)  # type: ignore[operator]
        return self._cache_ms
