"""A conversation as the hub lives through it, and what webhook and realtime connection report of it: raw bodies.

Pure: a clock of its own, no sockets. What the hub would answer to a read at any moment is kept beside.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from omnibridge.domain.events import UserRef
from omnibridge.rocketchat.leaves import iso_of
from omnibridge.rocketchat.rooms import HubMessage, RoomInfo
from tests.unit.rocketchat import envelopes
from tests.unit.rocketchat.realtime import frames

Source = Literal["webhook", "ddp", "app"]
USERS = {"bot": frames.BOT, "alice": frames.ALICE, "bob": {"_id": "bobId", "username": "bob", "name": "Bob"}}
ROOM, BEGAN = "r1", 1_000_000


@dataclass(frozen=True)
class Report:
    """at: when it was sent, ms."""

    at: int
    source: Source
    body: bytes


@dataclass
class Moment:
    """What a read at this time, or later, would answer."""

    at: int
    room: RoomInfo
    messages: tuple[HubMessage, ...]
    deleted: tuple[str, ...]


@dataclass
class Story:
    """truth: the core events as they happened: (kind, who or what)."""

    now: int = BEGAN
    server: str = ""
    served_at: int = 0
    department: str = "d1"
    closed_at: int = 0
    messages: dict[str, HubMessage] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    truth: list[tuple[str, str]] = field(default_factory=list)
    _n: int = 0

    def begin(self) -> None:
        self.truth.append(("ConversationStarted", ""))
        self._keep()
        self._frame("livechat-started", frames.VISITOR)
        self._inquiry("added", "ready")
        self._webhook("LivechatSessionStart")
        self._app("room.started")

    def act(self, what: str, which: int, pause_ms: int) -> None:
        """Do something, if it can be done now. which: chooses a user, department or message."""
        self.now += pause_ms
        if self.closed_at:
            return
        user = list(USERS)[which % len(USERS)]
        if what == "visitor":
            self._say(frames.VISITOR)
        elif what == "staff" and self.server:
            self._say(USERS[self.server])
        elif what == "edit" and self.messages:
            self._edit(list(self.messages)[which % len(self.messages)])
        elif what == "delete" and self.messages:
            self._delete(list(self.messages)[which % len(self.messages)])
        elif what == "assign" and user != self.server:
            self._assign(user)
        elif what == "requeue" and self.server:
            self._requeue()
        elif what == "department":
            self._forward(f"d{which % 3}")
        elif what == "close":
            self._close()

    def at(self, moment: int) -> Moment:
        return [each for each in self.moments if each.at <= moment][-1]

    # -- what happens -------------------------------------------------------------------------------------

    def _say(self, author: dict[str, Any]) -> None:
        self._n += 1
        message = HubMessage(
            f"m{self._n}", ROOM, f"words {self._n}", self.now, author["_id"], author["username"],
            author is frames.VISITOR,
        )  # fmt: skip
        self.messages[message.id] = message
        self.truth.append(("MessagePosted", message.id))
        self._keep()
        self._told(message, author)

    def _edit(self, identity: str) -> None:
        old = self.messages[identity]
        new = msgspec.structs.replace(old, text=f"edited at {self.now}", edited_at_ms=self.now)
        self.messages[identity] = new
        self.truth.append(("MessageEdited", identity))
        self._keep()
        author = frames.VISITOR if new.from_visitor else USERS[new.author_username]
        self._told(new, author)

    def _delete(self, identity: str) -> None:
        del self.messages[identity]
        self.deleted.append(identity)
        self.truth.append(("MessageDeleted", identity))
        self._keep()
        self._ddp(frames.of_room("deleteMessage", {"_id": identity}, room=ROOM))
        self._app("message.deleted", message={"_id": identity, "rid": ROOM})

    def _assign(self, user: str) -> None:
        forwarded = bool(self.server)
        if forwarded:
            self._frame("livechat_transfer_history", USERS["alice"], transferData={"scope": "agent"})
            self._unassign()
        self.server, self.served_at = user, self.now
        self.truth.append(("AgentAssigned", user))
        self._keep()
        self.now += 2  # the messages are stored after the room
        self._frame("command", USERS[user], msg="connected")
        self._frame("uj", USERS[user])
        self._inquiry("changed", "taken")
        self._webhook("LivechatSessionTaken")
        self._app("agent.assigned", agent=USERS[user])
        if forwarded:
            self._webhook("LivechatSessionForwarded")

    def _requeue(self) -> None:
        self._frame("livechat_transfer_history", USERS["alice"], transferData={"scope": "queue"})
        self._unassign()
        self.truth.append(("ConversationQueued", ""))
        self._keep()
        self._inquiry("changed", "queued")
        self._webhook("LivechatSessionQueued")

    def _forward(self, department: str) -> None:
        old = self.department
        if department == old:
            return
        data = {"scope": "department", "previousDepartment": old, "nextDepartment": {"_id": department}}
        self._frame("livechat_transfer_history", USERS["alice"], transferData=data)
        self.department = department
        self.truth.append(("ConversationTransferred", department))
        if self.server:
            self._unassign()
        self._keep()
        self._webhook("LivechatSessionForwarded", oldDepartmentId=old)
        self._app("room.transferred", scope="department", **{"from": {"_id": old}, "to": {"_id": department}})

    def _unassign(self) -> None:
        self.truth.append(("AgentUnassigned", self.server))
        old, self.server = self.server, ""
        self._frame("ul", USERS[old])
        self._app("agent.unassigned", agent=USERS[old])

    def _close(self) -> None:
        self.closed_at = self.now
        self.truth.append(("ConversationClosed", ""))
        self._keep()
        self._frame("livechat-close", frames.VISITOR)
        self._inquiry("removed", "")
        self._webhook("LivechatSession", closedAt=iso_of(self.now), closer="visitor")
        self._app("room.closed")

    # -- what is told of it -------------------------------------------------------------------------------

    def _keep(self) -> None:
        server = USERS.get(self.server)
        by = UserRef(server["_id"], server["username"], server["name"]) if server else None
        served_at = self.served_at if server else 0
        room = RoomInfo(
            ROOM, not self.closed_at, by, self.department, self.closed_at, visitor_id="v1", created_at_ms=BEGAN,
            served_at_ms=served_at, last_message_at_ms=self.now,
        )  # fmt: skip
        self.moments.append(Moment(self.now, room, tuple(self.messages.values()), tuple(self.deleted)))

    def _told(self, message: HubMessage, author: dict[str, Any]) -> None:
        fields: dict[str, Any] = {"_id": message.id, "msg": message.text, "u": author, "ts": {"$date": message.ts_ms}}
        if message.edited_at_ms:
            fields["editedAt"] = {"$date": message.edited_at_ms}
        self._ddp(frames.message(ROOM, **fields))
        times = {name: iso_of(fields[name]["$date"]) for name in ("ts", "editedAt") if name in fields}
        agent = {} if author is frames.VISITOR else {"agentId": author["_id"]}
        self._webhook("Message", messages=[{**fields, **times, **agent}])
        told = {**fields, **times, "rid": ROOM, "from_visitor": author is frames.VISITOR}
        self._app("message.updated" if message.edited_at_ms else "message.posted", message=told)

    def _frame(self, kind: str, author: dict[str, Any], **fields: Any) -> None:
        self._n += 1
        at = {"$date": self.now}
        self._ddp(frames.message(ROOM, **{"_id": f"s{self._n}", "msg": "", "t": kind, "u": author, "ts": at, **fields}))

    def _inquiry(self, what: str, status: str) -> None:
        self._ddp(frames.inquiry(what, ROOM, status=status, department=self.department))

    def _ddp(self, body: bytes) -> None:
        self.reports.append(Report(self.now, "ddp", body))

    def _app(self, kind: str, **data: Any) -> None:
        """The room as the app finds it at that moment, without `servedBy.ts`."""
        closing = {"closedAt": iso_of(self.closed_at), "closer": "visitor"} if self.closed_at else {}
        room = envelopes.room(
            ROOM, open=not self.closed_at, v=frames.VISITOR, departmentId=self.department, ts=iso_of(BEGAN),
            servedBy=USERS.get(self.server), **closing,
        )  # fmt: skip
        self.reports.append(
            Report(self.now, "app", envelopes.envelope(kind, rid=ROOM, at_ms=self.now, room=room, **data))
        )

    def _webhook(self, kind: str, **fields: Any) -> None:
        agent = {"agent": USERS[self.server]} if self.server else {}
        body = {
            "_id": ROOM,
            "type": kind,
            "visitor": frames.VISITOR,
            "departmentId": self.department,
            "messages": [],
            **agent,
            **fields,
        }
        self.reports.append(Report(self.now, "webhook", json.dumps(body).encode()))
