"""Forgetting a visitor: what we made is deleted or made empty, what we only found stays as it is.

Children go before what they hang on. A file is deleted as its document; a record that the org keeps, because others
hang on it, is made empty: the fields that the mapping fills go, and required ones get a word that tells why.
"""

from __future__ import annotations

from connectors.salesforce_crm.client import Client, quoted
from connectors.salesforce_crm.mapping import PERSONS, Mapping
from connectors.salesforce_crm.trouble import Trouble
from omnibridge.connector import Kept

ERASED = "Erased on request"
REQUIRED = {"Contact": ("LastName",), "Lead": ("LastName", "Company"), "Account": ("Name",)}


async def erase(client: Client, mapping: Mapping, kept: tuple[Kept, ...]) -> int:
    """How many records were deleted or made empty. Raises Trouble."""
    ours = {(each.object, each.id): each for each in kept if each.made and each.id}
    done = 0
    for object_name, record_id in sorted(ours, key=lambda each: _order(each[0])):
        if object_name not in mapping.erase.keep:
            done += await _erase_one(client, mapping, object_name, record_id)
    return done


def _order(name: str) -> int:
    if name == "ContentVersion":
        return 0
    return 3 if name in PERSONS else 2 if name == "Case" else 1


async def _erase_one(client: Client, mapping: Mapping, name: str, record_id: str) -> int:
    try:
        if name in mapping.erase.blank:
            await _blank(client, mapping, name, record_id)
        elif name == "ContentVersion":
            soql = "SELECT ContentDocumentId FROM ContentVersion WHERE Id = {}"
            rows, _ = await client.query(quoted(soql, record_id), name)
            if not rows:
                return 0
            await client.delete("ContentDocument", str(rows[0]["ContentDocumentId"]))
        else:
            await _delete(client, mapping, name, record_id)
    except Trouble as trouble:
        if trouble.kind != "missing":
            raise
        return 0
    return 1


async def _delete(client: Client, mapping: Mapping, name: str, record_id: str) -> None:
    try:
        await client.delete(name, record_id)
    except Trouble as trouble:
        if trouble.code not in ("DELETE_FAILED", "INSUFFICIENT_ACCESS_OR_READONLY", "INSUFFICIENT_ACCESS"):
            raise
        await _blank(client, mapping, name, record_id)


async def _blank(client: Client, mapping: Mapping, name: str, record_id: str) -> None:
    fields = {
        field
        for write in mapping.write
        if write.object == name
        for field, value in mapping.values(write.fields).items()
        if value.constant is None and not value.record
    }
    if mapping.transcript is not None and mapping.transcript.object == name:
        fields.add(mapping.transcript.field)
    data: dict[str, str | None] = {field: None for field in sorted(fields)}
    data |= {field: ERASED for field in REQUIRED.get(name, ()) if field in data}
    if data:
        await client.update(name, record_id, data)
