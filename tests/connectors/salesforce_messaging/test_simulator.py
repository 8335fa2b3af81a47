"""The simulated org's endpoints, as the reference says (salesforce.md 2.2 to 2.7, 2.10, 2.11)."""

from __future__ import annotations

import io
import json

import aiohttp
import pytest

from connectors.salesforce_messaging.simulated.org import DEVELOPER_NAME
from connectors.salesforce_messaging.simulator import ROOT
from tests.connectors.salesforce_messaging.orgs import GUEST, browser, new_id, org


@pytest.mark.parametrize(
    "change",
    [{"orgId": "00DSM0000009xxx"}, {"esDeveloperName": "Other"}, {"platform": "iOS"}, {"capabilitiesVersion": 1}],
)
async def test_token_of_an_unknown_deployment_is_400(change: dict[str, object]) -> None:
    async with org() as found, browser(found, opened=False) as visitor:
        status, _ = await visitor.call("POST", "/authorization/unauthenticated/access-token", {**GUEST, **change})

    assert status == 400


async def test_guests_are_different_users_and_see_only_their_own() -> None:
    async with org() as found, browser(found) as one, browser(found) as other:
        assert "/ANON/" in one.subject and one.subject != other.subject
        other.cid, theirs = one.cid, other.cid
        assert [(await other.call("GET", f"/conversation/{one.cid}"))[0], (await other.say("x"))[0]] == [404, 404]
        assert (await other.open())[0] == 404
        _, listed = await other.call("GET", "/conversation/list")
        assert [each["conversationId"] for each in listed["conversations"]] == [theirs]


async def test_expired_token_is_401_and_a_renewed_one_ends_no_later() -> None:
    async with org() as found, browser(found) as visitor:
        _, renewed = await visitor.call("GET", "/authorization/continuation-access-token")
        assert renewed["context"]["endUser"]["subject"] == visitor.subject
        old, visitor.token = visitor.token, renewed["accessToken"]
        assert (await visitor.say("by another client"))[0] == 202
        found.org.clock.ahead_s = 3601
        statuses = [(await visitor.say("late"))[0]]
        visitor.token = old
        statuses += [(await visitor.say("late"))[0], (await visitor.call("GET", "/conversation/list"))[0]]
        visitor.token = "nonsense"
        statuses += [(await visitor.say("x"))[0]]

    assert statuses == [401] * 4
    assert [each["token"] for each in found.ledger()["desk"]] == [1]


