"""Availability both ways: what the external system says is set on the hub; what changes there is told back.

The hub is asked for its list of agents every few seconds. Users that we made hold livechat-agent only while they
serve; those who rest are not in the list, and what the external system says of them is only remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Literal

from omnibridge.domain.agents import AgentPresence
from omnibridge.errors import DeliveryError
from omnibridge.identity.names import POOL
from omnibridge.identity.world import Key, World
from omnibridge.identity.writing import write
from omnibridge.rocketchat.provisioning import Provisioner
from omnibridge.storage import directory, seats
from omnibridge.storage.directory import READY

Listener = Callable[[AgentPresence], None]
Said = Literal["set", "remembered", "unknown", "failed"]


class Presence:
    """tell: is told each change on the hub that the external system did not make itself.

    repeats: at the first look every person's is told, changed or not: what a crash swallowed is told so.
    """

    def __init__(
        self,
        world: World,
        hubs: Mapping[str, Provisioner],
        tell: Listener = lambda _: None,
        *,
        repeats: bool = False,
    ) -> None:
        self._world, self._hubs, self.tell, self._repeats = world, hubs, tell, repeats
        self._looked: set[str] = set()
        self._known: dict[tuple[str, str], bool] = {}  # (workspace, user id) -> available, as of the last look

    async def said(self, workspace: str, system: str, external_id: str, available: bool) -> Said:
        """The external system says that an agent is there, or not. remembered: nobody on the hub stands for him now."""
        key, hub = (workspace, system, external_id), self._hubs.get(workspace)
        row = directory.find(self._world.database.reader, *key)
        if row is None or hub is None or row.step not in ("", READY):
            return "unknown"
        await self._remember(key, available)
        user_id = row.user_id or self._carrier(key)
        proxy = seats.proxy(self._world.database.reader, workspace, user_id) if user_id else None
        if not user_id or (proxy and not proxy.serving):
            return "remembered"
        before = self._known.get((workspace, user_id))
        self._known[workspace, user_id] = available  # or a look meanwhile would tell it back
        try:
            await hub.set_available(user_id, available)
        except DeliveryError as exc:
            if before is None:
                self._known.pop((workspace, user_id), None)
            else:
                self._known[workspace, user_id] = before
            self._world.alarm("presence", workspace, reason=str(exc))
            return "failed"
        return "set"

    async def look(self) -> None:
        """At every workspace once. One that cannot be asked is looked at the next time."""
        for workspace, hub in self._hubs.items():
            try:
                await self._look(workspace, hub)
            except DeliveryError as exc:
                self._world.alarm("presence", workspace, reason=str(exc))

    async def _look(self, workspace: str, hub: Provisioner) -> None:
        if not any(True for _ in directory.rows(self._world.database.reader, workspace, limit=1)):
            return
        before = {user_id: known for (name, user_id), known in self._known.items() if name == workspace}
        agents = await hub.agents()
        now = {each.user_id: each.available for each in agents}
        for user_id in before.keys() - now.keys():
            self._known.pop((workspace, user_id), None)
        for user_id, available in now.items():
            if self._known.get((workspace, user_id)) != before.get(user_id):
                continue  # the external system said something while we looked
            for key, told, is_person in self._people(workspace, user_id):
                known = before.get(user_id, told)
                if known is not None and known != available:
                    await self._remember(key, available)
                    self.tell(AgentPresence(*key, available))
                elif self._repeats and is_person and workspace not in self._looked:
                    self.tell(AgentPresence(*key, available))
            self._known[workspace, user_id] = available
        self._looked.add(workspace)

    def _people(self, workspace: str, user_id: str) -> Iterator[tuple[Key, bool | None, bool]]:
        """Who a user is to the external systems; what they last said, None = nothing, or not of this service; and
        whether he is a person of the workspace."""
        proxy = seats.proxy(self._world.database.reader, workspace, user_id)
        for row in directory.of_user(self._world.database.reader, workspace, user_id):
            if row.system != POOL:
                told = None if proxy or not row.presence else row.presence == "available"
                yield row.key, told, proxy is None
        if proxy and proxy.pooled and proxy.system:
            yield (workspace, proxy.system, proxy.external_id), None, False

    def _carrier(self, key: Key) -> str:
        """The proxy that carries this persona now, '' = none."""
        proxies = seats.proxies(self._world.database.reader, key[0])
        return next((each.user_id for each in proxies if (each.system, each.external_id) == key[1:]), "")

    async def _remember(self, key: Key, available: bool) -> None:
        presence, at = "available" if available else "not-available", self._world.clock.now_ms()
        await write(self._world.database.writer, partial(directory.set_presence, key=key, presence=presence, at=at))
