"""A user that we made begins to serve, and ends: livechat-agent is held only in between.

Bot-first and auto-selection would hand visitors to any idle bot that holds it (rocketchat-api 7.2). Order of steps:
awake, name and picture, role, departments (3.6); taking the role away removes the departments as well. That a user
serves is written down before the hub is asked, so that a crash leaves nobody who holds the role unknown to us.
"""

from __future__ import annotations

from functools import partial

import structlog

from omnibridge.domain.agents import ExternalAgent
from omnibridge.errors import DeliveryError, DeliveryRejected
from omnibridge.identity import making
from omnibridge.identity.avatars import NoPicture, Picture, plain
from omnibridge.identity.names import display_name
from omnibridge.identity.world import World
from omnibridge.identity.writing import write
from omnibridge.rocketchat.provisioning import Provisioner
from omnibridge.storage import directory, seats
from omnibridge.storage.seats import Proxy

HOLD_MS = 15_000
"""After being chosen, a user keeps the role for so long although no room is his yet: the take is on its way."""

FRESH_MS = 5_000
"""A user who was given the role this lately is not given it again."""

DEPARTMENTS_MS = 60_000
"""The list of departments is asked for again after this."""

TO_BE_SWITCHED_OFF = 1
"""hold_until of one who is inactive by our books, but perhaps not yet on the hub: a crash came in between."""

_log = structlog.get_logger("omnibridge.identity")


