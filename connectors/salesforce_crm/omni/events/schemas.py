"""Avro schemas of the simulated org's change events, and their bytes: with the header as the platform writes it."""

from __future__ import annotations

import hashlib
import io
import json
import time
from functools import cache
from typing import Any

from connectors.salesforce_crm.org import FIELDS, OUR_USER

KINDS = ["CREATE", "UPDATE", "DELETE", "UNDELETE", "GAP_CREATE", "GAP_UPDATE", "GAP_DELETE", "GAP_UNDELETE"]
KINDS += ["GAP_OVERFLOW", "SNAPSHOT"]
_TEXTS = {"type": "array", "items": "string"}
_HEADER = [
    ("entityName", "string"),
    ("recordIds", _TEXTS),
    ("changeType", {"type": "enum", "name": "ChangeType", "symbols": KINDS}),
    ("changeOrigin", "string"),
    ("transactionKey", "string"),
    ("sequenceNumber", "int"),
    ("commitTimestamp", "long"),
    ("commitNumber", "long"),
    ("commitUser", "string"),
    ("nulledFields", _TEXTS),
    ("diffFields", _TEXTS),
    ("changedFields", _TEXTS),
]
_TYPES = {"CapacityWeight": "double", "RoutingPriority": "double", "Serial": "int", "PushTimeout": "int"}


def fields_of(name: str) -> list[str]:
    return sorted(FIELDS[name])


@cache
def schema_of(name: str) -> tuple[str, str]:
    """(id, JSON) of an object's change event."""
    header = {"type": "record", "name": "ChangeEventHeader", "fields": [{"name": k, "type": t} for k, t in _HEADER]}
    fields: list[dict[str, Any]] = [{"name": "ChangeEventHeader", "type": header, "doc": ""}]
    for each in fields_of(name):
        kind = "boolean" if each.startswith("Is") else _TYPES.get(each, "string")
        fields.append({"name": each, "type": ["null", kind], "doc": "", "default": None})
    made = {"type": "record", "name": f"{name}ChangeEvent", "namespace": "com.sforce.eventbus", "fields": fields}
    text = json.dumps(made)
    return hashlib.sha256(text.encode()).hexdigest()[:22], text


@cache
def _parsed(name: str) -> Any:
    from fastavro import parse_schema

    return parse_schema(json.loads(schema_of(name)[1]))


def payload(kind: str, name: str, record_id: str, record: dict[str, Any], changed: list[str], n: int) -> bytes:
    """record: as it is now. changed: of an update. n: of the event; its commit number too."""
    from fastavro import schemaless_writer

    names = fields_of(name)
    told = names if kind == "CREATE" else [each for each in names if each in changed] if kind == "UPDATE" else []
    bits = sum(1 << names.index(each) + 1 for each in told) if kind == "UPDATE" else 0  # position 0 is the header
    header = {
        "entityName": name,
        "recordIds": [record_id],
        "changeType": kind,
        "changeOrigin": "com/salesforce/api/rest/62.0;client=omnibridge",
        "transactionKey": f"{n:08x}-0000-4000-8000-{n:012x}",
        "sequenceNumber": 1,
        "commitTimestamp": time.time_ns() // 1_000_000,
        "commitNumber": n,
        "commitUser": OUR_USER,
        "nulledFields": [],
        "diffFields": [],
        "changedFields": [f"0x{bits:X}"] if bits else [],
    }
    out = io.BytesIO()
    values = {each: _cast(each, record.get(each)) for each in told}
    schemaless_writer(out, _parsed(name), {"ChangeEventHeader": header, **values})
    return out.getvalue()


def _cast(field: str, value: Any) -> Any:
    if value is None or field.startswith("Is"):
        return value
    return {"double": float, "int": int}.get(_TYPES.get(field, ""), str)(value)
