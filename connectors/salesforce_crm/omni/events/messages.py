"""Messages of eventbus.v1, the Pub/Sub API, as far as we use it: names and numbers of fields, nothing generated.

In a pool of their own: another library in this process may bring the whole of them. Source: the vendor's
pubsub_api.proto (reference 4.3). What we do not name here is skipped when it is read.
"""

from __future__ import annotations

from functools import cache
from typing import Any

SERVICE = "eventbus.v1.PubSub"
LATEST = 0
"""ReplayPreset: what comes from now on."""

FIELDS: dict[str, tuple[tuple[str, int, str], ...]] = {
    "TopicRequest": (("topic_name", 1, "string"),),
    "TopicInfo": (
        ("topic_name", 1, "string"), ("tenant_guid", 2, "string"), ("can_publish", 3, "bool"),
        ("can_subscribe", 4, "bool"), ("schema_id", 5, "string"), ("rpc_id", 6, "string"),
    ),
    "SchemaRequest": (("schema_id", 1, "string"),),
    "SchemaInfo": (("schema_json", 1, "string"), ("schema_id", 2, "string"), ("rpc_id", 3, "string")),
    "ProducerEvent": (("id", 1, "string"), ("schema_id", 2, "string"), ("payload", 3, "bytes")),
    "ConsumerEvent": (("event", 1, "ProducerEvent"), ("replay_id", 2, "bytes")),
    "FetchRequest": (
        ("topic_name", 1, "string"), ("replay_preset", 2, "enum"), ("replay_id", 3, "bytes"),
        ("num_requested", 4, "int32"),
    ),
    "FetchResponse": (
        ("events", 1, "*ConsumerEvent"), ("latest_replay_id", 2, "bytes"), ("rpc_id", 3, "string"),
        ("pending_num_requested", 4, "int32"),
    ),
}  # fmt: skip
"""Message -> (name, number, type) of its fields; `*` = repeated."""

PRESETS = ("LATEST", "EARLIEST", "CUSTOM")


@cache
def messages() -> dict[str, Any]:
    """Classes by name. Raises ImportError without the extra."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kinds = descriptor_pb2.FieldDescriptorProto
    types = {"string": kinds.TYPE_STRING, "bytes": kinds.TYPE_BYTES, "bool": kinds.TYPE_BOOL, "int32": kinds.TYPE_INT32}
    package = SERVICE.rpartition(".")[0]
    file = descriptor_pb2.FileDescriptorProto(name="omnibridge/eventbus.proto", package=package, syntax="proto3")
    presets = file.enum_type.add(name="ReplayPreset")
    for number, name in enumerate(PRESETS):
        presets.value.add(name=name, number=number)
    for message, fields in FIELDS.items():
        made = file.message_type.add(name=message)
        for name, number, kind in fields:
            field = made.field.add(name=name, number=number)
            field.label = kinds.LABEL_REPEATED if kind.startswith("*") else kinds.LABEL_OPTIONAL
            if kind in types:
                field.type = types[kind]
            elif kind == "enum":
                field.type, field.type_name = kinds.TYPE_ENUM, f".{package}.ReplayPreset"
            else:
                field.type, field.type_name = kinds.TYPE_MESSAGE, f".{package}.{kind.removeprefix('*')}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    find = pool.FindMessageTypeByName
    return {name: message_factory.GetMessageClass(find(f"{package}.{name}")) for name in FIELDS}