class Serving:
    """Of one workspace."""

    def __init__(self, world: World, hub: Provisioner, workspace: str) -> None:
        self._world, self._hub, self._workspace = world, hub, workspace
        self._departments: dict[str, str] = {}
        self._departments_at = 0
        self._joined: dict[str, tuple[int, frozenset[str]]] = {}  # user id -> until when we are sure, departments

    def _changes(self, proxy: Proxy, **values: object) -> partial[None]:
        return partial(seats.change_proxy, workspace=self._workspace, user_id=proxy.user_id, **values)

    async def begin(self, proxy: Proxy, agent: ExternalAgent) -> None:
        """Make him able to take a room. Raises DeliveryError. Call under his lock."""
        world, now = self._world, self._world.clock.now_ms()
        sure_until, joined = self._joined.get(proxy.user_id, (0, frozenset[str]()))
        is_sure = proxy.serving and now < sure_until and set(agent.departments) <= joined
        await write(world.database.writer, self._changes(proxy, serving=1, hold_until=now + HOLD_MS, used_at=now))
        if is_sure:
            return
        if not proxy.active:
            await self._wake(proxy)
        await self._hub.grant_agent(proxy.username)
        for each in dict.fromkeys(agent.departments):
            identity = await self._department(each)
            if identity:
                await self._hub.join_department(identity, proxy.user_id, proxy.username)
            else:
                world.alarm("unknown_department", self._workspace, department=each)
        self._joined[proxy.user_id] = (world.clock.now_ms() + FRESH_MS, frozenset(agent.departments))

    async def end(self, user_id: str, *, insist: bool = False) -> bool:
        """Take the role away when a fresh read shows no open room. True when he rests now. Call under his lock.

        insist: although he was chosen a moment ago.
        """
        proxy = seats.proxy(self._world.database.reader, self._workspace, user_id)
        if proxy is None or not proxy.serving:
            return True
        now = self._world.clock.now_ms()
        if (proxy.hold_until > now and not insist) or await self._hub.n_open_rooms(user_id):
            return False
        self._joined.pop(user_id, None)
        try:
            await self._hub.revoke_agent(user_id)
        except DeliveryRejected:
            user = await self._hub.find(user_id=user_id)  # the answer does not tell whether he was an agent at all
            if user and "livechat-agent" in user.roles:
                raise
        hold_until = 0 if proxy.active else TO_BE_SWITCHED_OFF  # he was being woken when somebody died
        await write(self._world.database.writer, self._changes(proxy, serving=0, hold_until=hold_until, used_at=now))
        return True

    async def dress(self, proxy: Proxy, agent: ExternalAgent) -> None:
        """Name and picture as the external system says now. Raises DeliveryError."""
        name = display_name(agent.name)
        if name and name != proxy.shown_name:
            await self._hub.update(proxy.user_id, {"name": name})
            await write(self._world.database.writer, self._changes(proxy, shown_name=name))
        await making.show_picture(self._world, self._hub, proxy, agent)

    async def disguise(self, proxy: Proxy, agent: ExternalAgent) -> None:
        """Another persona: nothing of the one before may remain. Raises DeliveryError.

        Written down first, with nothing shown: after a crash the same persona is put on again, whole.
        """
        carried = self._changes(proxy, system=agent.system, external_id=agent.id, shown_name="", shown_avatar="")
        await write(self._world.database.writer, carried)
        await self.complete(proxy, agent)

    async def complete(self, proxy: Proxy, agent: ExternalAgent) -> None:
        """What of a persona is not shown yet."""
        proxy = seats.proxy(self._world.database.reader, self._workspace, proxy.user_id) or proxy
        name = display_name(agent.name) or proxy.shown_name or making.UNNAMED
        if name != proxy.shown_name:
            await self._hub.update(proxy.user_id, {"name": name})
            await write(self._world.database.writer, self._changes(proxy, shown_name=name))
        picture = await self._picture(proxy, agent)
        if picture and picture.digest != proxy.shown_avatar:
            await self._hub.set_avatar(proxy.user_id, picture.content, picture.media_type)
            await write(self._world.database.writer, self._changes(proxy, shown_avatar=picture.digest))

    async def _picture(self, proxy: Proxy, agent: ExternalAgent) -> Picture | None:
        """Of the persona; of nobody when there is none, but none is taken away again for want of an answer."""
        if agent.avatar_url:
            try:
                return await self._world.avatars.fetch(agent.avatar_url)
            except NoPicture as exc:
                self._world.count("no_picture")
                _log.warning("agent_without_picture", username=proxy.username, reason=str(exc))
        return None if proxy.shown_avatar else plain(f"{agent.system}:{agent.id}")

    async def rest(self, proxy: Proxy) -> None:
        """Deactivate one who was idle for long. Raises DeliveryError.

        Written down first, with his log-in, which the hub drops: who is used after a crash is woken and logs in.
        """
        if not await self.end(proxy.user_id) or await self._hub.n_open_rooms(proxy.user_id):
            return
        world = self._world

        def begin(cursor: object) -> None:
            self._changes(proxy, active=0, hold_until=TO_BE_SWITCHED_OFF)(cursor)
            seats.drop_login(cursor, self._workspace, proxy.username)

        await write(world.database.writer, begin)
        try:
            await self._hub.set_active(proxy.user_id, False)
        except DeliveryRejected:  # he is as active as before
            await write(world.database.writer, self._changes(proxy, active=1, hold_until=0))
            raise
        at, key = world.clock.now_ms(), (self._workspace, proxy.system, proxy.external_id)

        def end(cursor: object) -> None:
            self._changes(proxy, hold_until=0)(cursor)
            directory.note(cursor, at, key, "deactivate", proxy.user_id, "idle")

        await write(world.database.writer, end)
        world.count("deactivated")

    async def _wake(self, proxy: Proxy) -> None:
        """Deactivating drops a user's log-ins, so he logs in again; if not now, then when he first posts."""
        await self._hub.set_active(proxy.user_id, True)
        await write(self._world.database.writer, self._changes(proxy, active=1))
        try:
            await making.renew(self._world, self._hub, self._workspace, proxy.username)
        except DeliveryError as exc:
            self._world.alarm("token", self._workspace, username=proxy.username, reason=exc.code)
        self._world.count("woken")

    async def _department(self, wanted: str) -> str:
        """Its id, '' when there is none."""
        now = self._world.clock.now_ms()
        if wanted not in self._departments or now > self._departments_at + DEPARTMENTS_MS:
            self._departments, self._departments_at = await self._hub.departments(), now
        return self._departments.get(wanted, "")
