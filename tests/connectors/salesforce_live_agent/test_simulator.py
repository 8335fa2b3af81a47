"""The simulated Live Agent, as the reference says (salesforce.md 1.2 to 1.12)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from connectors.salesforce_live_agent.simulated.service import BUTTON_ID, DEPLOYMENT_ID, END_REASONS, ORG_ID
from tests.connectors.salesforce_live_agent.services import INIT, Page, page, service


async def test_chat_from_its_request_to_its_end_in_batches() -> None:
    async with service() as found, page(found) as visitor:
        found.desk.accept(visitor.id)
        found.desk.say(visitor.id, "hi")
        first = await visitor.poll()
        assert await visitor.post("ChatMessage", {"text": "hello"}) == 200
        found.desk.typing(visitor.id)
        found.desk.say(visitor.id, "bye")
        found.desk.end(visitor.id)
        second = await visitor.poll()
        last, _ = await visitor.poll()

    assert [each["type"] for each in first[1]] == ["ChatRequestSuccess", "ChatEstablished", "ChatMessage"]
    assert first[1][1]["message"]["userId"] == first[1][2]["message"]["agentId"]
    assert [each["type"] for each in second[1]] == ["AgentTyping", "ChatMessage", "ChatEnded"]
    assert len(second[1][0]["message"]["agentId"]) == 36  # no user id
    assert (second[1][2]["message"]["reason"], last) == ("agent", 403)
    assert [each["kind"] for each in found.ledger()["desk"]] == ["request", "message"]


async def test_poll_without_messages_is_204_and_waits_for_them() -> None:
    async with service(poll_s=0.05) as found, page(found, accepted=True) as visitor:
        assert (await visitor.poll())[0] == 204
        found.wish({"options": {"poll_s": 5}})
        polling = asyncio.create_task(visitor.poll())
        await asyncio.sleep(0.02)
        found.desk.say(visitor.id, "hi")
        assert [each["type"] for each in (await polling)[1]] == ["ChatMessage"]


async def test_batch_that_was_not_acknowledged_comes_again() -> None:
    async with service() as found, page(found, accepted=True) as visitor:
        found.desk.say(visitor.id, "one")
        before = visitor.ack
        first = await visitor.poll()
        visitor.ack, sequence = before, visitor.ack
        found.desk.say(visitor.id, "two")
        again = await visitor.poll()
        assert (again, visitor.ack) == (first, sequence)
        visitor.ack = before
        found.wish({"options": {"resend": "grown"}})
        grown = [each["message"]["text"] for each in (await visitor.poll())[1]]
        assert grown == ["one", "two"] and visitor.ack != sequence
        found.wish({"options": {"double": True}})
        found.desk.say(visitor.id, "three")
        assert await visitor.poll() == await visitor.poll()


async def test_second_poll_ends_the_chat_and_is_counted() -> None:
    async with service() as found, page(found, accepted=True) as visitor:
        polls = [asyncio.create_task(visitor.poll()) for _ in range(2)]
        statuses = sorted([(await each)[0] for each in polls])
        assert (await visitor.post("ChatMessage", {"text": "x"}), (await visitor.poll())[0]) == (403, 403)

    assert statuses == [403, 409]
    assert found.ledger()["duplicate_polls"] == 1
    assert found.ledger()["desk"][-1]["reason"] == "duplicate poll"


async def test_poll_that_was_given_up_is_no_second_one() -> None:
    async with service(poll_s=5) as found, page(found, accepted=True) as visitor:
        for _ in range(5):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(visitor.poll(), 0.03)
        found.desk.say(visitor.id, "hi")
        assert await visitor.types() == ["ChatMessage"]

    assert found.ledger()["duplicate_polls"] == 0


async def test_posts_are_taken_once_and_in_order() -> None:
    async with service() as found, page(found, accepted=True) as visitor:
        statuses = [
            (await visitor.call("POST", "Chasitor/ChatMessage", {"text": str(n)}, sequence=n))[0] for n in (2, 2, 4, 3)
        ]
        assert (await visitor.call("POST", "Chasitor/ChatMessage", {"text": "x"}))[0] == 400
        assert (await visitor.call("POST", "Chasitor/Novel", {}, sequence=4))[0] == 404

    ledger = found.ledger()
    assert statuses == [200, 200, 400, 200]
    assert [each["text"] for each in ledger["desk"] if each["kind"] == "message"] == ["2", "3"]
    assert (ledger["repeated_posts"], ledger["sequence_gaps"]) == (1, 1)


async def test_post_before_the_agent_is_there_is_500() -> None:
    async with service() as found, page(found) as visitor:
        assert await visitor.post("ChatMessage", {"text": "early"}) == 500
        found.desk.accept(visitor.id)
        assert await visitor.post("ChatMessage", {"text": "now"}) == 200

    assert found.ledger()["early_posts"] == 1


@pytest.mark.parametrize(
    ("options", "init", "reason"),
    [
        ({"online": False}, {}, "Unavailable"),
        ({"blocked": True}, {}, "Blocked"),
        ({}, {"isPost": False}, "NoPost"),
        ({}, {"buttonId": "573000000000000"}, "NoPost"),
    ],
)
async def test_request_that_fails(options: dict[str, Any], init: dict[str, Any], reason: str) -> None:
    async with service(**options) as found, page(found, **init) as visitor:
        _, messages = await visitor.poll()
        after, _ = await visitor.poll()

    assert [(each["type"], each["message"]["reason"]) for each in messages] == [("ChatRequestFail", reason)]
    assert (after, found.desk.waiting()) == (403, [])


async def test_request_fails_after_it_was_queued() -> None:
    async with service() as found, page(found) as visitor:
        found.desk.queue_position(visitor.id, 2, 30)
        found.desk.fail(visitor.id, "InternalFailure")
        assert await visitor.types() == ["ChatRequestSuccess", "QueueUpdate", "ChatRequestFail"]


async def test_init_says_what_is_missing_and_comes_first() -> None:
    async with service() as found, aiohttp.ClientSession() as session:
        visitor = Page(found.url, session)
        _, granted = await visitor.call("GET", "System/SessionId")
        visitor.key, visitor.affinity = granted["key"], granted["affinityToken"]
        assert await visitor.post("ChatMessage", {"text": "x"}) == 400
        for each in INIT:
            body = {key: value for key, value in INIT.items() if key != each}
            assert await visitor.post("ChasitorInit", {**body, "sessionId": granted["id"]}) == 400
        assert await visitor.post("ChasitorInit", {**INIT, "sessionId": granted["id"]}) == 200


async def test_move_is_503_until_reconnected_and_resynced() -> None:
    async with service() as found, page(found, accepted=True) as visitor:
        assert await visitor.post("ChatMessage", {"text": "one"}) == 200
        polling = asyncio.create_task(visitor.poll())
        await asyncio.sleep(0.02)
        found.desk.move(visitor.id)
        found.desk.say(visitor.id, "while away")
        assert (await polling)[0] == 503
        assert await visitor.post("ChatMessage", {"text": "two"}) == 503
        assert (await visitor.call("GET", "System/ReconnectSession", affinity="null"))[0] == 400
        query = {"ReconnectSession.offset": str(visitor.offset)}
        _, answer = await visitor.call("GET", "System/ReconnectSession", affinity="null", **query)
        told = answer["messages"][0]
        visitor.affinity, visitor.sequence, visitor.ack = told["message"]["affinityToken"], 1, -1
        assert await visitor.post("ChatMessage", {"text": "too early"}) == 500
        _, messages = await visitor.poll()
        assert await visitor.post("ChatMessage", {"text": "too early"}) == 500
        assert (await visitor.call("POST", "Chasitor/ChasitorResyncState", {"organizationId": ORG_ID}))[0] == 200
        assert await visitor.post("ChatMessage", {"text": "two"}) == 200

    lines = [(each["type"], each["content"]) for each in messages[0]["message"]["chatMessages"]]
    assert (told["type"], [each["type"] for each in messages]) == ("ReconnectSession", ["ChasitorSessionData"])
    assert lines == [("Chasitor", "one"), ("Agent", "while away")]
    assert found.ledger()["early_posts"] == 2
    assert [each["text"] for each in found.ledger()["desk"] if each["kind"] == "message"] == ["one", "two"]


async def test_what_has_no_place_in_the_conversation_comes_again_after_a_move() -> None:
    async with service(reconnect_replays=True) as found, page(found, accepted=True) as visitor:
        found.desk.move(visitor.id)
        found.desk.say(visitor.id, "bye")
        found.desk.end(visitor.id)
        query = {"ReconnectSession.offset": str(visitor.offset)}
        _, answer = await visitor.call("GET", "System/ReconnectSession", affinity="null", **query)
        visitor.affinity, visitor.ack = answer["messages"][0]["message"]["affinityToken"], -1
        assert await visitor.types() == ["ChasitorSessionData", "ChatMessage", "ChatEnded"]


async def test_session_dies_when_nobody_polls() -> None:
    async with service() as found, page(found, accepted=True) as visitor:
        found.wish({"advance_s": 149})
        assert await visitor.post("ChatMessage", {"text": "x"}) == 200
        found.wish({"advance_s": 2})
        assert (await visitor.poll())[0] == 403

    assert found.ledger()["desk"][-1]["reason"] == "timeout"


async def test_visitor_ends_or_deletes() -> None:
    async with service() as found, page(found, accepted=True) as one, page(found, accepted=True) as other:
        assert await one.post("ChatEnd", {}) == 400
        assert await one.post("ChatEnd", {"reason": "client"}) == 200
        _, messages = await one.poll()
        assert (await other.call("DELETE", f"System/SessionId/{other.key}"))[0] == 200
        assert (await other.poll())[0] == 403

    assert [(each["type"], each["message"]["reason"]) for each in messages] == [("ChatEnded", "client")]
    assert messages[0]["message"]["attachedRecords"]
    assert other.key not in json.dumps(found.ledger())


@pytest.mark.parametrize("reason", END_REASONS)
async def test_every_reason_to_end(reason: str) -> None:
    async with service() as found, page(found, accepted=True) as visitor:
        found.desk.end(visitor.id, reason)
        _, messages = await visitor.poll()

    assert messages[0]["message"]["reason"] == reason


async def test_nouns_in_one_post_have_one_sequence() -> None:
    nouns = [
        {"prefix": "Chasitor", "noun": "ChasitorNotTyping", "object": {}},
        {"prefix": "Chasitor", "noun": "ChatMessage", "object": {"text": "hi"}},
        {"prefix": "Chasitor", "noun": "CustomEvent", "object": {"type": "t", "data": "d"}},
    ]
    async with service(sneak_peek=True) as found, page(found, accepted=True) as visitor:
        assert await visitor.post("System/MultiNoun", {"nouns": nouns}) == 200
        assert await visitor.post("ChasitorSneakPeek", {"position": 1, "text": "hel"}) == 200
        assert await visitor.post("ChasitorTyping") == 200
        assert await visitor.post("ChasitorIdleTimeoutWarningEvent", {"idleTimeoutWarningEvent": "triggered"}) == 200
        found.wish({"options": {"sneak_peek": False}})
        assert await visitor.post("ChasitorSneakPeek", {"position": 1, "text": "hel"}) == 400

    kinds = ["request", "typing", "message", "custom_event", "sneak_peek", "typing", "idle_warning", "left"]
    assert [each["kind"] for each in found.ledger()["desk"]] == kinds


async def test_every_move_of_the_agents_over_the_control_api() -> None:
    idle = {"isEnabled": True, "warningTime": 30, "timeout": 60}
    async with service(idle=idle) as found, page(found) as visitor:

        async def act(do: str, **facts: Any) -> Any:
            status, answer = await visitor.call("POST", "/_sandbox/agent", {"do": do, "session": visitor.id, **facts})
            assert status == 200, answer
            return answer["result"]

        await act("queue_position", position=1)
        await act("accept")
        await act("confer", name="Bob")
        await act("confer", name="Bob", joins=False)
        await act("typing")
        await act("typing", is_typing=False)
        await act("transfer", agent="005SM0000001Car", name="Carla")
        await act("custom_event", kind="t", data="d")
        token = await act("request_file")
        await act("cancel_file")
        await act("push", kind="NewVisitorBreadcrumb", location="https://example.com")
        await act("transfer_to_button")
        await act("accept", agent="005SM0000001Bob", name="Bob")
        await act("disconnect")
        await act("accept")
        await act("end")
        assert (await visitor.call("POST", "/_sandbox/agent", {"do": "say", "session": visitor.id, "text": "x"}))[
            0
        ] == 400
        assert (await visitor.call("POST", "/_sandbox/agent", {"do": "x"}))[0] == 400
        _, messages = await visitor.poll()

    assert [each["type"] for each in messages] == [
        "ChatRequestSuccess",
        "QueueUpdate",
        "ChatEstablished",
        "AgentJoinedConference",
        "AgentLeftConference",
        "AgentTyping",
        "AgentNotTyping",
        "ChatTransferred",
        "CustomEvent",
        "FileTransfer",
        "FileTransfer",
        "NewVisitorBreadcrumb",
        "TransferToButtonInitiated",
        "ChatEstablished",
        "AgentDisconnect",
        "ChatEstablished",
        "ChatEnded",
    ]
    assert messages[2]["message"]["chasitorIdleTimeout"] == idle
    assert [each["message"]["fileToken"] for each in messages if each["type"] == "FileTransfer"] == [token, token]


async def test_file_only_when_the_agent_asks() -> None:
    async with service() as found, page(found, accepted=True) as visitor:
        token = found.desk.request_file(visitor.id)
        asked = (await visitor.poll())[1][0]["message"]

        async def upload(token: str, referer: str) -> int:
            data = aiohttp.FormData()
            data.add_field("file", b"png", filename="a.png", content_type="image/png")
            query = {"orgId": ORG_ID, "chatKey": visitor.key.split("!")[0], "fileToken": token, "encoding": "UTF-8"}
            headers = {"Referer": referer, "User-Agent": "Mozilla/5.0"}
            url = asked["uploadServletUrl"]
            async with visitor.session.post(url, params=query, headers=headers, data=data) as answer:
                return answer.status

        assert await upload("wrong", asked["cdmServletUrl"]) == 403
        assert await upload(token, "https://elsewhere.example") == 403
        assert await upload(token, asked["cdmServletUrl"]) == 200
        assert await upload(token, asked["cdmServletUrl"]) == 403
        _, messages = await visitor.poll()

    assert [(each["type"], each["message"]["type"]) for each in messages] == [("FileTransfer", "Success")]
    assert found.service.files[token] == ("a.png", "image/png", b"png")


async def test_visitor_resources() -> None:
    where = {"org_id": ORG_ID, "deployment_id": DEPLOYMENT_ID}
    async with service() as found, page(found) as visitor:
        query = {"Availability.ids": f"{BUTTON_ID},x", "Availability.needEstimatedWaitTime": "1"}
        _, online = await visitor.call("GET", "Visitor/Availability", **where, **query)
        found.wish({"options": {"online": False}})
        _, offline = await visitor.call("GET", "Visitor/Availability", **where, **query)
        _, settings = await visitor.call("GET", "Visitor/Settings", **where, **{"Settings.buttonIds": BUTTON_ID})
        assert (await visitor.call("GET", "Visitor/Availability", org_id="x"))[0] == 400
        found.wish({"options": {"switch_to": "https://d.la2.salesforceliveagent.com/chat"}})
        _, moved = await visitor.call("GET", "Visitor/Availability", **where, **query)

    first = online["messages"][0]["message"]["results"][0]
    assert (first["isAvailable"], first["estimatedWaitTime"]) == (True, 30)
    assert "isAvailable" not in offline["messages"][0]["message"]["results"][0]
    assert settings["messages"][0]["message"]["buttons"][0]["id"] == BUTTON_ID
    assert moved["messages"][0]["type"] == "SwitchServer"


async def test_faults_pause_and_control_over_http() -> None:
    async with service(poll_s=0.05) as found, page(found, accepted=True) as visitor:

        async def control(**wish: Any) -> int:
            return (await visitor.call("POST", "/_sandbox/control", wish))[0]

        assert await control(fail_next=[{"on": "post", "status": 500}], options={"paused": True}) == 200
        assert await visitor.post("ChatMessage", {"text": "x"}) == 500
        for n in range(3):
            found.desk.say(visitor.id, str(n))
        assert (await visitor.poll())[0] == 204
        assert await control(options={"paused": False}) == 200
        assert len((await visitor.poll())[1]) == 3
        assert await control(down=True) == 200
        assert (await visitor.poll())[0] == 503
        assert await control(down=False, move_all=True) == 200
        assert (await visitor.poll())[0] == 503
        wrong = ({"typo": 1}, {"fail_next": [{"typo": 1}]}, {"options": {"typo": 1}})
        assert [await control(**each) for each in wrong] == [400] * 3
        assert (await visitor.call("GET", "/_sandbox/ledger"))[1]["moves"] == 1
        assert (await visitor.call("POST", "/_sandbox/reset"))[0] == 200
        assert (await visitor.poll())[0] == 403
