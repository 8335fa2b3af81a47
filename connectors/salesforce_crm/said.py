"""What was said, and what was sent along: a transcript in parts, and files. Steps of a synchronisation."""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from connectors.salesforce_crm.client import KEEP_OWNER
from connectors.salesforce_crm.mapping import Files, Transcript
from connectors.salesforce_crm.plan import Place, Ref, Skipped, digest, values_of
from connectors.salesforce_crm.steps import Steps
from connectors.salesforce_crm.transcript import Part, parts_of
from connectors.salesforce_crm.trouble import Trouble
from omnibridge.connector import DeliveryRetryable, Kept, Line, SharedFile

LINES = 500
"""Read from the journal at a time."""
LONGEST_PART = 2**31


class Saying(Steps):
    """Raises Trouble."""

    # -- what was said ----------------------------------------------------------------------------------

    async def _say(self) -> None:
        how = self._mapping.transcript
        if how is None or (self._snapshot.trigger != "close" and how.when != "live"):
            return
        done = [each for what, each in self._kept.items() if what.startswith("transcript-")]
        done.sort(key=_number)
        if how.object == "ContentVersion":
            await self._say_in_files(how, done)
            return
        for each in done[:-1]:
            await self._refer_again(how, each)
        # A text is written again from the line that its last part begins with.
        number, start = (_number(done[-1]), done[-1].position) if done else (0, 0)
        for part in parts_of(self._lines(start), how, number):
            await self._say_as_text(how, part)

    async def _say_in_files(self, how: Transcript, done: list[Kept]) -> None:
        """A file stays, and another follows. How far one goes is kept before it is written: what is said between an
        upload and a crash would be taken for written else."""
        if self._refers_to_refused(how.fields):
            return
        number = start = 0
        for each in done:
            if not each.id:
                begun = _one_part(self._lines(start, each.position), how, number)
                await self._say_as_file(how, msgspec.structs.replace(begun, last=each.position))
            number, start = _number(each) + 1, each.position + 1
        for part in parts_of(self._lines(start), how, number):
            what = f"transcript-{part.number}"
            await self._keep(Kept(what, how.object, "", False, "", part.last))
            await self._say_as_file(how, part)

    def _refers_to_refused(self, fields: dict[str, Any]) -> bool:
        """What is not rewritten waits for what it hangs on."""
        values = values_of(self._mapping, fields, self._snapshot.facts)
        return any(isinstance(each, Ref) and each.record in self._refused for each in values.values())

    def _lines(self, start: int, last: int | None = None) -> list[Line]:
        found: list[Line] = []
        while page := self._snapshot.lines(start, LINES):
            found += page
            start = page[-1].id + 1
            if len(page) < LINES:
                break
        return [each for each in found if last is None or each.id <= last]

    async def _say_as_text(self, how: Transcript, part: Part) -> None:
        what = f"transcript-{part.number}"
        data = await self._fields_of(how, part.number)
        mark = f"{digest(how.object, part.text)}.{digest(data)}"
        known = self._kept.get(what)
        if known is not None and known.digest == mark:
            return
        record_id = await self._upsert_part(how, what, {**data, how.field: part.text}, known is not None)
        await self._keep(Kept(what, how.object, record_id, True, mark, part.first))

    async def _refer_again(self, how: Transcript, kept: Kept) -> None:
        """A part that is full: what it hangs on may have been made, or become known, since."""
        data = await self._fields_of(how, _number(kept))
        text, _, fields = kept.digest.partition(".")
        if data and fields != digest(data):
            await self._upsert_part(how, kept.what, data, True)
            await self._keep(msgspec.structs.replace(kept, digest=f"{text}.{digest(data)}"))

    async def _fields_of(self, how: Transcript, number: int) -> dict[str, Any]:
        facts = {**self._snapshot.facts, "part": number + 1}
        return await self._resolved(values_of(self._mapping, how.fields, facts))

    async def _upsert_part(self, how: Transcript, what: str, data: dict[str, Any], is_there: bool) -> str:
        options = KEEP_OWNER if is_there else {}
        record_id = await self._upsert(how.object, f"{self._snapshot.key}-{what}", data, **options)
        self.written += 1
        return record_id

    async def _say_as_file(self, how: Transcript, part: Part) -> None:
        what, data = f"transcript-{part.number}", await self._fields_of(how, part.number)
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
        if self._refers_to_refused(how.fields):
            return
        unread: DeliveryRetryable | None = None
        for file in self._snapshot.files:
            if f"file-{file.id}" in self._kept:
                continue
            try:
                async with self._client.uploads:
                    await self._attempt(self._share_one(file, place, how))
            except DeliveryRetryable as exc:  # of the hub: the others need not wait for it
                unread = exc
        if unread is not None:
            raise unread

    async def _share_one(self, file: SharedFile, place: Place, how: Files) -> None:
        what = f"file-{file.id}"
        content = await self._snapshot.read_file(file, how.max_bytes)
        if content is None:
            self.skipped.append(Skipped(-1, what, "the file is gone, or longer than max_bytes"))
            await self._keep(Kept(what, "", ""))
            return
        data = await self._resolved(values_of(self._mapping, how.fields, self._snapshot.facts))
        name = file.name.replace("/", "_").replace("\\", "_")[:200] or "file"
        record_id = await self._upload(what, name, name, content, {"FirstPublishLocationId": place.id, **data})
        await self._keep(Kept(what, "ContentVersion", record_id, True))

    async def _upload(self, what: str, title: str, name: str, content: bytes, data: dict[str, Any]) -> str:
        """A ContentVersion takes no upsert with content: so it is looked for first, and its key is unique."""
        key, field = f"{self._snapshot.key}-{what}", self._mapping.key_field
        found = await self._by_key("ContentVersion", key)
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
        return await self._by_key("ContentVersion", key)


def _number(kept: Kept) -> int:
    return int(kept.what.partition("-")[2])


def _one_part(lines: list[Line], how: Transcript, number: int) -> Part:
    """All of them, as one text."""
    parts = parts_of(lines, msgspec.structs.replace(how, max=LONGEST_PART), number)
    return parts[0] if parts else Part(number, 0, 0, "")