async def test_conversation_is_made_once_and_ids_are_lower_case_uuid4() -> None:
    async with org() as found, browser(found, opened=False) as visitor:
        await visitor.come()
        for wrong in (new_id().upper(), "x", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", None):
            status, problem = await visitor.open(conversationId=wrong)
            assert status == 400 and "UUID" in problem["message"]
        assert (await visitor.open(esDeveloperName="Other"))[0] == 400
        assert (await visitor.open(routingAttributes={"topic": "shoes"}))[0] == 201
        assert (await visitor.open())[0] == 200
        assert (await visitor.call("GET", f"/conversation/{visitor.cid}"))[1]["routingStatus"] == "NEEDS_ROUTING"

    sessions = found.ledger()["conversations"][visitor.cid]["sessions"]
    assert [(each["status"], each["attributes"]) for each in sessions] == [("Waiting", {"topic": "shoes"})]


async def test_message_is_taken_once_for_each_id() -> None:
    async with org() as found, browser(found) as visitor:
        first, again = await visitor.say("hello", one := new_id()), await visitor.say("hello", one)
        assert first == again and first[0] == 202
        assert first[1]["conversationEntries"][0]["id"] == one
        assert (await visitor.say("hello", new_id().upper()))[0] == 400
        assert (await visitor.say(""))[0] == 400
        visitor.cid = new_id()
        assert (await visitor.say("nowhere"))[0] == 404

    desk = found.ledger()["desk"]
    assert [(each["text"], each["repeats"]) for each in desk] == [("hello", 1)]


async def test_23rd_message_in_a_minute_is_429_until_there_is_room() -> None:
    async with org() as found, browser(found) as visitor:
        statuses = [(await visitor.say(str(n)))[0] for n in range(23)]
        wait = int(visitor.last["Retry-After"])
        found.org.clock.ahead_s += wait
        after = (await visitor.say("23"))[0]

    assert (statuses, after) == ([202] * 22 + [429], 202)
    assert 50 <= wait <= 61


async def test_limits_of_starts_and_tokens() -> None:
    async with org() as found, browser(found) as visitor:
        starts = []
        for _ in range(3):
            visitor.cid = new_id()
            starts.append((await visitor.open())[0])
        found.org.options.tokens_per_minute = 1
        token, _ = await visitor.call("POST", "/authorization/unauthenticated/access-token", GUEST)

    assert (starts, token) == ([201, 201, 429], 429)


async def test_session_ends_by_the_agent_and_the_next_message_begins_another() -> None:
    """The agent's end closes nothing, and has no close event."""
    async with org() as found, browser(found) as visitor:
        found.desk.accept(visitor.cid)
        found.desk.end(visitor.cid)
        assert (await visitor.say("still there?", isNewMessagingSession=True, routingAttributes={}, language="en"))[
            0
        ] == 202

    shown = found.ledger()["conversations"][visitor.cid]
    assert [(each["status"], each["is_routed"]) for each in shown["sessions"]] == [("Ended", True), ("Waiting", True)]
    assert "CloseConversation" not in [each["entryType"] for each in shown["entries"]]
    assert not shown["is_closed"]


async def test_417_without_a_session_when_pre_chat_is_per_session() -> None:
    async with org() as found, browser(found) as visitor:
        found.org.options.prechat_per_session = True
        found.desk.end(visitor.cid)
        alone = await visitor.say("hello", one := new_id())
        whole = await visitor.say("hello", one, isNewMessagingSession=True, routingAttributes={"a": "b"}, language="en")
        granted = await visitor.come()

    assert (alone[0], whole[0]) == (417, 202)
    assert granted["context"]["configuration"]["embeddedServiceConfig"]["forms"][0]["displayContext"] == "Session"
    assert found.ledger()["conversations"][visitor.cid]["sessions"][-1]["attributes"] == {"a": "b"}


async def test_new_session_without_attributes_is_never_routed() -> None:
    """It "may fail silently" (reference 2.5): here it does."""
    async with org() as found, browser(found) as visitor:
        found.desk.end(visitor.cid)
        assert (await visitor.say("hello", isNewMessagingSession=True))[0] == 202
        with pytest.raises(ValueError, match="without routing attributes"):
            found.desk.accept(visitor.cid)

    assert found.desk.waiting() == []


async def test_visitor_ends_the_session_or_closes_the_conversation() -> None:
    async with org() as found, browser(found) as visitor:
        assert (await visitor.call("DELETE", f"/conversation/{visitor.cid}/session"))[0] == 400
        path, name = f"/conversation/{visitor.cid}", {"esDeveloperName": DEVELOPER_NAME}
        assert (await visitor.call("DELETE", f"{path}/session", **name))[0] == 204
        assert (await visitor.say("goes on"))[0] == 202
        assert [(await visitor.call("DELETE", path, **name))[0] for _ in range(2)] == [204, 204]
        assert (await visitor.say("too late"))[0] == 400
        _, opened = await visitor.call("GET", "/conversation/list")
        _, every = await visitor.call("GET", "/conversation/list", inclClosedConvs="true")

    assert (opened["openConversationsFound"], opened["conversations"]) == (0, [])
    assert [each["conversationId"] for each in every["conversations"]] == [visitor.cid]
    kinds = [each["entryType"] for each in found.ledger()["conversations"][visitor.cid]["entries"]]
    assert kinds.count("CloseConversation") == 1


async def test_entries_are_newest_first_filtered_and_with_payloads_as_objects() -> None:
    async with org() as found, browser(found) as visitor:
        found.desk.accept(visitor.cid)
        for n in range(3):
            await visitor.say(f"m{n}")
        path = f"/conversation/{visitor.cid}/entries"
        _, newest = await visitor.call("GET", path, limit="2", entryTypeFilter="Message")
        _, oldest = await visitor.call("GET", path, limit="2", entryTypeFilter="Message", direction="FromStart")
        since = oldest["conversationEntries"][1]["transcriptedTimestamp"] + 10_000
        _, none = await visitor.call("GET", path, startTimestamp=str(since))
        wrong = [(await visitor.call("GET", path, **each))[0] for each in ({"limit": "51"}, {"direction": "x"})]

    def texts(found: dict[str, list[dict[str, dict[str, dict[str, dict[str, str]]]]]]) -> list[str]:
        rows = found["conversationEntries"]
        return [each["entryPayload"]["abstractMessage"]["staticContent"]["text"] for each in rows]

    assert (texts(newest), texts(oldest), none["conversationEntries"]) == (["m2", "m1"], ["m0", "m1"], [])
    assert wrong == [400, 400]


async def test_file_of_the_visitor_and_its_limit() -> None:
    async with org() as found, browser(found) as visitor:

        def form(size: int) -> aiohttp.FormData:
            said = {"id": new_id(), "fileId": new_id(), "text": "look"}
            entry = {"message": said, "esDeveloperName": DEVELOPER_NAME, "isNewMessagingSession": False}
            data = aiohttp.FormData()
            data.add_field("messageEntry", json.dumps(entry), content_type="application/json")
            data.add_field("fileData", io.BytesIO(b"\r\n--x" * (size // 5)), filename="ñ.png", content_type="image/png")
            return data

        statuses = []
        for size in (10, 6 << 20):
            url = f"{found.url}{ROOT}/conversation/{visitor.cid}/file"
            headers = {"Authorization": f"Bearer {visitor.token}"}
            async with visitor.session.post(url, data=form(size), headers=headers) as answer:
                statuses.append(answer.status)
        shown = found.ledger()["desk"][0]["said"]["staticContent"]["attachments"][0]
        async with visitor.session.get(shown["url"], headers=headers) as answer:
            assert (await answer.read(), answer.content_type) == (b"\r\n--x" * 2, "image/png")
        async with visitor.session.get(shown["url"]) as answer:
            assert answer.status == 401

    assert statuses == [202, 400]
    assert [(each["kind"], each["text"], each["size"]) for each in found.ledger()["desk"]] == [("file", "look", 10)]


async def test_typing_and_receipts() -> None:
    async with org() as found, browser(found) as visitor:
        path = f"/conversation/{visitor.cid}"
        for kind, expected in (("TypingStartedIndicator", 202), ("TypingStoppedIndicator", 202), ("Message", 400)):
            assert (await visitor.call("POST", f"{path}/entry", {"entryType": kind, "id": new_id()}))[0] == expected
        for kind, expected in (("Read", 202), ("DeliveryAcknowledgement", 202), ("Seen", 400)):
            acks = [{"id": new_id(), "entryType": kind, "conversationEntryId": "e1"}]
            assert (await visitor.call("POST", f"{path}/acknowledge-entries", {"acks": acks}))[0] == expected
        found.org.options.receipts = False
        acks = [{"id": new_id(), "entryType": "Read", "conversationEntryId": "e1"}]
        assert (await visitor.call("POST", f"{path}/acknowledge-entries", {"acks": acks}))[0] == 400

    desk = found.ledger()["desk"]
    assert [(each["kind"], each.get("typing"), each.get("type")) for each in desk] == [
        ("typing", True, None),
        ("typing", False, None),
        ("receipt", None, "ReadAcknowledgement"),
        ("receipt", None, "DeliveryAcknowledgement"),
    ]


async def test_business_hours() -> None:
    path = "/embeddedservice/v1/businesshours"
    hours = {"businessHoursInfo": {"isActive": True, "businessHours": [{"startTime": 1, "endTime": 2}]}}
    async with org() as found, browser(found, opened=False) as visitor:
        none = await visitor.call("GET", path, orgId=GUEST["orgId"], esConfigName=DEVELOPER_NAME)
        found.org.options.business_hours = hours
        some = await visitor.call("GET", path, orgId=GUEST["orgId"], esConfigName=DEVELOPER_NAME)
        unknown = await visitor.call("GET", path, orgId=GUEST["orgId"], esConfigName="x")

    assert (none, some, unknown[0]) == ((200, {}), (200, hours), 400)


async def test_faults_before_and_after_the_effect() -> None:
    async with org() as found, browser(found) as visitor:
        found.faults.add([{"on": "message", "status": 503, "skip": 1}])
        assert [(await visitor.say(str(n)))[0] for n in range(3)] == [202, 503, 202]
        found.faults.add([{"on": "message", "cut": True, "after_effect": True}])
        with pytest.raises(aiohttp.ClientError):
            await visitor.say("cut", one := new_id())
        assert (await visitor.say("cut", one))[0] == 202
        found.faults.add([{"on": "message", "hang": True}])
        with pytest.raises(TimeoutError):
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(0.1)) as session:
                visitor.session, kept = session, visitor.session
                await visitor.say("hang")
        visitor.session = kept
        found.faults.down = True
        assert (await visitor.open())[0] == 503

    assert [(each["text"], each["repeats"]) for each in found.ledger()["desk"]] == [("0", 0), ("2", 0), ("cut", 1)]
