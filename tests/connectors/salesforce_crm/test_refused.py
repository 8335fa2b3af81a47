"""What an org does of its own accord: rules of assignment and of duplicates, refusals, deletions."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.salesforce_crm.org import Refused
from omnibridge.connector import DeliveryRejected
from tests.connectors.salesforce_crm.orgs import SAMPLE, Conversation, Desk

QUEUE, AGENT = "00G5g0000000001EAA", "0055g0000000001AAA"


async def test_rules_of_assignment_work_when_a_case_is_made_and_never_again(org: Desk) -> None:
    """Else each change takes it away from whoever works on it."""
    crm, one = await org.use(), Conversation()
    org.org.assignee = QUEUE
    await crm.sync(one.snapshot("handover"))
    (case,) = org.all("Case")
    assert case["OwnerId"] == QUEUE
    case["OwnerId"] = AGENT
    await crm.sync(one.snapshot("close"))
    one.kept.clear()  # we died before it was kept
    await crm.sync(one.snapshot("handover"))

    assert org.all("Case") == [case] and case["OwnerId"] == AGENT


async def test_owner_of_the_mapping_is_not_overruled(org: Desk) -> None:
    crm, one = await org.use(SAMPLE.replace('Origin = "Chat"', f'Origin = "Chat"\nOwnerId = "{AGENT}"')), Conversation()
    org.org.assignee = QUEUE
    await crm.sync(one.snapshot("handover"))

    assert org.all("Case")[0]["OwnerId"] == AGENT


async def test_defaults_do_not_take_the_place_of_what_staff_found_out(org: Desk) -> None:
    crm = await org.use(SAMPLE.replace('"visitor.phone"\nkind', '"room.phone"\nkind'))
    real = org.org.create("Contact", {"LastName": "Doe", "Chat_Key__c": "K-17"})
    await crm.sync(Conversation(1, visitor_name=None, **{"visitor.chat_key": "K-17"}).snapshot("handover"))
    await crm.sync(Conversation(2, 5, visitor_name=None, visitor_email="a@example.com").snapshot("handover"))
    ours = org.all("Contact")[-1]
    assert (org.org.get("Contact", real)["LastName"], ours["LastName"]) == ("Doe", "Visitor")
    ours["LastName"] = "Roe"
    await crm.sync(Conversation(3, 5, visitor_name=None, visitor_email="b@example.com").snapshot("handover"))

    assert len(org.all("Contact")) == 2 and (ours["LastName"], ours["Email"]) == ("Roe", "b@example.com")


async def test_words_of_a_visitor_are_made_to_fit(org: Desk) -> None:
    """The org knows how long its fields are, and which addresses it takes; a visitor cannot keep his chat out of it."""
    mapping = SAMPLE.replace('default = "Visitor", max = 80', 'default = "Visitor"').replace(", max = 255", "")
    mapping = mapping.replace('Origin = "Chat"', 'Origin = "Chat"\nNick__c = { fact = "visitor_username" }')
    mapping = mapping.replace('SuppliedEmail = { fact = "visitor_email", as = "email" }',
                              'SuppliedEmail = { fact = "visitor_email" }')  # fmt: skip
    crm, one = await org.use(mapping), Conversation(visitor_name="V" * 500, visitor_email="me@home")
    one.facts["visitor_username"] = "n" * 21
    one.say("Hello")
    for trigger in ("handover", "close"):
        await crm.sync(one.snapshot(trigger))
    (contact,), (case,) = org.all("Contact"), org.all("Case")

    assert contact["LastName"] == "V" * 80 and "Email" not in contact
    assert len(case["Subject"]) == 255 and case["Nick__c"] == "n" * 20 and "SuppliedEmail" not in case
    assert len(org.all("Task")) == 1


async def test_constant_that_is_too_long_is_the_operators(org: Desk) -> None:
    crm = await org.use(SAMPLE.replace('Origin = "Chat"', f'Nick__c = "{"n" * 21}"'))
    with pytest.raises(DeliveryRejected, match="STRING_TOO_LONG"):
        await crm.sync(Conversation().snapshot("handover"))


async def test_record_that_is_refused_stands_in_nobodys_way(org: Desk) -> None:
    """The others are written and the failure is told; when it is mended, what refers to it is put right."""
    crm, one = await org.use(), Conversation()
    one.say("Hello")
    refusal = {"status": 400, "code": "FIELD_CUSTOM_VALIDATION_EXCEPTION", "match": "PATCH Contact", "count": 2}
    org.simulator.fail_next = [refusal]
    for trigger in ("handover", "close"):
        with pytest.raises(DeliveryRejected, match="Contact failed: FIELD_CUSTOM_VALIDATION_EXCEPTION"):
            await crm.sync(one.snapshot(trigger))
    (case,), (task,) = org.all("Case"), org.all("Task")
    assert (case["Status"], task["WhatId"]) == ("Closed", case["Id"]) and "ContactId" not in case
    for trigger in ("handover", "close"):
        await crm.sync(one.snapshot(trigger))

    (contact,) = org.all("Contact")
    assert org.all("Case") == [case] and org.all("Task") == [task]
    assert (case["Status"], case["ContactId"]) == ("Closed", contact["Id"])


async def test_record_that_could_not_be_looked_for_is_not_made(org: Desk) -> None:
    crm, one = await org.use(), Conversation()
    org.org.create("Contact", {"LastName": "Known", "Email": "vera@example.com"})
    org.simulator.fail_next = [{"status": 400, "code": "INVALID_FIELD", "match": "GET query"}]
    with pytest.raises(DeliveryRejected):
        await crm.sync(one.snapshot("handover"))

    assert len(org.all("Contact")) == len(org.all("Case")) == 1


async def test_record_that_somebody_deleted_is_looked_for_again(org: Desk) -> None:
    crm, one = await org.use(), Conversation(**{"visitor.chat_key": "K-17"})
    first = org.org.create("Contact", {"LastName": "Doe", "Chat_Key__c": "K-17"})
    one.say("Hello")
    await crm.sync(one.snapshot("handover"))
    for case in org.all("Case"):
        org.org.delete("Case", case["Id"])
    org.org.delete("Contact", first)
    merged = org.org.create("Contact", {"LastName": "Doe", "Chat_Key__c": "K-17"})
    one.facts["visitor_name"] = "Vera D."
    await crm.sync(one.snapshot("close"))

    assert [(each["Id"], each["LastName"]) for each in org.all("Contact")] == [(merged, "Vera D.")]
    assert [each["WhatId"] for each in org.all("Task")] == [each["Id"] for each in org.all("Case")]


DUPLICATE = """
[[write]]
record = "person"
object = "Contact"
when = ["start", "handover"]
duplicates = "{how}"
[write.fields]
LastName = {{ fact = "visitor_name" }}
Email = {{ fact = "visitor_email", as = "email" }}
[[write]]
record = "case"
object = "Case"
when = ["start", "handover"]
[write.fields]
Subject = "Chat"
ContactId = {{ record = "person" }}
[link]
records = ["person"]
"""


@pytest.mark.parametrize("how", ["label", "use"])
async def test_lead_like_this_contact_is_linked_to_and_nothing_else(org: Desk, how: str) -> None:
    """A Contact's id is no Lead's: no case can refer to it as one."""
    org.org.duplicate_rule = True
    lead = org.org.create("Lead", {"LastName": "Known", "Company": "C", "Email": "vera@example.com"})
    crm, one = await org.use(DUPLICATE.format(how=how)), Conversation()
    for trigger in ("start", "handover"):
        result = await crm.sync(one.snapshot(trigger))
        assert result.link == f"{org.url}/lightning/r/Lead/{lead}/view"

    assert org.all("Contact") == [] and "ContactId" not in org.all("Case")[0]


@pytest.mark.parametrize(("how", "mail"), [("label", None), ("use", None), ("save", "vera@example.com")])
async def test_contact_of_ours_stays_ours_when_it_becomes_like_another_one(org: Desk, how: str, mail: Any) -> None:
    org.org.duplicate_rule = True
    org.org.create("Contact", {"LastName": "Known", "Email": "vera@example.com"})
    crm, one = await org.use(DUPLICATE.format(how=how)), Conversation(visitor_email=None)
    await crm.sync(one.snapshot("start"))
    one.facts["visitor_email"] = "vera@example.com"
    calls = org.simulator.calls["PATCH Contact"]
    for _ in range(2):
        await crm.sync(one.snapshot("handover"))
    ours = org.all("Contact")[-1]

    assert len(org.all("Contact")) == 2 and ours.get("Email") == mail
    assert org.all("Case")[0]["ContactId"] == ours["Id"]
    assert org.simulator.calls["PATCH Contact"] == calls + 1  # it is not tried again with the same


async def test_found_record_whose_change_would_be_a_duplicate_is_saved_if_the_mapping_says_so(org: Desk) -> None:
    org.org.duplicate_rule = True
    find = '[[find]]\nobject = "Contact"\nfield = "Chat_Key__c"\nvalue = "visitor.chat_key"\nverified = true\n'
    mapping = find + DUPLICATE.format(how="save").replace(
        'duplicates = "save"', 'duplicates = "save"\nif_found = "update"'
    )
    org.org.create("Contact", {"LastName": "Other", "Email": "vera@example.com"})
    real = org.org.create("Contact", {"LastName": "Real", "Chat_Key__c": "K-17"})
    crm = await org.use(mapping)
    await crm.sync(Conversation(**{"visitor.chat_key": "K-17"}).snapshot("start"))

    assert org.org.get("Contact", real)["Email"] == "vera@example.com"


async def test_value_of_another_unique_field_is_not_tried_for_days(org: Desk) -> None:
    """Only when our own key is taken somebody is making the record at this moment."""
    org.org.create("Contact", {"LastName": "Other", "Chat_Key__c": "K-17"})
    mapping = SAMPLE.replace('LeadSource = "Chat"', 'Chat_Key__c = { fact = "room.key" }')
    crm, one = await org.use(mapping), Conversation(**{"room.key": "K-17"})
    for _ in range(2):  # made anew, and changed
        with pytest.raises(DeliveryRejected, match=r"DUPLICATE_VALUE.*another record has the value of a unique field"):
            await crm.sync(one.snapshot("handover"))
        del one.facts["room.key"]
        await crm.sync(one.snapshot("handover"))
        one.facts["room.key"] = "K-17"

    assert len(org.all("Contact")) == 2


async def test_record_that_another_conversation_makes_at_this_moment_is_met(org: Desk) -> None:
    crm, one = await org.use(), Conversation()
    real, key = org.org.upsert, f"{one.visitor_key}-person"

    def too_late(name: str, field: str, value: str, data: dict[str, Any], **options: Any) -> tuple[str, bool]:
        if value == key and not org.org.by_key(name, field, value):
            org.org.create(name, {"LastName": "Made by the other", field: value})
            raise Refused("DUPLICATE_VALUE", "duplicate value found")
        return real(name, field, value, data, **options)

    org.org.upsert = too_late  # type: ignore[method-assign]
    await crm.sync(one.snapshot("handover"))
    (contact,) = org.all("Contact")

    assert contact["LastName"] == "Vera Visitor" and org.all("Case")[0]["ContactId"] == contact["Id"]
