"""Settings of events, what an event says, and which extra is needed: without a server."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import msgspec
import pytest

from connectors.salesforce_crm.login import _org
from connectors.salesforce_crm.omni.connector import SalesforceOmniConnector
from connectors.salesforce_crm.omni.events import changes
from connectors.salesforce_crm.omni.events.address import HOST, TOPICS, Address, read_address
from connectors.salesforce_crm.omni.events.changes import UNREADABLE, Change, Reader
from connectors.salesforce_crm.omni.events.messages import messages
from connectors.salesforce_crm.omni.events.schemas import fields_of, payload, schema_of
from connectors.salesforce_crm.omni.settings import SalesforceOmniSettings
from omnibridge.connector import ConfigError
from omnibridge.connector.bell import Bell
from omnibridge.connector.testing import FakeContext

QUEUE, OTHER = "00G5g000001AbCd", "00G5g000001XyZa"
ORG = {"url": "https://acme.my.salesforce.com", "client_id": "c", "client_secret": "s", "routes": [QUEUE]}


def settings(**more: Any) -> SalesforceOmniSettings:
    return msgspec.convert({**ORG, **more}, SalesforceOmniSettings)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (HOST, Address("api.pubsub.salesforce.com:7443")),
        ("127.0.0.1:7443", Address("127.0.0.1:7443")),
        ("[::1]:7443", Address("[::1]:7443")),
        ("grpc://127.0.0.1:1", Address("127.0.0.1:1", is_plain=True)),
        ("grpc://[::1]:1", Address("[::1]:1", is_plain=True)),
        ("grpc://localhost:1", Address("localhost:1", is_plain=True)),
    ],
)
def test_address_is_by_tls_unless_it_says_otherwise(text: str, found: Address) -> None:
    assert read_address(text) == found


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"pubsub_address": "grpc://10.0.0.1:7443"}, "only for a simulator on this machine"),
        ({"pubsub_address": "grpc://api.pubsub.salesforce.com:7443"}, "write HOST:PORT for TLS"),
        ({"pubsub_address": "grpc://127.0.0.1.evil.test:1"}, "on this machine"),
        ({"pubsub_address": "api.pubsub.salesforce.com"}, "must be HOST:PORT"),
        ({"pubsub_address": "https://api.pubsub.salesforce.com:7443"}, "must be HOST:PORT"),
        ({"pubsub_address": "user@api.pubsub.salesforce.com:7443"}, "must be HOST:PORT"),
        ({"pubsub_address": "api.pubsub.salesforce.com:port"}, "must be HOST:PORT"),
        ({"pubsub_address": ""}, "must be HOST:PORT"),
        ({"pubsub_topics": []}, "1 to 10"),
        ({"pubsub_topics": [TOPICS[0], TOPICS[0]]}, "twice"),
        ({"pubsub_topics": ["PendingServiceRouting"]}, "'PendingServiceRouting' is none"),
        ({"pubsub_topics": ["/data/x y"]}, "is none"),
        ({"events": "push"}, "Invalid enum value 'push'"),
    ],
)
def test_setting_that_cannot_work_is_named(more: dict[str, Any], words: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=words):
        settings(**more)


@pytest.mark.parametrize("module", ["grpc", "google.protobuf", "fastavro"])
async def test_without_its_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    made = SalesforceOmniConnector()
    with pytest.raises(ConfigError, match=r"\[\[router\]\] omni: .*pip install omnibridge\[salesforce-events\]"):
        await made.initialize(FakeContext("omni").make(settings(events="pubsub")))
    await made.aclose()
    await made.initialize(FakeContext("omni").make(settings()))
    assert not made.hears
    await made.aclose()


@pytest.mark.parametrize(
    ("identity", "token", "org"),
    [
        ("https://login.salesforce.com/id/00D5g000000SandEAA/0055g00000A1b2cAAB", "x", "00D5g000000SandEAA"),
        ("", "00D5g000000Sand!AQ.secret", "00D5g000000Sand"),
        ("nonsense", "eyJhbGciOi.x.y", ""),
        ("https://login.salesforce.com/id/005000000000001AAA/00D", "eyJ", ""),
    ],
)
def test_id_of_the_org_is_in_the_answer_of_the_login(identity: str, token: str, org: str) -> None:
    assert _org(identity, token) == org


@pytest.mark.parametrize(
    ("change", "rings"),
    [
        (Change("PendingServiceRouting", "CREATE", QUEUE), (False, True)),
        (Change("PendingServiceRouting", "CREATE", OTHER), (False, False)),
        (Change("PendingServiceRouting", "UPDATE"), (False, True)),
        (Change("PendingServiceRouting", "UPDATE", is_pushed=True), (False, False)),
        (Change("PendingServiceRouting", "UNDELETE"), (False, True)),
        (Change("PendingServiceRouting", "GAP_CREATE"), (False, True)),
        (Change("PendingServiceRouting", "GAP_UPDATE"), (False, True)),
        (Change("PendingServiceRouting", "DELETE"), (True, False)),
        (Change("PendingServiceRouting", "GAP_DELETE"), (True, False)),
        (Change("PendingServiceRouting", "GAP_OVERFLOW"), (True, True)),
        (Change("AgentWork", "CREATE"), (True, True)),
        (Change("AgentWork", "GAP_OVERFLOW"), (True, True)),
        (Change("Case", "UPDATE"), (True, True)),
        (UNREADABLE, (True, True)),
    ],
)
async def test_change_rings_for_what_may_have_come_of_it(change: Change, rings: tuple[bool, bool]) -> None:
    made = SalesforceOmniConnector()
    for decides, wanted in ((OTHER, rings), ("", (False, rings[1]))):
        await made.initialize(FakeContext().make(settings(queue=decides)))
        made._working.n_waiting, bell = 1, Bell()
        made._rings_for(change, bell)
        assert (bell.answers.rung.is_set(), bell.work.rung.is_set()) == wanted
    nothing_waits = Bell()
    made._working.n_waiting = 0
    made._rings_for(Change("AgentWork", "UPDATE"), nothing_waits)
    assert not nothing_waits.work.rung.is_set()
    await made.aclose()


def event(schema_id: str, data: bytes) -> Any:
    return messages()["ProducerEvent"](schema_id=schema_id, payload=data)


class Schemas:
    """asked: ids, in order."""

    def __init__(self, **texts: str) -> None:
        self.texts, self.asked = texts, list[str]()

    async def __call__(self, schema_id: str) -> str:
        self.asked.append(schema_id)
        return self.texts.get(schema_id) or schema_of("AgentWork")[1]


ROUTING = {"Id": "0JR", "GroupId": QUEUE, "IsPushed": False, "Serial": 1, "CapacityWeight": 2}


async def test_event_is_read_by_the_schema_that_it_names() -> None:
    schema, text = schema_of("PendingServiceRouting")
    reader = Reader(made := Schemas(**{schema: text}))
    data = payload("CREATE", "PendingServiceRouting", "0JR", ROUTING, [], 1)
    assert await reader.read(event(schema, data)) == Change("PendingServiceRouting", "CREATE", QUEUE)
    pushed = payload("UPDATE", "PendingServiceRouting", "0JR", {**ROUTING, "IsPushed": True}, ["IsPushed"], 2)
    assert await reader.read(event(schema, pushed)) == Change("PendingServiceRouting", "UPDATE", is_pushed=True)
    gone = payload("GAP_OVERFLOW", "PendingServiceRouting", "0JR", {}, [], 3)
    assert await reader.read(event(schema, gone)) == Change("PendingServiceRouting", "GAP_OVERFLOW")

    assert made.asked == [schema]


async def test_event_that_cannot_be_read_is_a_change_all_the_same() -> None:
    reader = Reader(made := Schemas(none="no schema", other='{"type": "string"}', platform=PLATFORM))
    data = payload("CREATE", "AgentWork", "0Bz", {}, [], 1)
    for schema_id, what in (
        ("none", data),
        ("none", data),
        ("other", b"\x02x"),
        ("cut", data[:9]),
        ("cut", b"\xff" * 99),
    ):
        assert await reader.read(event(schema_id, what)) is UNREADABLE
    assert await reader.read(event("platform", b"\x02x")) is UNREADABLE

    assert made.asked == ["none", "other", "cut", "platform"]


PLATFORM = json.dumps({"type": "record", "name": "My__e", "fields": [{"name": "Text__c", "type": "string"}]})


async def test_so_many_schemas_are_kept_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "MOST_SCHEMAS", 3)
    reader = Reader(made := Schemas())
    data = payload("CREATE", "AgentWork", "0Bz", {}, [], 1)
    for name in ("a", "b", "c", "a", "d", "a"):
        assert (await reader.read(event(name, data))).entity == "AgentWork"

    assert made.asked == ["a", "b", "c", "d", "a"] and len(reader._schemas) == 3


def test_simulated_events_have_the_header_of_the_platform() -> None:
    """Positions of a bitmap are those of the schema, from the right."""
    from fastavro import schemaless_reader

    changed = ["IsPushed", "Serial"]
    data = payload("UPDATE", "PendingServiceRouting", "0JR", {**ROUTING, "Serial": 7}, changed, 5)
    schema = json.loads(schema_of("PendingServiceRouting")[1])
    found: Any = schemaless_reader(io.BytesIO(data), schema, None)
    header = found.pop("ChangeEventHeader")
    bits = int(header["changedFields"][0], 16)

    assert (header["changeType"], header["recordIds"], header["commitNumber"]) == ("UPDATE", ["0JR"], 5)
    names = [each["name"] for each in schema["fields"]]
    assert [name for at, name in enumerate(names) if bits >> at & 1] == changed
    assert {name: value for name, value in found.items() if value is not None} == {"IsPushed": False, "Serial": 7}
    assert names == ["ChangeEventHeader", *fields_of("PendingServiceRouting")]
