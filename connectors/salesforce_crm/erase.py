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
REQUIRED = {"Contact": ("LastName",), "Lead": ("LastName", "Company"), "Account": ("Name", "LastName")}
"""An account's LastName is that of a person account, which has no Name to write."""


async def erase(client: Client, mapping: Mapping, kept: tuple[Kept, ...]) -> int:
    """How many records were deleted or made empty. One that the org does not let go keeps none of the others. Raises
    Trouble, at the end where it would be the same again."""
    ours = {(each.object, each.id): each for each in kept if each.made and each.id}
    done, failed = 0, None
    for object_name, record_id in sorted(ours, key=lambda each: _order(each[0])):
        if object_name in mapping.erase.keep:
            continue
        try:
            done += await _erase_one(client, mapping, object_name, record_id)
        except Trouble as trouble:
            if not trouble.is_final:
                raise
            failed = failed or trouble
    if failed is not None:
        raise failed
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
        if trouble.kind == "missing" or not trouble.is_final:
            raise
        await _blank(client, mapping, name, record_id)


async def _blank(client: Client, mapping: Mapping, name: str, record_id: str) -> None:
    filled = [each.fields for each in mapping.write if each.object == name]
    if mapping.transcript is not None and mapping.transcript.object == name:
        filled.append(mapping.transcript.fields)
    data: dict[str, str | bool | None] = {}
    for fields in filled:
        for field, value in mapping.values(fields).items():
            if value.constant is None and (value.found or not value.record):
                data[field] = False if value.kind == "boolean" else None  # a checkbox cannot be empty
    if mapping.transcript is not None and mapping.transcript.object == name:
        data[mapping.transcript.field] = None
    data |= {field: ERASED for field in REQUIRED.get(name, ()) if field in data}
    if data:
        await client.update(name, record_id, data)
