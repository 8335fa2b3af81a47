"""A conversation becomes work of Omni-Channel, and who takes it serves the conversation.

    work item by our key ─▶ what was there before is kept ─▶ routing ─▶ AgentWork Opened: his UserId

With a queue, the item gets the queue as its owner and Salesforce makes the PendingServiceRouting: one cannot be
inserted for a queue, its GroupId is not createable (object reference). With skills it is inserted, not ready, gets its
SkillRequirements, and is made ready: then it is read-only, and gone as soon as somebody takes it.

Each step looks before it acts, by the work item: whatever was repeated, there is one routing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from connectors.salesforce_crm.client import KEEP_OWNER, Client, quoted
from connectors.salesforce_crm.fitting import MOST_CORRECTIONS, fitted
from connectors.salesforce_crm.omni.ids import long_id
from connectors.salesforce_crm.omni.settings import SalesforceOmniSettings
from connectors.salesforce_crm.trouble import Trouble
from connectors.salesforce_crm.values import fill
from omnibridge.connector.routing import Asked, Keep, Named, Question

T = TypeVar("T")

MOST_ROUNDS = 3
"""Times that work is routed again because somebody who cannot serve took it."""

IDS = 200
"""Ids in one query: its address must not be longer than 16 KB (reference 3.4)."""
PAGES = 10
"""Of 2,000 rows, at most."""
UNTIL_GONE = ("Assigned", "Opened")
_WORKS = "SELECT Id, UserId, WorkItemId, Status FROM AgentWork WHERE WorkItemId IN {} ORDER BY CreatedDate"
_ROUTINGS = "SELECT Id, WorkItemId, IsReadyForRouting FROM PendingServiceRouting WHERE WorkItemId IN {}"


class Steps(msgspec.Struct, omit_defaults=True):
    """What is kept of a question. before: AgentWork that was there already: it answers an earlier one.

    routing: the PendingServiceRouting, once its id is known. is_routed: it waits for somebody.
    """

    item: str = ""
    before: list[str] = []
    routing: str = ""
    is_routed: bool = False
    rounds: int = 1


_steps = msgspec.json.Decoder(Steps)
_encode = msgspec.json.Encoder().encode


class Deciding:
    """Raises Trouble."""

    def __init__(self, client: Client, settings: SalesforceOmniSettings) -> None:
        self._client, self._settings = client, settings

    async def ask(self, question: Question, state: bytes, keep: Keep) -> None:
        steps = _steps.decode(state) if state else Steps()
        if not steps.item:
            steps.item = await self._make_item(question)
            steps.before = [each["Id"] for each in await self._works([steps.item])]
            await keep(_encode(steps))
        if not steps.is_routed:
            await self._route(steps, keep)

    async def excluded(self, asked: Asked) -> bytes:
        """Somebody who cannot serve has it: what he has counts as before. Salesforce may choose him again."""
        steps = _steps.decode(asked.state)
        if steps.rounds >= MOST_ROUNDS:
            raise Trouble("refused", "ONLY_EXCLUDED_AGENTS", "AgentWork")
        works = await self._works([steps.item])
        return _encode(Steps(steps.item, [each["Id"] for each in works], rounds=steps.rounds + 1))

    async def answers(self, asked: Sequence[Asked]) -> Mapping[str, Named]:
        steps = {each.question.id: _steps.decode(each.state) for each in asked}
        items = sorted({each.item for each in steps.values()})
        # In this order: whoever takes it makes the routing go, so AgentWork that is read later shows it.
        waiting = {each["WorkItemId"] for each in await self._rows(_ROUTINGS, items, "PendingServiceRouting")}
        works: dict[str, list[dict[str, Any]]] = {}
        for each in await self._works(items):
            works.setdefault(each["WorkItemId"], []).append(each)
        found: dict[str, Named] = {}
        for key, step in steps.items():
            ours = [each for each in works.get(step.item, []) if each["Id"] not in step.before]
            taken = [each for each in ours if each["Status"] in self._deciding]
            if taken:
                found[key] = Named(long_id(taken[-1]["UserId"]), "", f"AgentWork {taken[-1]['Id']}")
            elif step.routing and step.item not in waiting and not any(e["Status"] in UNTIL_GONE for e in ours):
                found[key] = Named("", "", "its routing was taken away in Salesforce")
        return await self._with_names(found)

    async def withdraw(self, asked: Asked) -> None:
        steps = _steps.decode(asked.state) if asked.state else Steps()
        item = steps.item or await self._find_item(asked.question)
        if not item:
            return
        for each in await self._rows(_ROUTINGS, [item], "PendingServiceRouting"):
            try:
                await self._client.delete("PendingServiceRouting", each["Id"])
            except Trouble as trouble:
                if trouble.kind != "missing":
                    raise
        if self._filled(self._settings.close, asked.question):
            name = self._settings.object
            try:
                await self._fitting(
                    self._settings.close, asked.question, lambda data: self._client.update(name, item, data)
                )
            except Trouble as trouble:
                if trouble.kind != "missing":
                    raise

    @property
    def _deciding(self) -> tuple[str, ...]:
        return ("Opened",) if self._settings.taken == "Opened" else ("Assigned", "Opened")

    # -- steps ------------------------------------------------------------------------------------------

    async def _make_item(self, question: Question) -> str:
        settings = self._settings
        name, field, key = settings.object, settings.key_field, self._key(question)

        async def upsert(data: dict[str, Any]) -> str:
            # Its owner is ours to say: assignment rules could give it to a queue that routes it a second time.
            return (await self._client.upsert(name, field, key, data, **KEEP_OWNER))[0]

        return long_id(await self._fitting(settings.fields, question, upsert))

    async def _fitting(
        self, fields: dict[str, Any], question: Question, write: Callable[[dict[str, Any]], Awaitable[T]]
    ) -> T:
        """With what visitors wrote made to fit."""
        data, values = self._filled(fields, question), self._settings.values(fields)
        for _ in range(MOST_CORRECTIONS):
            try:
                return await write(data)
            except Trouble as trouble:
                less = fitted(trouble, data, values)
                if less is None:
                    raise
                data = less
        return await write(data)

    async def _find_item(self, question: Question) -> str:
        """It may have been made although its id could not be kept."""
        settings = self._settings
        soql = f"SELECT Id FROM {settings.object} WHERE {settings.key_field} = {{}}"  # noqa: S608 - names are checked
        rows, _ = await self._client.query(quoted(soql, self._key(question)), settings.object)
        return str(rows[0]["Id"]) if rows else ""

    async def _route(self, steps: Steps, keep: Keep) -> None:
        item = steps.item
        there = await self._rows(_ROUTINGS, [item], "PendingServiceRouting")
        new = [each for each in await self._works([item]) if each["Id"] not in steps.before]
        if not there and not new and not steps.routing:
            if self._settings.queue:
                await self._give_to_queue(item)
                there = await self._rows(_ROUTINGS, [item], "PendingServiceRouting")
            else:
                there = [{"Id": await self._insert(item), "IsReadyForRouting": False}]
        if there:
            steps.routing = there[0]["Id"]
            await keep(_encode(steps))
        if there and not there[0]["IsReadyForRouting"]:
            await self._make_ready(steps.routing)
        steps.is_routed = True
        await keep(_encode(steps))

    async def _give_to_queue(self, item: str) -> None:
        """A queue that owns it already, from a question that was taken back, makes no new routing: who made the item
        owns it in between."""
        settings = self._settings
        soql = f"SELECT OwnerId, CreatedById FROM {settings.object} WHERE Id = {{}}"  # noqa: S608 - names are checked
        rows, _ = await self._client.query(quoted(soql, item), settings.object)
        if rows and long_id(str(rows[0]["OwnerId"] or "")) == long_id(settings.queue):
            await self._client.update(settings.object, item, {"OwnerId": rows[0]["CreatedById"]})
        await self._client.update(settings.object, item, {"OwnerId": settings.queue})

    async def _insert(self, item: str) -> str:
        settings = self._settings
        data = {
            "WorkItemId": item, "ServiceChannelId": settings.channel, "RoutingType": "SkillsBased",
            "RoutingModel": "MostAvailable", "CapacityWeight": 1, "IsReadyForRouting": False,
        }  # fmt: skip
        if settings.priority:
            data["RoutingPriority"] = settings.priority
        return await self._client.create("PendingServiceRouting", data)

    async def _make_ready(self, routing: str) -> None:
        soql = "SELECT SkillId FROM SkillRequirement WHERE RelatedRecordId = {}"
        rows, _ = await self._client.query(quoted(soql, routing), "SkillRequirement")
        has = {long_id(each["SkillId"]) for each in rows}
        for skill, level in self._settings.skills.items():
            if long_id(skill) not in has:
                data = {"RelatedRecordId": routing, "SkillId": skill, "SkillLevel": level}
                await self._client.create("SkillRequirement", data)
        await self._client.update("PendingServiceRouting", routing, {"IsReadyForRouting": True})

    # -- look-ups ---------------------------------------------------------------------------------------

    async def _works(self, items: list[str]) -> list[dict[str, Any]]:
        return await self._rows(_WORKS, items, "AgentWork")

    async def _rows(self, soql: str, items: list[str], name: str) -> list[dict[str, Any]]:
        rows = []
        for at in range(0, len(items), IDS):
            rows += (await self._client.query(quoted(soql, items[at : at + IDS]), name, PAGES))[0]
        return rows

    async def _with_names(self, found: dict[str, Named]) -> dict[str, Named]:
        """For agents that the directory does not know yet."""
        users = sorted({each.external_id for each in found.values() if each.external_id})
        rows = await self._rows("SELECT Id, Name FROM User WHERE Id IN {}", users, "User")
        names = {long_id(each["Id"]): str(each["Name"] or "") for each in rows}
        return {
            key: Named(each.external_id, names.get(each.external_id, ""), each.cause) for key, each in found.items()
        }

    def _filled(self, fields: dict[str, Any], question: Question) -> dict[str, Any]:
        facts = {**question.facts, "workspace": question.workspace, "room": question.room}
        if question.department:
            facts["department"] = question.department
        filled = {name: fill(value, facts) for name, value in self._settings.values(fields).items()}
        return {name: value for name, value in filled.items() if value is not None}

    def _key(self, question: Question) -> str:
        return f"{question.key}-{self._settings.record}"
