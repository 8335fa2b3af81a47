"""Users of the hub who say that they are an external agent. Anybody can say so: believed is whom we made, or an admin
confirmed; all others are reported, and nobody is routed to."""

from __future__ import annotations

from typing import Any

from omnibridge.domain.agents import AgentRefused
from omnibridge.identity import sync
from omnibridge.identity.names import claim
from omnibridge.identity.world import Key, World
from omnibridge.identity.writing import write
from omnibridge.rocketchat.provisioning import Profile, Provisioner
from omnibridge.storage import directory, seats
from omnibridge.storage.directory import CONFLICT, AgentRow, Claim


class Claims:
    """Of all workspaces."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def find(self, hub: Provisioner, key: Key) -> Profile | list[Profile]:
        """The one user who says so and is believed; else all who say so, perhaps nobody. Raises DeliveryError."""
        workspace, wanted = key[0], claim(key[1], key[2])
        found: dict[str, Profile] = {}
        for value in (wanted, key[2]):
            one = await hub.find(import_id=value)
            more = await hub.find_by_field(self._world.policy.custom_field, value)
            found |= {each.user_id: each for each in ([one] if one else []) + more}
        reader = self._world.database.reader
        for seen in directory.claims(reader, workspace, (wanted, key[2])):
            if seen.user_id not in found:
                user = await hub.find(user_id=seen.user_id)
                if user and (seen.confirmed or self._of(user, key)):
                    found[user.user_id] = user
        users = [each for each in found.values() if each.active]
        if len(users) == 1 and self._is_believed(key, users[0]):
            others = directory.of_user(reader, workspace, users[0].user_id)
            if all(each.system != key[1] for each in others):
                return users[0]
        return users

    async def conflict(self, key: Key, row: AgentRow, users: list[Profile]) -> AgentRefused:
        """Write it down and report it. row: as the directory shall have it."""
        at, known = self._world.clock.now_ms(), directory.find(self._world.database.reader, *key)

        def unit(cursor: Any) -> None:
            directory.put(cursor, [row], at)
            for user in users:
                for value in self._of(user, key):
                    directory.put_claim(cursor, Claim(key[0], value, user.user_id, user.username, False), at)
            if known is None or known.step != CONFLICT:
                directory.note(cursor, at, key, "conflict", detail=", ".join(each.username for each in users))

        await write(self._world.database.writer, unit)
        self._world.alarm("conflict", key[0], agent=claim(key[1], key[2]))
        who = ", ".join(each.username for each in users) or "somebody"
        text = (
            f"{who} claims to be {claim(key[1], key[2])}, and nobody confirmed it: `agents confirm`, or clear the field"
        )
        return AgentRefused(key[1], key[2], "conflict", text)

    def _of(self, user: Profile, key: Key) -> set[str]:
        """With which words he says that he is this agent."""
        return {claim(key[1], key[2]), key[2]} & sync.claims_of(user, self._world.policy.custom_field)

    def _is_believed(self, key: Key, user: Profile) -> bool:
        reader = self._world.database.reader
        made = seats.made_by_us(reader, key[0], user.user_id)
        is_ours = made is not None and (made.system, made.external_id) == key[1:]
        return is_ours or directory.is_confirmed(reader, key[0], claim(key[1], key[2]), user.user_id)
