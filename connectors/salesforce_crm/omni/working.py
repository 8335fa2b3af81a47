"""Work of queues whose routing model is External: what waits, who is there, and a push to one of them.

Source: reference 4.1 and 4.2. `LastDeclinedAgentSession` is a chat session, not a user (object reference), so who
declined is read from the AgentWork of the routing itself.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from connectors.salesforce_crm.client import Client, quoted
from connectors.salesforce_crm.omni.ids import long_id
from connectors.salesforce_crm.omni.settings import SalesforceOmniSettings
from connectors.salesforce_crm.trouble import Trouble
from omnibridge.connector.routing import Candidate, Push, Standing, Work

OPEN = ("Assigned", "Opened")
DECLINED = ("Declined", "DeclinedOnPushTimeout", "Unavailable")
NO_PRIORITY = 1_000_000.0
_WAITING = (
    "SELECT Id, Serial, WorkItemId, ServiceChannelId, GroupId, RoutingPriority, CapacityWeight, PreferredUserId, "
    "IsPreferredUserRequired, IsPushAttempted, CreatedDate, CustomRequestedDateTime FROM PendingServiceRouting "
    "WHERE IsPushed = false AND IsReadyForRouting = true AND RoutingModel = 'ExternalRouting' AND GroupId IN {} "
    "ORDER BY RoutingPriority ASC NULLS LAST, CreatedDate ASC LIMIT {}"
)
_STANDING = "SELECT Id, Serial, IsPushed, IsReadyForRouting FROM PendingServiceRouting WHERE Id IN {}"
_PUSHES = (
    "SELECT Id, UserId, Status, PendingServiceRoutingId FROM AgentWork WHERE PendingServiceRoutingId IN {} "
    "ORDER BY CreatedDate"
)
_STAFF = (
    "SELECT UserId, IsAway, ConfiguredCapacity, StatusStartDate, ServicePresenceStatusId FROM UserServicePresence "
    "WHERE IsCurrentState = true"
)
_LOADS = "SELECT UserId, CapacityWeight FROM AgentWork WHERE Status IN {} AND UserId IN {}"
_CHANNELS = "SELECT ServicePresenceStatusId, ServiceChannelId FROM ServiceChannelStatus LIMIT 2000"
CHANNELS_S = 300.0
"""Which status is for which channels is asked for again after this."""

IDS = 200
"""Ids in one query."""
PAGES = 10
"""Of 2,000 rows, at most: who is there, and what they have."""


class Working:
    """Raises Trouble. n_waiting: at the last look, without what was pushed since."""

    def __init__(self, client: Client, settings: SalesforceOmniSettings) -> None:
        self._client, self._settings = client, settings
        self._names: dict[str, str] = {}
        self._channels: dict[str, list[str]] = {}
        self._asked_at = -CHANNELS_S
        self.n_waiting = 0

    async def waiting(self, most: int) -> list[Work]:
        soql = quoted(_WAITING, [long_id(each) for each in self._settings.routes], most)
        rows, _ = await self._client.query(soql, "PendingServiceRouting")
        self.n_waiting = len(rows)
        pushes = await self._pushes([each["Id"] for each in rows if each["IsPushAttempted"]])
        found = [_work(each, tuple(pushes.get(each["Id"], ()))) for each in rows]
        return sorted(found, key=lambda each: (each.priority, each.since))

    async def staff(self) -> list[Candidate]:
        rows, _ = await self._client.query(_STAFF, "UserServicePresence", PAGES)
        states = {long_id(each["UserId"]): each for each in rows}
        loads = dict.fromkeys(states, 0.0)
        for each in await self._chunked(_LOADS, sorted(states), "AgentWork", list(OPEN)):
            loads[long_id(each["UserId"])] += float(each["CapacityWeight"] or 0)
        new = sorted(set(states) - set(self._names))
        for each in await self._chunked("SELECT Id, Name FROM User WHERE Id IN {}", new, "User"):
            self._names[long_id(each["Id"])] = str(each["Name"] or "")
        channels = await self._channels_of_statuses()
        return [
            Candidate(
                user,
                self._names.get(user, ""),
                float(state["ConfiguredCapacity"] or 0) - loads[user],
                loads[user],
                _ms(state["StatusStartDate"]),
                "he is away" if state["IsAway"] else "",
                tuple(channels[status]) if (status := str(state["ServicePresenceStatusId"])) in channels else None,
            )
            for user, state in sorted(states.items())
        ]

    async def _channels_of_statuses(self) -> dict[str, list[str]]:
        """A status without any channel is one of being away. Empty when the user has no right to see them: whom
        Salesforce does not take then is found out by its refusal."""
        if time.monotonic() - self._asked_at >= CHANNELS_S:
            found: dict[str, list[str]] = {}
            try:
                for each in (await self._client.query(_CHANNELS, "ServiceChannelStatus"))[0]:
                    found.setdefault(each["ServicePresenceStatusId"], []).append(each["ServiceChannelId"])
            except Trouble as trouble:
                if trouble.kind not in ("missing", "refused"):
                    raise
            self._channels, self._asked_at = found, time.monotonic()
        return self._channels

    async def standing(self, ids: Sequence[str]) -> Mapping[str, Standing]:
        rows = {each["Id"]: each for each in await self._chunked(_STANDING, list(ids), "PendingServiceRouting")}
        pushes = await self._pushes(list(ids))
        return {
            each: Standing(
                int(rows[each]["Serial"] or 0) if each in rows else None,
                each in rows and bool(rows[each]["IsReadyForRouting"]) and not rows[each]["IsPushed"],
                tuple(pushes.get(each, ())),
            )
            for each in ids
        }

    async def push(self, work: Work, agent: str) -> str:
        data = {
            "WorkItemId": work.facts["work_item"], "ServiceChannelId": work.facts["channel"], "UserId": agent,
            "PendingServiceRoutingId": work.id, "CapacityWeight": work.weight,
        }  # fmt: skip
        self.n_waiting = max(0, self.n_waiting - 1)
        return long_id(await self._client.create("AgentWork", data))

    async def _pushes(self, ids: list[str]) -> dict[str, list[Push]]:
        found: dict[str, list[Push]] = {}
        for each in await self._chunked(_PUSHES, ids, "AgentWork"):
            push = Push(long_id(each["Id"]), long_id(each["UserId"]), each["Status"] in DECLINED)
            found.setdefault(each["PendingServiceRoutingId"], []).append(push)
        return found

    async def _chunked(self, soql: str, ids: list[str], name: str, *before: Any) -> list[dict[str, Any]]:
        rows = []
        for at in range(0, len(ids), IDS):
            rows += (await self._client.query(quoted(soql, *before, ids[at : at + IDS]), name, PAGES))[0]
        return rows


def _work(row: dict[str, Any], pushes: tuple[Push, ...]) -> Work:
    priority = row["RoutingPriority"]
    since = str(row["CustomRequestedDateTime"] or row["CreatedDate"] or "")
    facts = {
        "work_item": row["WorkItemId"],
        "channel": row["ServiceChannelId"],
        "queue": row["GroupId"],
        "priority": priority,
        "since": since,
    }
    return Work(
        row["Id"],
        int(row["Serial"] or 0),
        NO_PRIORITY if priority is None else float(priority),
        since,
        float(row["CapacityWeight"] or 1),
        row["ServiceChannelId"],
        long_id(row["PreferredUserId"] or ""),
        bool(row["PreferredUserId"] and row["IsPreferredUserRequired"]),
        pushes,
        {key: value for key, value in facts.items() if value is not None},
    )


def _ms(text: Any) -> int:
    """`2026-01-01T10:00:00.000+0000` -> ms; 0 for what is none."""
    try:
        return int(datetime.strptime(str(text), "%Y-%m-%dT%H:%M:%S.%f%z").timestamp() * 1000)
    except ValueError:
        return 0
