"""One synchronisation: find, write, transcript, files, learn. Each step can be repeated and then changes nothing.

What is written has an external id of ours (conversation or visitor, and what it is), so a repeat after a crash meets
the record that is there. After each step it is kept with a digest, so that the same is not even asked for again.
"""

from __future__ import annotations

from typing import Any

import msgspec

from connectors.salesforce_crm.client import KEEP_OWNER, Client, quoted
from connectors.salesforce_crm.fitting import MOST_CORRECTIONS, fitted
from connectors.salesforce_crm.learned import Learned
from connectors.salesforce_crm.mapping import PERSONS, Learn, Mapping, Write
from connectors.salesforce_crm.plan import (
    Look,
    Operation,
    Place,
    Ref,
    Skipped,
    digest,
    is_due,
    key_of,
    looks,
    own_key,
    places,
    plan_write,
)
from connectors.salesforce_crm.said import Saying
from connectors.salesforce_crm.trouble import Match, Trouble, is_id
from omnibridge.connector import Kept, Snapshot, SyncResult

SAVE = {"Sforce-Duplicate-Rule-Header": "allowSave=true"}
ASSIGNED = ("Case", "Lead", "Account")
"""Objects whose owner is found by the org's assignment rules."""


class Run(Saying):
    """Of one snapshot. Raises Trouble."""

    def __init__(self, client: Client, mapping: Mapping, snapshot: Snapshot, learned: Learned) -> None:
        super().__init__(client, mapping, snapshot)
        self._learned = learned

    async def go(self) -> SyncResult:
        await self._carry_on()
        if any(each.is_gone for each in self._failed):
            await self._forget_what_is_gone()
            self._failed.clear()
            self._refused.clear()
            await self._carry_on()
        if self._failed:
            raise self._failed[0]
        return SyncResult(await self._learn(), self._link())

    async def _carry_on(self) -> None:
        for record in dict.fromkeys(each.record for each in self._mapping.find):
            await self._attempt(self._find(record), record)
        for index, write in enumerate(self._mapping.write):
            if is_due(write, self._snapshot.trigger) and write.record not in self._refused:
                await self._attempt(self._write(index), write.record)
        await self._attempt(self._say())
        await self._attempt(self._share())

    async def _forget_what_is_gone(self) -> None:
        """Somebody deleted or merged a record that we know: everything is looked for again, and made where it is to be.
        In this run alone: what is kept is replaced as it is found."""
        for what, each in list(self._kept.items()):
            name, _, index = what.partition("#")
            if what.startswith("find:") or (index and not each.made):
                del self._kept[what]
            elif index:
                key = self._key_of(int(index)) if int(index) < len(self._mapping.write) else ""
                if key and await self._by_key(each.object, key):
                    self._kept[what] = msgspec.structs.replace(each, digest="")
                else:
                    del self._kept[what]
            elif name.startswith("transcript-"):
                self._kept[what] = msgspec.structs.replace(each, digest="")
        self._places = places(self._mapping, self._kept)

    # -- finding ----------------------------------------------------------------------------------------

    async def _find(self, record: str) -> None:
        """The first record of a verified key; else the first of any, as a label."""
        place = self._places.get(record)
        if place is not None and place.ours:
            return
        asked = looks(self._mapping, self._snapshot.facts, record)
        asked_for = digest(*(each.digest for each in asked))
        known = self._kept.get(f"find:{record}")
        if known is not None and known.digest.partition(":")[0] == asked_for:
            if known.id or self._snapshot.trigger == "live":
                return
        found: Place | None = None
        for look in asked:
            hit = await self._look(look)
            if hit is not None and (found is None or not hit.label):
                found = hit
            if found is not None and not found.label:
                break
        if found is None:
            self._places.pop(record, None)
            if asked and self._snapshot.trigger == "live":
                # Not at each sync while people talk: the org counts calls. Somebody may make one until the next step.
                await self._keep(Kept(f"find:{record}", "", "", False, f"{asked_for}:none"))
            return
        self._places[record] = found
        if found.ours:
            return
        mark = f"{asked_for}:{'label' if found.label else 'found'}"
        await self._keep(Kept(f"find:{record}", found.object, found.id, False, mark))

    async def _look(self, look: Look) -> Place | None:
        find = look.find
        if find.kind == "id" and not is_id(look.values[0]):
            return None
        either = " OR ".join(f"{field} IN ({', '.join('{}' for _ in look.values)})" for field in find.fields)
        converted = " AND IsConverted = false" if find.object == "Lead" else ""
        own, field = own_key(self._mapping, find, self._snapshot.key, self._snapshot.visitor_key), ""
        if own:
            field = f", {self._mapping.key_field}"
        soql = f"SELECT Id{field} FROM {find.object} WHERE ({either}){converted} ORDER BY LastModifiedDate DESC LIMIT 2"  # noqa: S608
        rows, _ = await self._client.query(quoted(soql, *(look.values * len(find.fields))), find.object)
        if not rows:
            return None
        for row in rows:
            # Made by us for this visitor, and not remembered: we died right after, or it was in another conversation.
            if own and row.get(self._mapping.key_field) == own:
                return Place(find.object, str(row["Id"]), ours=True)
        several = (find.on_several or self._mapping.on_several) if len(rows) > 1 else "newest"
        if several == "none":
            return None
        return Place(find.object, str(rows[0]["Id"]), label=not find.verified or several == "label")

    # -- writing ----------------------------------------------------------------------------------------

    async def _write(self, index: int) -> None:
        snapshot, write = self._snapshot, self._mapping.write[index]
        place = self._places.get(write.record)
        if place is None:
            place = await self._made_before(index, write)
        planned = plan_write(self._mapping, index, snapshot.facts, place, snapshot.key, snapshot.visitor_key)
        if isinstance(planned, Skipped):
            self.skipped.append(planned)
            return
        data = await self._resolved(planned.values)
        mark = digest(planned.how, planned.object, planned.key, planned.record_id, data)
        known = self._kept.get(planned.what)
        if known is not None and known.digest == mark:
            return
        is_there = place is not None and not place.label
        if self._is_ended(write.record):
            # A handover that is carried out after the close: it must not open the case again.
            data = {name: each for name, each in data.items() if isinstance(planned.values[name], Ref)}
            if not is_there or not data:
                return
        made = await self._carry_out(planned, data, place if is_there else None)
        if made is None:
            return
        self._places[write.record] = made
        await self._keep(Kept(planned.what, made.object, made.id, made.ours, mark))

    def _key_of(self, index: int) -> str:
        return key_of(self._mapping.write[index], self._snapshot.key, self._snapshot.visitor_key)

    async def _made_before(self, index: int, write: Write) -> Place | None:
        """In another conversation, or right before we died. Asked only where it makes a difference: whether rules give
        it to somebody, and defaults are written."""
        has_defaults = write.is_per_visitor and write.object in PERSONS
        if not has_defaults and (write.object not in ASSIGNED or "OwnerId" in write.fields):
            return None
        record_id = await self._by_key(write.object, self._key_of(index))
        return Place(write.object, record_id, ours=True) if record_id else None

    def _is_ended(self, record: str) -> bool:
        return self._snapshot.trigger != "close" and any(
            each.record == record and set(each.when) == {"close"} and f"{record}#{index}" in self._kept
            for index, each in enumerate(self._mapping.write)
        )

    async def _carry_out(self, planned: Operation, data: dict[str, Any], place: Place | None) -> Place | None:
        """place: where it is already. None = it is not to be written."""
        sent = {name: each for name, each in data.items() if place is None or name not in planned.defaulted}
        if not sent and place is not None:
            return place
        values = self._mapping.values(self._mapping.write[planned.index].fields)
        for _ in range(MOST_CORRECTIONS):
            try:
                return await self._send(planned, sent, place)
            except Trouble as trouble:
                if trouble.code == "REQUIRED_FIELD_MISSING" and place is not None and len(sent) < len(data):
                    sent, place = data, None  # it is not there after all
                    continue
                corrected = fitted(trouble, sent, values)
                if corrected is None:
                    raise
                sent = corrected
        return await self._send(planned, sent, place)

    async def _send(self, planned: Operation, data: dict[str, Any], place: Place | None) -> Place | None:
        options = SAVE if planned.duplicates == "save" else {}
        if place is not None or "OwnerId" in data:
            options = options | KEEP_OWNER
        try:
            if planned.how == "update":
                await self._client.update(planned.object, planned.record_id, data, **options)
                made = Place(planned.object, planned.record_id)
            else:
                record_id = await self._upsert(planned.object, planned.key, data, **options)
                made = Place(planned.object, record_id, ours=True)
        except Trouble as trouble:
            if trouble.kind != "duplicate" or planned.duplicates not in ("label", "use"):
                raise
            if place is not None:
                self.skipped.append(Skipped(planned.index, planned.record, "with these values it would be a duplicate"))
                return place
            if not trouble.matches:
                raise
            await self._is_duplicate(planned, trouble.matches)
            return None
        self.written += 1
        return made

    async def _is_duplicate(self, planned: Operation, matches: tuple[Match, ...]) -> None:
        """The org knows such a one. By what the visitor claims: so it is a label, unless the mapping trusts it. One of
        another object (a lead like this contact) can only be linked to."""
        match = next((each for each in matches if each.object in ("", planned.object)), matches[0])
        name = match.object or planned.object
        label = planned.duplicates == "label" or name != planned.object
        self._places[planned.record] = Place(name, match.id, label=label)
        asked_for = digest(*(x.digest for x in looks(self._mapping, self._snapshot.facts, planned.record)))
        mark = f"{asked_for}:{'label' if label else 'found'}"
        await self._keep(Kept(f"find:{planned.record}", name, match.id, False, mark))

    # -- what comes back --------------------------------------------------------------------------------

    async def _learn(self) -> dict[str, Any]:
        """Nothing of a record that the visitor only claims to be."""
        learn = self._mapping.learn
        place = self._places.get(learn.record) if learn is not None else None
        if learn is None or place is None or place.label or self._snapshot.trigger == "close":
            return {}
        known = self._learned.of(self._snapshot.key, place.id) if self._snapshot.trigger == "live" else None
        if known is None:
            known = await self._ask_for_facts(learn, place)
            self._learned.put(self._snapshot.key, place.id, known)
        return known

    async def _ask_for_facts(self, learn: Learn, place: Place) -> dict[str, Any]:
        facts: dict[str, Any] = {"record_id": place.id, "object": place.object}
        if learn.facts:
            fields = ", ".join(dict.fromkeys(learn.facts.values()))
            soql = f"SELECT {fields} FROM {place.object} WHERE Id = {{}}"  # noqa: S608 - names are checked
            rows, _ = await self._client.query(quoted(soql, place.id), place.object)
            row = rows[0] if rows else {}
            for fact, field in learn.facts.items():
                if isinstance(row.get(field), str | int | float | bool):
                    facts[fact] = row[field]
        for count in learn.count:
            where = "".join(f" AND {field} = {{}}" for field in count.where)
            soql = f"SELECT COUNT() FROM {count.object} WHERE {count.field} = {{}}{where}"  # noqa: S608
            facts[count.fact] = (await self._client.query(quoted(soql, place.id, *count.where.values()), count.object))[
                1
            ]
        return facts

    def _link(self) -> str:
        link = self._mapping.link
        for record in link.records if link is not None else ():
            if record in self._places:
                return self._address(self._places[record])
        return ""
