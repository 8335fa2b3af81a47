"""Synchronisations of whole conversations against a simulated org, through simple-salesforce. S2-04."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.salesforce_crm.learned import LEARN_S, Learned
from omnibridge.connector import DeliveryError, DeliveryRejected, DeliveryRetryable
from tests.connectors.salesforce_crm.orgs import SAMPLE, Conversation, Desk


async def test_s2_04_contact_case_and_transcript_are_made_once(org: Desk) -> None:
    """The sample of the README from start to close."""
    crm, one = await org.use(), Conversation()
    one.say("Where is my order?", "One moment.", "It is on its way.")
    started = await crm.sync(one.snapshot("start"))
    taken = await crm.sync(one.snapshot("handover"))
    await crm.sync(one.snapshot("close"))
    (contact,), (case,), (task,) = org.all("Contact"), org.all("Case"), org.all("Task")

    assert started.link == "" and started.facts == {}
    assert contact["LastName"] == "Vera Visitor" and contact["Email"] == "vera@example.com"
    assert contact["Phone"] == "+4930123456" and contact["LeadSource"] == "Chat"
    assert case["Subject"] == "Chat with Vera Visitor in Sales" and case["ContactId"] == contact["Id"]
    assert (case["Status"], case["Csat__c"], case["Tags__c"]) == ("Closed", 4, "vip; refund")
    assert taken.link == f"{org.url}/lightning/r/Case/{case['Id']}/view"
    assert taken.facts == {"record_id": contact["Id"], "object": "Contact", "open_cases": 1}
    assert task["WhatId"] == case["Id"] and task["Subject"] == "Chat transcript 1"
    assert task["Description"].split("\n")[1] == "[2026-05-28 22:26:42] Alice: One moment."


async def test_repeated_runs_change_nothing_and_ask_nothing(org: Desk) -> None:
    crm, one = await org.use(), Conversation()
    one.say("Hello")
    for trigger in ("start", "handover", "close"):
        await crm.sync(one.snapshot(trigger))
    changes, calls = len(org.org.changes), dict(org.simulator.calls)
    await crm.sync(one.snapshot("close"))
    assert (len(org.org.changes), dict(org.simulator.calls)) == (changes, calls)
    one.kept.clear()  # a database that forgot everything: the external ids know it
    for trigger in ("handover", "close"):
        await crm.sync(one.snapshot(trigger))

    assert {each["how"] for each in org.org.changes[changes:]} <= {"update"}  # the case is opened and closed again
    assert [len(org.all(each)) for each in ("Contact", "Case", "Task")] == [1, 1, 1]


async def test_unverified_email_only_labels(org: Desk) -> None:
    """It finds a record for a link; nothing of that record changes, nothing refers to it, nothing is learned."""
    crm = await org.use()
    known = org.org.create("Contact", {"LastName": "Known", "Email": "vera@example.com", "VIP__c": True})
    before, one = dict(org.org.get("Contact", known)), Conversation()
    results = [await crm.sync(one.snapshot(each)) for each in ("start", "handover", "close")]
    (case,) = org.all("Case")

    assert org.all("Contact") == [before]
    assert "ContactId" not in case and case["Seen__c"].endswith(f"/Contact/{known}/view")
    assert results[0].link.endswith(f"/Contact/{known}/view")
    assert [each.facts for each in results] == [{}, {}, {}]


async def test_contact_of_ours_that_was_not_remembered_is_no_label(org: Desk) -> None:
    """The process died right after it was made; then its e-mail finds it."""
    crm, one = await org.use(), Conversation()
    one.forgets = True
    await crm.sync(one.snapshot("handover"))
    one.forgets = False
    for case in org.all("Case"):
        org.org.delete("Case", case["Id"])
    await crm.sync(one.snapshot("handover"))

    (contact,), (case,) = org.all("Contact"), org.all("Case")
    assert case["ContactId"] == contact["Id"]


async def test_next_conversation_of_a_visitor_is_at_the_contact_that_we_made(org: Desk) -> None:
    crm, first, second, other = await org.use(), Conversation(1, 1), Conversation(2, 1), Conversation(3, 2)
    for each in (first, second, other):  # the last claims the same e-mail, in another browser
        await crm.sync(each.snapshot("handover"))

    (contact,), cases = org.all("Contact"), org.all("Case")
    assert [each.get("ContactId") for each in cases] == [contact["Id"], contact["Id"], None]


async def test_verified_key_wins_over_an_earlier_label(org: Desk) -> None:
    crm = await org.use(SAMPLE.replace('on_several = "label"', 'on_several = "newest"'))
    org.org.create("Contact", {"LastName": "Claimed", "Email": "vera@example.com"})
    real = org.org.create("Contact", {"LastName": "Real", "Chat_Key__c": "K-17", "VIP__c": True, "Level__c": "gold"})
    one = Conversation(**{"visitor.chat_key": "k-17"})
    result = await crm.sync(one.snapshot("handover"))

    assert org.org.get("Contact", real)["LastName"] == "Vera Visitor"
    assert org.all("Case")[0]["ContactId"] == real
    assert result.facts == {"record_id": real, "object": "Contact", "vip": True, "level": "gold", "open_cases": 1}
    assert [each["how"] for each in org.org.changes if each["object"] == "Contact"] == ["create", "create", "update"]


async def test_nothing_is_asked_at_each_sync_while_people_talk(org: Desk) -> None:
    """The org counts calls: not for whom it does not know, and not for facts that were told a minute ago."""
    mapping = SAMPLE[: SAMPLE.index("[[write]]")] + '[learn]\nfacts = { vip = "VIP__c" }\n'
    crm, known, stranger = await org.use(mapping), Conversation(1, **{"visitor.chat_key": "K-17"}), Conversation(2)
    contact = org.org.create("Contact", {"LastName": "Real", "Chat_Key__c": "K-17", "VIP__c": True})
    for one in (known, stranger):
        await crm.sync(one.snapshot("live"))
    calls = org.simulator.calls["GET query"]
    for one in (known, stranger) * 3:
        await crm.sync(one.snapshot("live"))
    assert org.simulator.calls["GET query"] == calls
    org.org.update("Contact", contact, {"VIP__c": False})
    ours = org.org.create("Contact", {"LastName": "New", "Email": "vera@example.com"})
    assert (await crm.sync(known.snapshot("live"))).facts["vip"] is True
    assert (await crm.sync(known.snapshot("handover"))).facts["vip"] is False
    await crm.sync(stranger.snapshot("handover"))
    assert stranger.kept["find:person"].id == ours

    now = [0.0]
    learned = Learned(lambda: now[0])
    learned.put("c", "003", {"vip": True})
    assert (learned.of("c", "003"), learned.of("c", "004"), learned.of("d", "003")) == ({"vip": True}, None, None)
    now[0] = LEARN_S
    assert learned.of("c", "003") is None


async def test_key_that_comes_later_is_looked_for_again(org: Desk) -> None:
    crm, one = await org.use(), Conversation(visitor_email=None, **{"visitor.phone": None})
    real = org.org.create("Contact", {"LastName": "Real", "Chat_Key__c": "K-17"})
    assert (await crm.sync(one.snapshot("start"))).facts == {}
    one.facts["visitor.chat_key"] = "K-17"

    assert (await crm.sync(one.snapshot("start"))).facts["record_id"] == real


SEVERAL = """
[[find]]
object = "Contact"
field = "Email"
value = "visitor_email"
kind = "email"
verified = true
on_several = "{policy}"
[[write]]
record = "case"
object = "Case"
when = ["start"]
[write.fields]
Subject = "Chat"
ContactId = {{ record = "person" }}
"""


@pytest.mark.parametrize(("policy", "referred"), [("newest", "newer"), ("none", ""), ("label", "")])
async def test_s2_04_several_hits_follow_the_conflict_policy(org: Desk, policy: str, referred: str) -> None:
    crm = await org.use(SEVERAL.format(policy=policy) + '[link]\nrecords = ["person"]\n')
    ids = {
        name: org.org.create("Contact", {"LastName": name, "Email": "vera@example.com"}) for name in ("old", "newer")
    }
    result = await crm.sync(Conversation().snapshot("start"))

    assert org.all("Case")[0].get("ContactId", "") == ids.get(referred, "")
    assert result.link == ("" if policy == "none" else f"{org.url}/lightning/r/Contact/{ids['newer']}/view")


@pytest.mark.parametrize("stored", ["+4930123456", "030 123456", "+49 30 123456", "030123456"])
async def test_s2_04_search_hits_a_phone_however_it_is_written(org: Desk, stored: str) -> None:
    by_phone = SEVERAL.format(policy="newest").replace('"Email"', '["Phone", "MobilePhone"]')
    by_phone = by_phone.replace('"visitor_email"', '"visitor.phone"').replace('"email"', '"phone"\nregion = "DE"')
    crm = await org.use(by_phone)
    known = org.org.create("Contact", {"LastName": "Known", "MobilePhone": stored})
    await crm.sync(Conversation(**{"visitor.phone": "+49 (30) 12 34 56"}).snapshot("start"))

    assert org.all("Case")[0]["ContactId"] == known


LEAD = """
[[find]]
object = "Lead"
field = "Email"
value = "visitor_email"
kind = "email"
verified = true
[[write]]
record = "person"
object = "Lead"
when = ["start"]
per = "visitor"
[write.fields]
LastName = { fact = "visitor_name" }
Company = "Unknown"
Email = { fact = "visitor_email", as = "email" }
"""


async def test_s2_04_lead_that_was_converted_is_no_hit(org: Desk) -> None:
    crm = await org.use(LEAD)
    org.org.create("Lead", {"LastName": "L", "Company": "C", "Email": "vera@example.com", "IsConverted": True})
    for number in (1, 2):  # two conversations of one visitor
        await crm.sync(Conversation(number, visitor=9).snapshot("start"))

    assert [each["IsConverted"] if "IsConverted" in each else "new" for each in org.all("Lead")] == [True, "new"]


PERSON_ACCOUNT = """
[[write]]
record = "person"
object = "Account"
when = ["start"]
[write.fields]
LastName = { fact = "visitor_name" }
PersonEmail = { fact = "visitor_email", as = "email" }
RecordTypeId = "0125g000000PersAAA"
[[write]]
record = "case"
object = "Case"
when = ["start"]
per = "conversation"
[write.fields]
Subject = "Chat"
AccountId = { record = "person" }
ContactId = { record = "person", field = "PersonContactId" }
[transcript]
object = "ContentVersion"
max = 1000000
[transcript.fields]
Title = { template = "Chat of {visitor_name}" }
FirstPublishLocationId = { record = "case" }
[files]
record = "case"
max_bytes = 20
[files.fields]
Description = "From the chat"
"""


async def test_person_account_and_transcript_as_a_file_with_files(org: Desk) -> None:
    crm, one = await org.use(PERSON_ACCOUNT), Conversation()
    one.say("Hello", "Hi")
    one.files = {"f1": b"not really a picture", "f2": b"x" * 21}
    await crm.sync(one.snapshot("start"))
    for _ in range(2):
        await crm.sync(one.snapshot("close"))
    (account,), (case,), (text, picture) = org.all("Account"), org.all("Case"), org.all("ContentVersion")

    assert account["IsPersonAccount"] and case["ContactId"] == account["PersonContactId"]
    assert text["FirstPublishLocationId"] == picture["FirstPublishLocationId"] == case["Id"]
    assert text["Title"] == "Chat of Vera Visitor" and b"Assistant: Hello" in org.org.uploads[text["Id"]]
    assert org.org.uploads[text["Id"]].count(b"\n") == 1
    assert org.org.uploads[picture["Id"]] == b"not really a picture" and picture["Description"] == "From the chat"
    one.say("One more thing")  # came after the close: another file, and the first stays
    await crm.sync(one.snapshot("close"))
    last = org.all("ContentVersion")[-1]
    assert len(org.all("ContentVersion")) == 3 and b"One more thing" in org.org.uploads[last["Id"]]


LIVE = """
[transcript]
object = "Chat_Transcript__c"
when = "live"
field = "Body__c"
max = 310
line = "{who} {text}"
"""


async def test_live_transcript_grows_in_parts(org: Desk) -> None:
    crm, one = await org.use(LIVE), Conversation()
    for number in range(20):
        one.say(f"message {number} " + "x" * 40)
        await crm.sync(one.snapshot("live"))
    parts = org.all("Chat_Transcript__c")
    lines = "\n".join(each["Body__c"] for each in parts).split("\n")

    assert [line.split()[2] for line in lines] == [str(each) for each in range(20)]
    assert len(parts) == 4 and all(len(each["Body__c"]) <= 310 for each in parts)
    assert sum(each["how"] == "create" for each in org.org.changes) == 4


async def test_transcript_that_was_cut_off_goes_on_where_it_was(org: Desk) -> None:
    crm, one = await org.use(LIVE), Conversation()
    one.say(*(f"message {number} " + "x" * 40 for number in range(20)))
    real, failing = org.simulator._failure, {"after": 3}

    def fail(method: str, kind: str) -> Any:
        failing["after"] -= method == "PATCH"
        return {"status": 502, "html": True, "after_effect": True} if failing["after"] == 0 else real(method, kind)

    org.simulator._failure = fail  # type: ignore[method-assign]
    with pytest.raises(DeliveryError):
        await crm.sync(one.snapshot("close"))
    assert len(one.kept) == 2 and len(org.all("Chat_Transcript__c")) == 3
    await crm.sync(one.snapshot("close"))

    assert sorted(one.kept) == [f"transcript-{each}" for each in range(4)]
    assert len(org.all("Chat_Transcript__c")) == 4
    assert sum(each["how"] != "create" for each in org.org.changes) == 0


DUPLICATE = """
[[write]]
record = "person"
object = "Contact"
when = ["start"]
duplicates = "{how}"
[write.fields]
LastName = {{ fact = "visitor_name" }}
Email = {{ fact = "visitor_email", as = "email" }}
[[write]]
record = "case"
object = "Case"
when = ["start"]
[write.fields]
Subject = "Chat"
ContactId = {{ record = "person" }}
"""


@pytest.mark.parametrize(("how", "contacts", "referred"), [("label", 1, ""), ("use", 1, "old"), ("save", 2, "new")])
async def test_s2_04_duplicates_that_the_org_detects(org: Desk, how: str, contacts: int, referred: str) -> None:
    org.org.duplicate_rule = True
    crm, one = await org.use(DUPLICATE.format(how=how)), Conversation()
    old = org.org.create("Contact", {"LastName": "Known", "Email": "vera@example.com"})
    for _ in range(2):
        await crm.sync(one.snapshot("start"))
    new = [each["Id"] for each in org.all("Contact") if each["Id"] != old]

    assert len(org.all("Contact")) == contacts
    assert org.all("Case")[0].get("ContactId", "") == {"": "", "old": old, "new": new[0] if new else ""}[referred]
    assert org.org.get("Contact", old)["LastName"] == "Known"


async def test_s2_04_duplicates_that_shall_be_refused(org: Desk) -> None:
    org.org.duplicate_rule = True
    crm = await org.use(DUPLICATE.format(how="refuse"))
    org.org.create("Contact", {"LastName": "Known", "Email": "vera@example.com"})
    with pytest.raises(DeliveryRejected) as caught:
        await crm.sync(Conversation().snapshot("start"))

    assert caught.value.code == "duplicates-detected"


async def test_label_does_not_keep_from_making_one_if_the_mapping_says_so(org: Desk) -> None:
    crm = await org.use(SAMPLE.replace('if_found = "update"', 'if_found = "keep"\nif_labelled = "create"'))
    known = org.org.create("Contact", {"LastName": "Known", "Email": "vera@example.com"})
    await crm.sync(Conversation().snapshot("handover"))

    assert len(org.all("Contact")) == 2 and org.all("Case")[0]["ContactId"] not in ("", known)


async def test_nothing_is_made_where_the_mapping_says_skip(org: Desk) -> None:
    crm = await org.use(SAMPLE.replace('if_found = "update"', 'if_missing = "skip"'))
    await crm.sync(Conversation().snapshot("handover"))

    assert org.all("Contact") == [] and "ContactId" not in org.all("Case")[0]


async def test_wrong_field_is_rejected_with_what_to_do(org: Desk) -> None:
    crm = await org.use(SAMPLE.replace('Origin = "Chat"', 'Orrigin = "Chat"'))
    with pytest.raises(DeliveryRejected, match=r"Case failed: INVALID_FIELD.*correct the mapping"):
        await crm.sync(Conversation().snapshot("handover"))


async def test_row_lock_is_tried_again_soon(org: Desk) -> None:
    crm, one = await org.use(), Conversation()
    org.simulator.fail_next = [{"status": 400, "code": "UNABLE_TO_LOCK_ROW", "match": "PATCH Case"}]
    with pytest.raises(DeliveryRetryable) as caught:
        await crm.sync(one.snapshot("handover"))
    assert caught.value.retry_after_s is not None and 0 < caught.value.retry_after_s <= 2
    await crm.sync(one.snapshot("handover"))

    assert [len(org.all(each)) for each in ("Contact", "Case")] == [1, 1]


BY_ID = """
[[find]]
object = "Contact"
field = "Id"
value = "visitor.contact_id"
kind = "id"
verified = true
[[find]]
object = "Account"
field = "Name"
value = "room.company"
record = "company"
[[write]]
record = "case"
object = "Case"
when = ["start", "live"]
[write.fields]
Subject = { template = "<b>{visitor_name}</b>", escape = "html" }
ContactId = { record = "person" }
Company_Id__c = { found = "id", record = "company" }
Priority = "High"
[files]
record = "case"
when = "live"
[link]
records = ["company", "case"]
path = "/desk/{object}?id={id}"
[erase]
keep = ["Case"]
"""


async def test_other_options_of_the_mapping(org: Desk) -> None:
    """Keys of kind id, records of other names, the id of a label, html, files while people talk, path, keep."""
    crm = await org.use(BY_ID)
    contact = org.org.create("Contact", {"LastName": "Known"})
    company = org.org.create("Account", {"Name": "Acme"})
    one = Conversation(visitor_name="<Vera>", **{"visitor.contact_id": contact[:15], "room.company": "ACME"})
    one.files = {"f1": b"early"}
    started = await crm.sync(one.snapshot("start"))
    one.files["f2"] = b"later"
    await crm.sync(one.snapshot("live"))
    assert [each["Title"] for each in org.all("ContentVersion")] == ["f1.png", "f2.png"]
    await crm.erase(tuple(one.kept.values()))
    (case,) = org.all("Case")

    assert case["Subject"] == "<b>&lt;Vera&gt;</b>" and case["Priority"] == "High"
    assert (case["ContactId"], case["Company_Id__c"]) == (contact, company)
    assert started.link == f"{org.url}/desk/Account?id={company}"
    assert org.all("ContentVersion") == [] and len(org.all("Contact")) == 1
    assert [each["object"] for each in org.org.changes if each["how"] == "delete"] == ["ContentDocument"] * 2


async def test_id_that_is_none_finds_nothing(org: Desk) -> None:
    crm = await org.use(BY_ID)
    await crm.sync(Conversation(**{"visitor.contact_id": "003' OR Id != '"}).snapshot("start"))

    assert "ContactId" not in org.all("Case")[0]
