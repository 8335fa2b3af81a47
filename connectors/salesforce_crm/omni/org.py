"""Omni-Channel in the simulated org: queues, pending routings, pushes, and people who accept or decline.

    owner becomes a queue ──▶ PendingServiceRouting ──▶ AgentWork Assigned ──accept──▶ Opened, the routing is deleted
                                     ▲ Serial + 1, IsPushed = false ◀──declines, or lets it time out

Queues whose model is External wait for AgentWork that somebody inserts; the others push by themselves. Nothing runs in
the background: before each call the world catches up with the clock (reference 4.1 and 4.2).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from connectors.salesforce_crm.org import Org, Refused, long_id

EXTERNAL = "ExternalRouting"
OPEN = ("Assigned", "Opened")


@dataclass
class Person:
    """What somebody does with work that is pushed: answers, one each (accept, decline, timeout, wait), then `then`.

    after_s: how long he thinks. handles_s: when accepted work is closed, None = never.
    """

    user: str
    answers: list[str] = field(default_factory=list)
    then: str = "accept"
    after_s: float = 0.0
    handles_s: float | None = None


class OmniOrg(Org):
    """pushes: how often AgentWork was asked for, by (routing, serial); refused ones too, when it was pushed already."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self.people: dict[str, Person] = {}
        self.pushes: Counter[tuple[str, int]] = Counter()
        self.pushed_to: list[dict[str, Any]] = []
        self.made: list[str] = []
        self._due: list[tuple[float, str, str]] = []

    # -- what an admin sets up --------------------------------------------------------------------------

    def queue(self, name: str, model: str = "LeastActive", channel: str = "", **more: Any) -> str:
        """Its id. more: Weight__c, Priority__c of what waits in it."""
        channel = channel or self.create("ServiceChannel", {"DeveloperName": name})
        own = {"Model__c": model, "Channel__c": channel, **more}
        return self.create("Group", {"Name": name, "DeveloperName": name, "Type": "Queue", **own})

    def status(self, *channels: str) -> str:
        """A presence status for these channels; without any it would be one of being away."""
        status = self.create("ServicePresenceStatus", {"DeveloperName": "available"})
        for each in channels:
            self.create("ServiceChannelStatus", {"ServicePresenceStatusId": status, "ServiceChannelId": each})
        return status

    def person(self, name: str, capacity: int = 5, online: bool = True, status: str = "", **how: Any) -> str:
        """Id of the user, who is online with so much capacity. status: '' = for every channel. how: see Person."""
        user = self.create("User", {"Name": name, "IsActive": True, "UserType": "Standard"})
        self.people[user] = Person(user, **how)
        if online:
            self.create(
                "UserServicePresence",
                {
                    "UserId": user,
                    "IsCurrentState": True,
                    "IsAway": False,
                    "ConfiguredCapacity": capacity,
                    "ServicePresenceStatusId": status or None,
                    "StatusStartDate": time.strftime("%Y-%m-%dT%H:%M:%S.000+0000", time.gmtime()),
                },
            )
        return user

    # -- records ----------------------------------------------------------------------------------------

    def create(self, name: str, data: dict[str, Any], *, allow_duplicates: bool = False) -> str:
        if name == "AgentWork":
            return self._push_from_outside(data)
        record_id = super().create(name, data, allow_duplicates=allow_duplicates)
        record = self.records[name][record_id]
        if name == "PendingServiceRouting":
            if record.get("RoutingType") != "SkillsBased":
                del self.records[name][record_id]
                raise Refused("INVALID_INPUT", "queue-based routing begins with the owner of the work item")
            self.made.append(record_id)
            self._transfer(str(record["WorkItemId"]))
            self._begin(record, ready=bool(record.get("IsReadyForRouting")))
        self._owned(record)
        return record_id

    def update(self, name: str, record_id: str, data: dict[str, Any], *, allow_duplicates: bool = False) -> None:
        before = self.get(name, record_id)
        if name == "PendingServiceRouting" and before["IsReadyForRouting"]:
            raise Refused("INSUFFICIENT_ACCESS_OR_READONLY", "it is ready for routing")
        owner = before.get("OwnerId")
        super().update(name, record_id, data, allow_duplicates=allow_duplicates)
        if data.get("OwnerId", owner) != owner:
            self._owned(before)

    def delete(self, name: str, record_id: str) -> None:
        super().delete(name, record_id)
        if name == "PendingServiceRouting":
            for each in self._works(PendingServiceRoutingId=long_id(record_id[:15])):
                if each["Status"] == "Assigned":
                    self._set("AgentWork", each, Status="Canceled")

    def _owned(self, record: dict[str, Any]) -> None:
        """It may be a queue's now: then it waits to be routed."""
        if record.get("OwnerId"):
            record["OwnerId"] = long_id(str(record["OwnerId"])[:15])
        queue = self.records.get("Group", {}).get(str(record.get("OwnerId") or ""))
        if queue is None or self._routing_of(record["Id"]):
            return
        self._transfer(record["Id"])
        routing_id = self._next_id("PendingServiceRouting")
        routing = {
            "Id": routing_id, "WorkItemId": record["Id"], "ServiceChannelId": queue["Channel__c"],
            "GroupId": queue["Id"], "RoutingType": "QueueBased", "RoutingModel": queue["Model__c"],
            "RoutingPriority": queue.get("Priority__c"), "CapacityWeight": queue.get("Weight__c", 1),
            "CreatedDate": record["LastModifiedDate"],
        }  # fmt: skip
        self.of("PendingServiceRouting")[routing_id] = routing
        self.made.append(routing_id)
        self._begin(routing, ready=True)
        self._changed("create", "PendingServiceRouting", routing_id, [])

    def _transfer(self, item: str) -> None:
        for each in self._works(WorkItemId=item):
            if each["Status"] in OPEN:
                self._set("AgentWork", each, Status="Transferred")

    def _set(self, name: str, record: dict[str, Any], **fields: Any) -> None:
        """What the platform does: no call of anybody, but told of as any change."""
        record.update(fields)
        self._tell("update", name, record["Id"], sorted(fields))

    def _begin(self, routing: dict[str, Any], *, ready: bool) -> None:
        given = {"CapacityWeight": 1, "RoutingModel": "LeastActive"}
        routing.update({key: value for key, value in given.items() if routing.get(key) is None})
        routing.update(IsReadyForRouting=ready, IsPushed=False, IsPushAttempted=False, Serial=1)

    # -- pushes -----------------------------------------------------------------------------------------

    def _push_from_outside(self, data: dict[str, Any]) -> str:
        self._check("AgentWork", data)
        routing = self.of("PendingServiceRouting").get(str(data.get("PendingServiceRoutingId")))
        if routing is None:
            raise Refused("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
        self.pushes[routing["Id"], routing["Serial"]] += 1
        if routing["IsPushed"] or not routing["IsReadyForRouting"]:
            raise Refused("INVALID_OPERATION", "the work item is pushed to an agent already")
        if routing["WorkItemId"] != data.get("WorkItemId") or routing["RoutingModel"] != EXTERNAL:
            raise Refused("INVALID_INPUT", "this work is not routed from outside")
        if routing.get("IsPreferredUserRequired") and data.get("UserId") != routing.get("PreferredUserId"):
            raise Refused("INVALID_INPUT", "the preferred user is required")
        channel = str(data.get("ServiceChannelId"))
        if self.free(str(data.get("UserId")), channel) < float(data.get("CapacityWeight") or 1):
            raise Refused("INVALID_INPUT", "the agent is not available for this work")
        return self._push(routing, str(data["UserId"]))

    def _push(self, routing: dict[str, Any], user: str) -> str:
        work_id = self._next_id("AgentWork")
        self.of("AgentWork")[work_id] = {
            "Id": work_id, "UserId": user, "WorkItemId": routing["WorkItemId"], "Status": "Assigned",
            "ServiceChannelId": routing["ServiceChannelId"], "PendingServiceRoutingId": routing["Id"],
            "CapacityWeight": routing["CapacityWeight"], "CreatedDate": f"{self._n:012}",
        }  # fmt: skip
        self._changed("create", "AgentWork", work_id, [])
        self._set("PendingServiceRouting", routing, IsPushed=True, IsPushAttempted=True)
        self.pushed_to.append({"routing": routing["Id"], "serial": routing["Serial"], "user": user, "work": work_id})
        person = self.people.get(user) or Person(user)
        answer = person.answers.pop(0) if person.answers else person.then
        if answer != "wait":
            self._due.append((self._now() + person.after_s, work_id, answer))
        return work_id

    def answer(self, work_id: str, how: str) -> None:
        """accept, decline, timeout or close. Nothing happens to work that is over."""
        work = self.of("AgentWork")[work_id]
        routing = self.of("PendingServiceRouting").get(work["PendingServiceRoutingId"])
        if how == "close" and work["Status"] == "Opened":
            self._set("AgentWork", work, Status="Closed")
        if work["Status"] != "Assigned" or routing is None:
            return
        if how == "accept":
            self._set("AgentWork", work, Status="Opened")
            super().delete("PendingServiceRouting", routing["Id"])
            item = next(each[work["WorkItemId"]] for each in self.records.values() if work["WorkItemId"] in each)
            item["OwnerId"] = work["UserId"]
            person = self.people.get(work["UserId"])
            if person and person.handles_s is not None:
                self._due.append((self._now() + person.handles_s, work_id, "close"))
            return
        self._set("AgentWork", work, Status="DeclinedOnPushTimeout" if how == "timeout" else "Declined")
        serial, session = routing["Serial"] + 1, f"session-of-{work['UserId']}"
        self._set("PendingServiceRouting", routing, IsPushed=False, Serial=serial, LastDeclinedAgentSession=session)

    def advance(self) -> None:
        """What people have done by now, and what native queues push."""
        now = self._now()
        while ready := [each for each in self._due if each[0] <= now]:
            self._due = [each for each in self._due if each[0] > now]
            for _, work_id, how in sorted(ready):
                self.answer(work_id, how)
        for routing in list(self.of("PendingServiceRouting").values()):
            if routing["IsReadyForRouting"] and not routing["IsPushed"] and routing["RoutingModel"] != EXTERNAL:
                self._route(routing)

    def _route(self, routing: dict[str, Any]) -> None:
        """Least active, and the one who declined last only when there is nobody else."""
        able = [
            each
            for each in self.people
            if self.free(each, routing["ServiceChannelId"]) >= float(routing["CapacityWeight"])
        ]
        declined = str(routing.get("LastDeclinedAgentSession") or "").removeprefix("session-of-")
        if able:
            best = sorted(able, key=lambda each: (each == declined, -self.free(each), each))
            preferred = routing.get("PreferredUserId")
            self._push(routing, preferred if preferred in able else best[0])

    def free(self, user: str, channel: str = "") -> float:
        """Capacity that is left; -1 = not online, or not for this channel."""
        states = [
            each
            for each in self.of("UserServicePresence").values()
            if each["UserId"] == user and each["IsCurrentState"] and not each["IsAway"]
        ]
        if not states or (channel and not self._is_for(states[0]["ServicePresenceStatusId"], channel)):
            return -1.0
        open_works = (each for each in self._works(UserId=user) if each["Status"] in OPEN)
        return float(states[0]["ConfiguredCapacity"]) - sum(float(each["CapacityWeight"]) for each in open_works)

    def _is_for(self, status: str | None, channel: str) -> bool:
        links = self.of("ServiceChannelStatus").values()
        mine = [each["ServiceChannelId"] for each in links if each["ServicePresenceStatusId"] == status]
        return status is None or channel in mine

    def _routing_of(self, item: str) -> dict[str, Any] | None:
        found = self.of("PendingServiceRouting").values()
        return next((each for each in found if each["WorkItemId"] == item), None)

    def _works(self, **wanted: str) -> list[dict[str, Any]]:
        found = self.of("AgentWork").values()
        return [each for each in found if all(each[key] == value for key, value in wanted.items())]

    # -- for tests and people ---------------------------------------------------------------------------

    def ledger(self) -> dict[str, Any]:
        """double_pushes: for one (routing, serial), tried or done. made: routings there ever were."""
        return {
            "double_pushes": sum(n - 1 for n in self.pushes.values()),
            "pushed_to": self.pushed_to,
            "routings_made": len(self.made),
            "routings_left": len(self.of("PendingServiceRouting")),
        }

    def control(self, wish: dict[str, Any]) -> dict[str, Any]:
        """people [{name, capacity, online, answers, then, after_s, handles_s}], queues [{name, model, Weight__c}],
        answer [[work, how]]: their ids, in order."""
        for work, how in wish.get("answer", []):
            self.answer(work, how)
        return {
            "people": [self.person(**each) for each in wish.get("people", [])],
            "queues": [self.queue(**each) for each in wish.get("queues", [])],
        }
