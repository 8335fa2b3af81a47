"""The companion app, installed: tells the bridge of livechat, signed, in order per room, until it is taken.

The same envelopes as deploy/rocketchat-app makes (`make test-app` compares them), without its persistence. Off until
it has address and secret. Source: rocketchat-apps 5, 6: the server hands over what happened, and waits for nothing.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import aiohttp
import msgspec

from omnibridge.sandbox.listener import Listener
from omnibridge.sandbox.shapes import defined, iso
from omnibridge.sandbox.state import Message, Room, User, Visitor, new_id, now_ms

APP_ID = "c6a1b8f0-5d0e-4c57-9b1e-2f3a7d84e9b1"
PAUSES_S = (0.05, 0.2, 1.0)
"""Between attempts; the last one for ever."""
TIMEOUT_S = 5.0
_ROOM = {"opened": "room.started", "closed": "room.closed"}
_AGENT = {"assigned": "agent.assigned", "unassigned": "agent.unassigned"}
_encode = msgspec.json.Encoder().encode


class InstalledApp(Listener):
    """url: `bridge_url` of the app's settings. sent: envelopes that were taken. is_silent: a change of the app's own.

    find: a conversation by its id. seen: ids of the bridge's requests. dropped: envelopes that it says it gave up.
    """

    def __init__(self, find: Callable[[str], Room | None]) -> None:
        self._find = find
        self.url = self.secret = self.site = ""
        self.is_silent = False
        self.dropped = 0
        self.sent: list[dict[str, Any]] = []
        self.seen: dict[str, int] = {}
        self._lanes: dict[str, deque[dict[str, Any]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_on(self) -> bool:
        return bool(self.url and self.secret)

    @property
    def n_waiting(self) -> int:
        return sum(len(each) for each in self._lanes.values())

    def sign(self, request_id: str, stamp: str, body: bytes) -> str:
        """Standard Webhooks."""
        key = base64.b64decode(self.secret.split()[0].removeprefix("whsec_"))
        return f"v1,{base64.b64encode(hmac.digest(key, f'{request_id}.{stamp}.'.encode() + body, 'sha256')).decode()}"

    async def post(self, path: str, request_id: str, body: bytes) -> tuple[int, bytes]:
        """To the bridge. Raises aiohttp.ClientError, TimeoutError."""
        stamp = str(int(time.time()))
        headers = {
            "content-type": "application/json",
            "webhook-id": request_id,
            "webhook-timestamp": stamp,
            "webhook-signature": self.sign(request_id, stamp, body),
        }
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as session,
            session.post(self.url + path, data=body, headers=headers) as answer,
        ):
            return answer.status, await answer.read()

    async def aclose(self) -> None:
        """What is not taken yet is lost; the real one has it in its database."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- what happens -------------------------------------------------------------------------------------

    def message_saved(self, message: Message) -> None:
        kind = "message.updated" if message.edited_at else "message.posted"
        self._message(kind, message)

    def message_deleted(self, message: Message) -> None:
        self._message("message.deleted", message)

    def room_changed(self, room: Room, what: str, who: User | Visitor | None) -> None:
        scope = what.removeprefix("transfer:")
        if what in _ROOM:
            self.tell(_ROOM[what], room)
        elif what in _AGENT and isinstance(who, User):
            self.tell(_AGENT[what], room, agent=user_of(who))
        elif scope in ("agent", "department") and scope != what:
            data = room.messages[-1].extras["transferData"]
            before = {"_id": room.department} if room.department else None
            if scope == "agent":
                self.tell("room.transferred", room, scope=scope, to=data["transferredTo"])
            else:
                self.tell("room.transferred", room, scope=scope, to=data["nextDepartment"], **{"from": before})

    def visitor_changed(self, visitor: Visitor) -> None:
        self.tell("guest.saved", None, visitor=visitor_of(visitor))

    def tell(self, kind: str, room: Room | None, **data: Any) -> None:
        """Now, in the background. Nothing is told of what the app did itself."""
        if not self.is_on or self.is_silent:
            return
        rid = room.id if room else ""
        full = defined({**data, "room": room_of(room) if room else None})
        envelope = {"type": kind, "id": new_id(), "at": iso(now_ms()), "site": self.site, "rid": rid, "data": full}
        waiting = self._lanes.setdefault(rid, deque())
        waiting.append(envelope)
        if len(waiting) == 1:
            task = asyncio.get_running_loop().create_task(self._send(rid))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _message(self, kind: str, message: Message) -> None:
        """Of conversations only; system messages go by another way and raise nothing."""
        room = self._find(message.rid)
        if room and not message.system_type:
            self.tell(kind, room, message=message_of(message))

    async def _send(self, rid: str) -> None:
        waiting, failures = self._lanes[rid], 0
        while waiting:
            envelope = waiting[0]
            try:
                status, _ = await self.post("", envelope["id"], _encode(envelope))
            except (aiohttp.ClientError, TimeoutError):
                status = 0
            if 200 <= status < 300:
                failures = 0
                self.sent.append(waiting.popleft())
            else:
                await asyncio.sleep(PAUSES_S[min(failures, len(PAUSES_S) - 1)])
                failures += 1
        del self._lanes[rid]


def user_of(user: User) -> dict[str, Any]:
    return {"_id": user.id, "username": user.username, "name": user.name}


def actor_of(user: User) -> dict[str, Any]:
    """Who clicked."""
    return {**user_of(user), "roles": sorted(user.roles)}


def visitor_of(visitor: Visitor) -> dict[str, Any]:
    """Without the token."""
    found = {"_id": visitor.id, "username": visitor.username, "name": visitor.name}
    emails, phones = [visitor.email] * bool(visitor.email), [visitor.phone] * bool(visitor.phone)
    return {**found, "emails": emails, "phones": phones, "livechatData": dict(visitor.fields)}


def room_of(room: Room) -> dict[str, Any]:
    """`servedBy` has no time in an app."""
    closed_by = room.closed_by
    return defined(
        {
            "_id": room.id,
            "t": "l",
            "open": room.open,
            "fname": room.visitor.name or room.visitor.username,
            "ts": iso(room.ts),
            "v": visitor_of(room.visitor),
            "servedBy": user_of(room.served_by) if room.served_by else None,
            "departmentId": room.department or None,
            "source": {"type": room.source},
            "livechatData": dict(room.fields),
            "closedAt": iso(room.closed_at),
            "closer": room.closer or None,
            "closedBy": {"_id": closed_by.id, "username": closed_by.username} if closed_by else None,
        }
    )


def message_of(message: Message) -> dict[str, Any]:
    author = message.author
    kept = {name: message.extras.get(name) for name in ("alias", "tmid", "file", "files", "attachments", "blocks")}
    return defined(
        {
            **kept,
            "_id": message.id,
            "rid": message.rid,
            "msg": message.text,
            "ts": iso(message.ts),
            "u": {"_id": author.id, "username": author.username, "name": author.name},
            "from_visitor": isinstance(author, Visitor),
            "editedAt": iso(message.edited_at),
        }
    )
