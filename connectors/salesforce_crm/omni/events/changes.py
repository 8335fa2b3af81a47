"""What an event says: which sort of record changed, and how. Avro, by the schema that the event names.

Only the header of a change event is used (reference 4.3), and of a routing its queue and whether it is pushed: what has
nothing to do with us need not be looked at.
"""

from __future__ import annotations

import io
import json
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

MOST_SCHEMAS = 64
"""A custom channel has one for each of its objects, and a new one whenever an admin adds a field."""

GetSchema = Callable[[str], Awaitable[str]]


class Change(msgspec.Struct, frozen=True):
    """entity: '' = it could not be read, or is no change event. kind: CREATE, UPDATE, DELETE, UNDELETE, GAP_…, as the
    vendor says. queue: GroupId, where it is told. is_pushed: a routing that is with somebody now."""

    entity: str = ""
    kind: str = ""
    queue: str = ""
    is_pushed: bool = False

    @property
    def is_removal(self) -> bool:
        return self.kind in ("DELETE", "GAP_DELETE")


UNREADABLE = Change()


class Reader:
    """Schemas by id, as many as fit."""

    def __init__(self, get_schema: GetSchema) -> None:
        self._get_schema = get_schema
        self._schemas: dict[str, Any] = {}

    async def read(self, event: Any) -> Change:
        """A ProducerEvent. Raises what get_schema raises; what cannot be read is UNREADABLE, which is a change too."""
        from fastavro import schemaless_reader

        schema = await self._schema(event.schema_id)
        if schema is None:
            return UNREADABLE
        try:
            found: Any = schemaless_reader(io.BytesIO(event.payload), schema, None)
            header = found["ChangeEventHeader"]
            queue, is_pushed = str(found.get("GroupId") or ""), found.get("IsPushed") is True
            return Change(str(header["entityName"]), str(header["changeType"]), queue, is_pushed)
        except Exception:  # whatever Avro says of bytes that are none
            return UNREADABLE

    async def _schema(self, schema_id: str) -> Any:
        from fastavro import parse_schema

        if schema_id not in self._schemas:
            text = await self._get_schema(schema_id)
            while len(self._schemas) >= MOST_SCHEMAS:
                self._schemas.pop(next(iter(self._schemas)))
            try:
                self._schemas[schema_id] = parse_schema(json.loads(text))
            except Exception:  # fastavro raises many; one that is none would be asked for at each event
                self._schemas[schema_id] = None
        return self._schemas[schema_id]
