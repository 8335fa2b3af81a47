"""A simulated org on a socket, settings that reach it, and a conversation's snapshot: for the tests here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from connectors.salesforce_crm.connector import SalesforceCrmConnector
from connectors.salesforce_crm.settings import SalesforceCrmSettings
from connectors.salesforce_crm.simulator import CLIENT_ID, CLIENT_SECRET, Simulator
from omnibridge.connector import Kept, Line, SharedFile, Snapshot, SyncTrigger
from omnibridge.connector.testing import FakeContext
from omnibridge.sandbox.server import Socket

SAMPLE = """\
key_field = "Omnibridge_Key__c"
on_several = "none"

[[find]]                       # random, put there by the shop after its log-in: nobody can guess another one's
object = "Contact"
field = "Chat_Key__c"
value = "visitor.chat_key"
verified = true

[[find]]
object = "Contact"
field = "Email"
value = "visitor_email"
kind = "email"
on_several = "label"

[[find]]
object = "Contact"
field = ["Phone", "MobilePhone"]
value = "visitor.phone"
kind = "phone"
region = "DE"

[[write]]
record = "person"
object = "Contact"
when = ["handover", "close"]
if_found = "update"
[write.fields]
LastName = { fact = "visitor_name", default = "Visitor", max = 80 }
Email = { fact = "visitor_email", as = "email" }
Phone = { fact = "visitor.phone", as = "phone", region = "DE" }
LeadSource = "Chat"

[[write]]
record = "case"
object = "Case"
when = ["handover"]
[write.fields]
Subject = { template = "Chat with {visitor_name|a visitor} in {department|no department}", max = 255 }
Status = "New"
Origin = "Chat"
ContactId = { record = "person" }
SuppliedEmail = { fact = "visitor_email", as = "email" }
Seen__c = { found = "link", record = "person" }

[[write]]
record = "case"
object = "Case"
when = ["close"]
if_missing = "skip"            # a chat that no person was in has no case
[write.fields]
Status = "Closed"
Csat__c = { fact = "room.csat", as = "number" }
Tags__c = { fact = "tags" }

[transcript]
object = "Task"
when = "close"
field = "Description"
max = 400
timezone = "Europe/Berlin"
[transcript.fields]
Subject = { template = "Chat transcript {part}" }
Status = "Completed"
WhatId = { record = "case" }

[learn]
record = "person"
facts = { vip = "VIP__c", level = "Level__c" }
[[learn.count]]
fact = "open_cases"
object = "Case"
field = "ContactId"
where = { IsClosed = false }

[link]
records = ["case", "person"]
"""
"""The sample of the README: a shop's help desk."""

FACTS = {
    "workspace": "main",
    "room": "r1",
    "visitor_id": "v1",
    "visitor_name": "Vera Visitor",
    "visitor_email": "Vera@Example.com",
    "visitor.phone": "030 123456",
    "department": "Sales",
    "tags": "vip; refund",
    "room.csat": "4",
}


class Conversation:
    """What the service would keep of one: facts, lines, and what was written."""

    def __init__(self, number: int = 1, visitor: int | None = None, **facts: Any) -> None:
        self.key, self.visitor_key = f"{number:032x}", f"{(visitor or number) + 0xFFFF:032x}"
        self.facts = {**FACTS, **facts}
        self.kept: dict[str, Kept] = {}
        self.said: list[Line] = []
        self.files: dict[str, bytes] = {}
        self.forgets = False

    def say(self, *texts: str) -> None:
        for text in texts:
            n = len(self.said) + 1
            who = ("visitor", "bot", "agent")[n % 3]
            self.said.append(Line(n * 10, 1_780_000_000_000 + n * 1000, who, text, {"agent": "Alice"}.get(who, "")))

    async def keep(self, kept: Kept) -> None:
        if not self.forgets:
            self.kept[kept.what] = kept

    async def read(self, file: SharedFile, most: int) -> bytes | None:
        return self.files[file.id] if len(self.files[file.id]) <= most else None

    def snapshot(self, trigger: SyncTrigger) -> Snapshot:
        return Snapshot(
            self.key,
            self.visitor_key,
            "main",
            "r1",
            trigger,
            {name: each for name, each in self.facts.items() if each is not None},
            dict(self.kept),
            self.keep,
            lambda start, limit: [each for each in self.said if each.id >= start][:limit],
            tuple(SharedFile(each, f"{each}.png", "image/png") for each in self.files),
            self.read,
        )


class Desk:
    """A connector and the org that it works in."""

    def __init__(self, simulator: Simulator, url: str) -> None:
        self.simulator, self.org, self.url = simulator, simulator.org, url
        self.context = FakeContext()
        self.connector = SalesforceCrmConnector()

    def settings(self, mapping: str = SAMPLE, **others: Any) -> SalesforceCrmSettings:
        given: dict[str, Any] = {"url": self.url, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        return SalesforceCrmSettings(**{**given, "mapping": mapping, "read_timeout_s": 2.0, **others})

    async def use(self, mapping: str = SAMPLE, **others: Any) -> SalesforceCrmConnector:
        await self.connector.initialize(self.context.make(self.settings(mapping, **others)))
        return self.connector

    def all(self, name: str) -> list[dict[str, Any]]:
        return list(self.org.of(name).values())


@asynccontextmanager
async def desk() -> AsyncIterator[Desk]:
    simulator = Simulator()
    socket = Socket(simulator.app(), "127.0.0.1", 0)
    await socket.start()
    made = Desk(simulator, socket.url)
    try:
        yield made
    finally:
        await made.connector.aclose()
        await socket.stop()
