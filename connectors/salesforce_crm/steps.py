"""What every step of a synchronisation shares: where records are, what is kept of them, and failures.

A record that the org refuses for good stands in nobody's way: the others are written, and the failure is raised at the
end. What may go well next time (a lock, a limit, a time-out) ends the run at once.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from connectors.salesforce_crm.client import Client, quoted
from connectors.salesforce_crm.mapping import Mapping
from connectors.salesforce_crm.plan import Place, Ref, Skipped, places
from connectors.salesforce_crm.trouble import Trouble
from omnibridge.connector import Kept, Snapshot


class Steps:
    """Of one snapshot. written: calls that changed something."""

    def __init__(self, client: Client, mapping: Mapping, snapshot: Snapshot) -> None:
        self._client, self._mapping, self._snapshot = client, mapping, snapshot
        self._kept = dict(snapshot.kept)
        self._places = places(mapping, self._kept)
        self._failed: list[Trouble] = []
        self._refused: set[str] = set()
        self.skipped: list[Skipped] = []
        self.written = 0

    async def _attempt(self, step: Awaitable[None], record: str = "") -> None:
        """record: whose step it is. Raises Trouble that may pass."""
        try:
            await step
        except Trouble as trouble:
            if not trouble.is_final:
                raise
            self._failed.append(trouble)
            self._refused.add(record)

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

    async def _by_key(self, name: str, key: str) -> str:
        """Id of the record of ours, '' = there is none."""
        soql = f"SELECT Id FROM {name} WHERE {self._mapping.key_field} = {{}}"  # noqa: S608 - names are checked
        rows, _ = await self._client.query(quoted(soql, key), name)
        return str(rows[0]["Id"]) if rows else ""

    async def _upsert(self, name: str, key: str, data: dict[str, Any], **options: str) -> str:
        """Its id. Another conversation of the same visitor may make it at this moment: then once more. Else it is
        another unique field whose value somebody has."""
        field = self._mapping.key_field
        try:
            return (await self._client.upsert(name, field, key, data, **options))[0]
        except Trouble as trouble:
            if trouble.kind != "taken" or not await self._by_key(name, key):
                raise
        return (await self._client.upsert(name, field, key, data, **options))[0]

    def _address(self, place: Place) -> str:
        path = self._mapping.link.path if self._mapping.link is not None else "/lightning/r/{object}/{id}/view"
        return self._client.address + path.replace("{object}", place.object).replace("{id}", place.id)

    async def _keep(self, kept: Kept) -> None:
        self._kept[kept.what] = kept
        await self._snapshot.keep(kept)
