"""Forgetting a visitor: what we made goes, whatever the org says to it, and what we only found stays."""

from __future__ import annotations

import pytest

from omnibridge.connector import DeliveryRejected
from tests.connectors.salesforce_crm.orgs import SAMPLE, Conversation, Desk
from tests.connectors.salesforce_crm.test_run import PERSON_ACCOUNT


async def test_erasure_takes_away_what_we_made_and_nothing_else(org: Desk) -> None:
    crm, one, other = (
        await org.use(),
        Conversation(1),
        Conversation(2, visitor_email="o@example.com", **{"visitor.phone": "030 99"}),
    )
    foreign = org.org.create("Contact", {"LastName": "Known", "Email": "known@example.com"})
    for each in (one, other):
        each.say("My name is Vera")
        for trigger in ("handover", "close"):
            await crm.sync(each.snapshot(trigger))
    for _ in range(2):
        await crm.erase(tuple(one.kept.values()))

    assert {each["LastName"] for each in org.all("Contact")} == {"Known", "Vera Visitor"}
    assert org.org.get("Contact", foreign) and len(org.all("Case")) == len(org.all("Task")) == 1
    assert not [each for each in org.all("Case") if each["Omnibridge_Key__c"].startswith(one.key)]


async def test_record_that_the_org_keeps_is_made_empty(org: Desk) -> None:
    crm, one = await org.use(SAMPLE + '[erase]\nblank = ["Case"]\n'), Conversation()
    one.say("secret words")
    for trigger in ("handover", "close"):
        await crm.sync(one.snapshot(trigger))
    await crm.erase(tuple(one.kept.values()))
    (contact,), (case,) = org.all("Contact"), org.all("Case")

    assert (contact["LastName"], contact["Email"], contact["Phone"]) == ("Erased on request", None, None)
    assert (case["Subject"], case["SuppliedEmail"], case["Status"], case["Tags__c"]) == (None, None, "Closed", None)
    assert org.all("Task") == []


async def test_file_is_erased_with_its_document(org: Desk) -> None:
    crm, one = await org.use(PERSON_ACCOUNT), Conversation()
    one.say("secret words")
    for trigger in ("start", "close"):
        await crm.sync(one.snapshot(trigger))
    await crm.erase(tuple(one.kept.values()))

    assert [org.all(each) for each in ("ContentVersion", "ContentDocument", "Case", "Account")] == [[], [], [], []]


async def test_person_account_that_has_cases_is_made_empty(org: Desk) -> None:
    """It has no Name that could be written, and its LastName is required."""
    mapping = PERSON_ACCOUNT.replace(
        'RecordTypeId = "0125', 'VIP__c = { fact = "room.vip", as = "boolean" }\nRecordTypeId = "0125'
    )
    crm, one = await org.use(mapping), Conversation(**{"room.vip": "yes"})
    await crm.sync(one.snapshot("start"))
    (account,) = org.all("Account")
    org.org.create("Case", {"Subject": "of somebody else", "AccountId": account["Id"]})
    assert account["VIP__c"] is True
    await crm.erase(tuple(one.kept.values()))

    assert (account["LastName"], account["PersonEmail"], account["VIP__c"]) == ("Erased on request", None, False)


async def test_nothing_of_the_visitor_is_left_in_a_task_that_stays(org: Desk) -> None:
    mapping = SAMPLE.replace("Chat transcript {part}", "Chat of {visitor_name}")
    crm, one = await org.use(mapping + '[erase]\nblank = ["Task", "Case"]\n'), Conversation()
    org.org.create("Contact", {"LastName": "Known", "Email": "vera@example.com"})
    one.say("secret words")
    for trigger in ("handover", "close"):
        await crm.sync(one.snapshot(trigger))
    assert org.all("Case")[0]["Seen__c"]
    await crm.erase(tuple(one.kept.values()))

    assert not [each for each in ("Vera", "secret", "vera@") if each in str([org.all("Task"), org.all("Case")])]
    assert org.all("Case")[0]["Seen__c"] is None


async def test_record_that_cannot_be_erased_keeps_none_of_the_others(org: Desk) -> None:
    crm, one = await org.use(), Conversation()
    one.say("secret words")
    for trigger in ("handover", "close"):
        await crm.sync(one.snapshot(trigger))
    refusals = [{"status": 403, "code": "ENTITY_IS_LOCKED", "match": f"{how} Task"} for how in ("DELETE", "PATCH")]
    org.simulator.fail_next = refusals
    with pytest.raises(DeliveryRejected, match="Task failed: ENTITY_IS_LOCKED"):
        await crm.erase(tuple(one.kept.values()))

    assert [org.all(each) for each in ("Contact", "Case")] == [[], []] and len(org.all("Task")) == 1
    await crm.erase(tuple(one.kept.values()))
    assert org.all("Task") == []
