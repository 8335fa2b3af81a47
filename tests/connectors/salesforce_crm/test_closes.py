"""Many closes at once, with limits, row locks and cut answers; and the process killed in the middle."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from connectors.salesforce_crm.budget import Budget
from connectors.salesforce_crm.connector import SalesforceCrmConnector
from omnibridge.connector import DeliveryError, SyncTrigger
from tests.connectors.salesforce_crm.orgs import Conversation, Desk

CLOSES = 120
AT_A_TIME = 8
TRIGGERS: tuple[SyncTrigger, ...] = ("handover", "close")


def conversations(count: int) -> list[Conversation]:
    found = []
    for number in range(1, count + 1):
        facts = {"visitor_email": f"v{number}@example.com", "visitor.phone": None, "visitor_name": f"Visitor {number}"}
        one = Conversation(number, **facts)
        one.say(*(f"message {n} of {number} " + "x" * 60 for n in range(8)))
        found.append(one)
    return found


async def close_all(crm: SalesforceCrmConnector, wanted: list[Conversation], org: Desk) -> int:
    """As the outbox does: each until it is done, again after its pause; pauses are cut short. Returns the attempts."""
    slots, attempts = asyncio.Semaphore(AT_A_TIME), 0

    async def close(one: Conversation) -> None:
        nonlocal attempts
        for trigger in TRIGGERS:
            while True:
                try:
                    async with slots:
                        attempts += 1
                        await crm.sync(one.snapshot(trigger))
                    break
                except DeliveryError as exc:
                    await asyncio.sleep(min(getattr(exc, "retry_after_s", None) or 0.1, 0.2))

    async with asyncio.timeout(max(60, CLOSES / 4)):
        await asyncio.gather(*(close(each) for each in wanted))
    return attempts


def verdict(org: Desk, wanted: list[Conversation]) -> dict[str, int]:
    """What the ledger says: of each conversation one contact, one case, each part of its transcript once, whole."""
    keys = Counter(each["Omnibridge_Key__c"] for name in ("Contact", "Case", "Task") for each in org.all(name))
    missing, broken = 0, 0
    for one in wanted:
        parts = sorted(
            (each for each in org.all("Task") if each["Omnibridge_Key__c"].startswith(f"{one.key}-transcript-")),
            key=lambda each: int(each["Omnibridge_Key__c"].rpartition("-")[2]),
        )
        lines = [line.split(": ", 1)[1] for each in parts for line in each["Description"].split("\n")]
        broken += lines != [each.text for each in one.said]
        missing += f"{one.key}-case" not in keys or f"{one.visitor_key}-person" not in keys
        case = next((each for each in org.all("Case") if each["Omnibridge_Key__c"] == f"{one.key}-case"), {})
        broken += any(each["WhatId"] != case.get("Id") for each in parts) or case.get("Status") != "Closed"
    return {"doubled": sum(n - 1 for n in keys.values()), "missing": missing, "broken": broken}


def n_writes(org: Desk) -> int:
    return sum(n for call, n in org.simulator.calls.items() if not call.startswith("GET"))


async def test_closes_at_once_with_limits_and_locks_attach_every_transcript_once(org: Desk) -> None:
    """Of the connector alone; `make crm-closes` plays it with the whole bridge."""
    crm, wanted = await org.use(workers=6), conversations(CLOSES)
    crm._org.budget = Budget(first_pause_s=0.05)
    simulator = org.simulator
    simulator.lock_rate, simulator.cut_rate, simulator.limit = 0.1, 0.05, CLOSES * 2

    async def refill() -> None:
        while True:
            await asyncio.sleep(0.3)
            if simulator.limit is not None and simulator.limit <= 0 < simulator.failures["REQUEST_LIMIT_EXCEEDED"]:
                simulator.limit = CLOSES * 2

    refilling = asyncio.create_task(refill())
    attempts = await close_all(crm, wanted, org)
    refilling.cancel()

    assert verdict(org, wanted) == {"doubled": 0, "missing": 0, "broken": 0}
    assert all(simulator.failures[each] for each in ("UNABLE_TO_LOCK_ROW", "cut", "REQUEST_LIMIT_EXCEEDED"))
    assert attempts > 2 * CLOSES
    simulator.lock_rate = simulator.cut_rate = 0.0
    simulator.limit = None
    changes, writes = len(org.org.changes), n_writes(org)
    await close_all(crm, wanted, org)
    assert (len(org.org.changes), n_writes(org)) == (changes, writes)  # repeated runs change nothing


@pytest.mark.parametrize("seed", range(3))
async def test_what_is_cut_off_anywhere_is_attached_once(org: Desk, seed: int) -> None:
    """Cancelled at a random moment, as a process that dies, and begun anew with what had been kept until then."""
    dice = random.Random(seed)
    crm, wanted = await org.use(), conversations(12)

    async def both(one: Conversation) -> None:
        for trigger in TRIGGERS:
            await crm.sync(one.snapshot(trigger))

    for _ in range(6):
        work = [asyncio.create_task(both(each)) for each in wanted]
        await asyncio.sleep(dice.random() * 0.15)
        for each in work:
            each.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        for one in wanted:
            if one.kept and dice.random() < 0.3:
                one.kept.popitem()
    await close_all(crm, wanted, org)

    assert verdict(org, wanted) == {"doubled": 0, "missing": 0, "broken": 0}


async def test_verdict_can_fail(org: Desk) -> None:
    crm, wanted = await org.use(), conversations(3)
    await close_all(crm, wanted[:2], org)
    assert verdict(org, wanted)["missing"] == 1
    wanted[0].said.pop()
    org.all("Task")[3]["Omnibridge_Key__c"] = org.all("Task")[2]["Omnibridge_Key__c"]

    found = verdict(org, wanted)
    assert found["broken"] >= 2 and found["doubled"] == 1
