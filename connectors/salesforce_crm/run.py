"""One synchronisation: find, write, transcript, files, learn. Each step can be repeated and then changes nothing.

What is written has an external id of ours (conversation or visitor, and what it is), so a repeat after a crash meets
the record that is there. After each step it is kept with a digest, so that the same is not even asked for again.
"""

from __future__ import annotations

import base64
from typing import Any

from connectors.salesforce_crm.client import Client, quoted
from connectors.salesforce_crm.mapping import Mapping, Transcript
from connectors.salesforce_crm.plan import (
    Look,
    Operation,
    Place,
    Ref,
    Skipped,
    digest,
    is_due,
    looks,
    own_key,
    places,
    plan_write,
    values_of,
)
from connectors.salesforce_crm.transcript import Part, parts_of
from connectors.salesforce_crm.trouble import Trouble, is_id
from omnibridge.connector import Kept, SharedFile, Snapshot, SyncResult

LINES = 500
"""Read from the journal at a time."""

SAVE = {"Sforce-Duplicate-Rule-Header": "allowSave=true"}


class Run:
    """Of one snapshot. Raises Trouble."""

    def __init__(self, client: Client, mapping: Mapping, snapshot: Snapshot) -> None:
        self._client, self._mapping, self._snapshot = client, mapping, snapshot
        self._kept = dict(snapshot.kept)
        self._places = places(mapping, self._kept)
        self.skipped: list[Skipped] = []
        self.written = 0

    async def go(self) -> SyncResult:
        for record in dict.fromkeys(each.record for each in self._mapping.find):
            await self._find(record)
        for index, write in enumerate(self._mapping.write):
            if is_due(write, self._snapshot.trigger) and not self._is_ended(write.record):
                await self._write(index)
        await self._say()
        await self._share()
        return SyncResult(await self._learn(), self._link())

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
        snapshot = self._snapshot
        record = self._mapping.write[index].record
        planned = plan_write(
            self._mapping, index, snapshot.facts, self._places.get(record), snapshot.key, snapshot.visitor_key
        )
        if isinstance(planned, Skipped):
            self.skipped.append(planned)
            return
        data = await self._resolved(planned.values)
        mark = digest(planned.how, planned.object, planned.key, planned.record_id, data)
        known = self._kept.get(planned.what)
        if known is not None and known.digest == mark:
            return
        made = await self._carry_out(planned, data)
        if made is None:
            return
        self._places[record] = made
        await self._keep(Kept(planned.what, made.object, made.id, made.ours, mark))

    def _is_ended(self, record: str) -> bool:
        """A handover that is sent again after the close must not open the case again."""
        return self._snapshot.trigger != "close" and any(
            each.record == record and set(each.when) == {"close"} and f"{record}#{index}" in self._kept
            for index, each in enumerate(self._mapping.write)
        )

    async def _carry_out(self, planned: Operation, data: dict[str, Any]) -> Place | None:
        if planned.how == "update":
            await self._client.update(planned.object, planned.record_id, data)
            self.written += 1
            return Place(planned.object, planned.record_id)
        options = SAVE if planned.duplicates == "save" else {}
        try:
            record_id, _ = await self._client.upsert(
                planned.object, self._mapping.key_field, planned.key, data, **options
            )
        except Trouble as trouble:
            if trouble.kind != "duplicate" or planned.duplicates == "refuse" or not trouble.ids:
                raise self._again(trouble) from None
            return await self._is_duplicate(planned, trouble.ids[0])
        self.written += 1
        return Place(planned.object, record_id, ours=True)

    async def _is_duplicate(self, planned: Operation, record_id: str) -> Place | None:
        """The org knows such a one. By what the visitor claims: so it is a label, unless the mapping trusts it."""
        label = planned.duplicates == "label"
        place = Place(planned.object, record_id, label=label)
        self._places[planned.record] = place
        asked_for = digest(*(x.digest for x in looks(self._mapping, self._snapshot.facts, planned.record)))
        mark = f"{asked_for}:{'label' if label else 'found'}"
        await self._keep(Kept(f"find:{planned.record}", planned.object, record_id, False, mark))
        return None

    @staticmethod
    def _again(trouble: Trouble) -> Trouble:
        """Another conversation of the same visitor made it at this moment: a repeat finds it."""
        return Trouble("lock", trouble.code, trouble.name, trouble.status) if trouble.kind == "taken" else trouble

    async def _resolved(self, values: dict[str, Any]) -> dict[str, Any]:
        data = {}
        for name, value in values.items():
            found = await self._value_of(value) if isinstance(value, Ref) else value
            if found is not None:
                data[name] = found
        return data

    async def _value_of(self, ref: Ref) -> Any:
        place = self._places.get(ref.record)
        if place is None:
            return None
        if ref.found:
            return place.id if ref.found == "id" else self._address(place)
        if place.label:
            return None
        if not ref.field or ref.field == "Id":
            return place.id
        soql = f"SELECT {ref.field} FROM {place.object} WHERE Id = {{}}"  # noqa: S608 - names are checked
        rows, _ = await self._client.query(quoted(soql, place.id), place.object)
        return rows[0].get(ref.field) if rows else None

    # -- what was said ----------------------------------------------------------------------------------

    async def _say(self) -> None:
        how = self._mapping.transcript
        if how is None or (self._snapshot.trigger != "close" and how.when != "live"):
            return
        done = [each for what, each in self._kept.items() if what.startswith("transcript-")]
        last = max(done, key=lambda each: int(each.what.partition("-")[2]), default=None)
        is_file = how.object == "ContentVersion"
        number, start = 0, 0
        if last is not None:
            # A text is written again from the line that its last part begins with; a file stays, and another follows.
            number = int(last.what.partition("-")[2]) + is_file
            start = last.position + is_file
        for part in parts_of(self._lines(start), how, number):
            await (self._say_as_file(how, part) if is_file else self._say_as_text(how, part))

    def _lines(self, start: int) -> list[Any]:
        found = []
        while page := self._snapshot.lines(start, LINES):
            found += page
            start = page[-1].id + 1
            if len(page) < LINES:
                break
        return found

    async def _say_as_text(self, how: Transcript, part: Part) -> None:
        what, facts = f"transcript-{part.number}", {**self._snapshot.facts, "part": part.number + 1}
        data = await self._resolved(values_of(self._mapping, how.fields, facts))
        data[how.field] = part.text
        mark = digest(how.object, data)
        known = self._kept.get(what)
        if known is not None and known.digest == mark:
            return
        key = f"{self._snapshot.key}-{what}"
        try:
            record_id, _ = await self._client.upsert(how.object, self._mapping.key_field, key, data)
        except Trouble as trouble:
            raise self._again(trouble) from None
        self.written += 1
        await self._keep(Kept(what, how.object, record_id, True, mark, part.first))

    async def _say_as_file(self, how: Transcript, part: Part) -> None:
        what, facts = f"transcript-{part.number}", {**self._snapshot.facts, "part": part.number + 1}
        data = await self._resolved(values_of(self._mapping, how.fields, facts))
        title = str(data.pop("Title", "") or f"Chat transcript {part.number + 1}")
        name = str(data.pop("PathOnClient", "") or "transcript.txt")
        record_id = await self._upload(what, title, name, part.text.encode(), data)
        await self._keep(Kept(what, how.object, record_id, True, digest(part.text), part.last))

    # -- files ------------------------------------------------------------------------------------------

    async def _share(self) -> None:
        how, trigger = self._mapping.files, self._snapshot.trigger
        place = self._places.get(how.record) if how is not None else None
        if how is None or place is None or place.label or (trigger != "close" and how.when != "live"):
            return
        for file in self._snapshot.files:
            what = f"file-{file.id}"
            if what not in self._kept:
                await self._share_one(what, file, place, how.max_bytes, how.fields)

    async def _share_one(
        self, what: str, file: SharedFile, place: Place, max_bytes: int, fields: dict[str, Any]
    ) -> None:
        async with self._client.uploads:
            await self._share_now(what, file, place, max_bytes, fields)

    async def _share_now(
        self, what: str, file: SharedFile, place: Place, max_bytes: int, fields: dict[str, Any]
    ) -> None:
        content = await self._snapshot.read_file(file, max_bytes)
        if content is None:
            self.skipped.append(Skipped(-1, what, "the file is gone, or longer than max_bytes"))
            await self._keep(Kept(what, "", ""))
            return
        data = await self._resolved(values_of(self._mapping, fields, self._snapshot.facts))
        name = file.name.replace("/", "_").replace("\\", "_")[:200] or "file"
        record_id = await self._upload(what, name, name, content, {"FirstPublishLocationId": place.id, **data})
        await self._keep(Kept(what, "ContentVersion", record_id, True))

    async def _upload(self, what: str, title: str, name: str, content: bytes, data: dict[str, Any]) -> str:
        """A ContentVersion takes no upsert with content: so it is looked for first, and its key is unique."""
        key, field = f"{self._snapshot.key}-{what}", self._mapping.key_field
        found = await self._uploaded(field, key)
        if found:
            return found
        body = base64.b64encode(content).decode()
        try:
            made = await self._client.create(
                "ContentVersion", {"Title": title[:255], "PathOnClient": name, field: key, **data, "VersionData": body}
            )
            self.written += 1
            return made
        except Trouble as trouble:
            if trouble.kind != "taken":  # an attempt that was given up for lost arrived after our look
                raise
        return await self._uploaded(field, key)

    async def _uploaded(self, field: str, key: str) -> str:
        soql = f"SELECT Id FROM ContentVersion WHERE {field} = {{}}"  # noqa: S608 - names are checked
        rows, _ = await self._client.query(quoted(soql, key), "ContentVersion")
        return str(rows[0]["Id"]) if rows else ""

    # -- what comes back --------------------------------------------------------------------------------

    async def _learn(self) -> dict[str, Any]:
        """Nothing of a record that the visitor only claims to be."""
        learn = self._mapping.learn
        place = self._places.get(learn.record) if learn is not None else None
        if learn is None or place is None or place.label or self._snapshot.trigger == "close":
            return {}
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

    def _address(self, place: Place) -> str:
        path = self._mapping.link.path if self._mapping.link is not None else "/lightning/r/{object}/{id}/view"
        return self._client.address + path.replace("{object}", place.object).replace("{id}", place.id)

    async def _keep(self, kept: Kept) -> None:
        self._kept[kept.what] = kept
        await self._snapshot.keep(kept)
