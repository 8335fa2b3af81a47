"""The simulated event stream: replay, pings, faults; the agents' side; verified users; the control API."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from connectors.salesforce_messaging.simulated.org import ORG_ID
from tests.conftest import until
from tests.connectors.salesforce_messaging.orgs import browser, events, key_pair, new_id, org, payload

MESSAGE = "CONVERSATION_MESSAGE"
STATUS = "CONVERSATION_SESSION_STATUS_CHANGED"


async def test_stream_needs_its_headers() -> None:
    async with org() as found, browser(found) as visitor:
        path, whole = "/eventrouter/v1/sse", {"X-Org-Id": ORG_ID, "Last-Event-Id": "0"}
        for missing in whole:
            headers = {key: value for key, value in whole.items() if key != missing}
            assert (await visitor.call("GET", path, headers=headers))[0] == 400
        visitor.token = "x"
        assert (await visitor.call("GET", path, headers=whole))[0] == 401


async def test_conversation_from_waiting_to_its_end_as_events() -> None:
    async with org() as found, browser(found) as visitor, visitor.stream("0") as queue:
        found.desk.accept(visitor.cid)
        await visitor.say("hello", one := new_id())
        found.desk.say(visitor.cid, "hi")
        found.desk.end(visitor.cid)
        seen = [event for _ in range(3) for event in await events(queue, STATUS)]

    assert [each[0].removeprefix("CONVERSATION_") for each in seen] == [
        "PARTICIPANT_CHANGED",
        "SESSION_STATUS_CHANGED",
        "ROUTING_RESULT",
        "ROUTING_WORK_RESULT",
        "PARTICIPANT_CHANGED",
        "SESSION_STATUS_CHANGED",
        "MESSAGE",
        "MESSAGE",
        "PARTICIPANT_CHANGED",
        "SESSION_STATUS_CHANGED",
    ]
    echo, answer = seen[6], seen[7]
    assert (echo[2]["conversationEntry"]["identifier"], echo[2]["conversationEntry"]["sender"]["role"]) == (
        one,
        "EndUser",
    )
    assert payload(answer)["abstractMessage"]["staticContent"]["text"] == "hi"
    assert [payload(each)["sessionStatus"] for each in seen if each[0] == STATUS] == ["Waiting", "Active", "Ended"]
    numbers = [int(each[1]) for each in seen]
    assert numbers == sorted(set(numbers))


async def test_resume_by_last_event_id() -> None:
    async with org() as found, browser(found) as visitor:
        found.desk.accept(visitor.cid)
        async with visitor.stream() as queue:
            seen = await events(queue, "CONVERSATION_ROUTING_WORK_RESULT")
        for n in range(3):
            found.desk.say(visitor.cid, f"m{n}")
        async with visitor.stream(seen[-1][1]) as queue:
            rest = await events(queue, MESSAGE) + await events(queue, MESSAGE)
            await until(lambda: found.ledger()["streams"][visitor.subject]["open"] == 1)
        found.org.feeds.faults.replay = 1
        async with visitor.stream(seen[-1][1]) as queue:
            assert payload((await events(queue, MESSAGE))[0])["abstractMessage"]["staticContent"]["text"] == "m2"

    assert [each[0] for each in rest] == ["CONVERSATION_PARTICIPANT_CHANGED", STATUS, MESSAGE, MESSAGE]
    assert found.ledger()["streams"][visitor.subject] == {"open": 0, "most_open": 1, "opened": 3}


@pytest.mark.parametrize("within", [False, True])
async def test_stream_is_cut_at_each_event(within: bool) -> None:
    async with org() as found, browser(found) as visitor:
        found.org.feeds.faults.cut_every, found.org.feeds.faults.within = 1, within
        at, seen = visitor.last_event_id, []
        for _ in range(3):
            async with visitor.stream(at) as queue:
                name, at, _ = await queue.get()
                seen.append(name.removeprefix("CONVERSATION_"))
                if len(seen) < 3:
                    assert isinstance(await queue.get(), aiohttp.ClientError)

    assert seen == ["PARTICIPANT_CHANGED", "SESSION_STATUS_CHANGED", "ROUTING_RESULT"]


async def test_double_unknown_lost_and_silent() -> None:
    async with org() as found, browser(found) as visitor:
        found.desk.accept(visitor.cid)
        faults = found.org.feeds.faults
        async with visitor.stream() as queue:
            await events(queue, STATUS)
            await events(queue, STATUS)
            faults.double = faults.unknown = True
            found.desk.say(visitor.cid, "twice")
            three = [(await queue.get())[:2] for _ in range(3)]
            faults.double, faults.unknown, faults.lose = False, False, 1
            found.desk.say(visitor.cid, "only in the entries")
            found.desk.say(visitor.cid, "after")
            after = payload((await events(queue, MESSAGE))[0])["abstractMessage"]["staticContent"]["text"]
            faults.ping_s = 0.02
            found.org.feeds.wake_all()
            ping = await events(queue, "ping")
            faults.stalled = True
            await asyncio.sleep(0)
            while not queue.empty():
                queue.get_nowait()
            found.desk.say(visitor.cid, "silence")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(queue.get(), 0.1)
        _, rows = await visitor.call("GET", f"/conversation/{visitor.cid}/entries", limit="3")

    assert [each[0] for each in three] == ["CONVERSATION_SOMETHING_NEW", MESSAGE, MESSAGE]
    assert three[1][1] == three[2][1]
    assert (after, ping[-1][1:]) == ("after", (None, 0))
    texts = [each["entryPayload"]["abstractMessage"]["staticContent"]["text"] for each in rows["conversationEntries"]]
    assert texts == ["silence", "after", "only in the entries"]


async def test_stream_ends_with_its_token() -> None:
    async with org() as found, browser(found) as visitor, visitor.stream() as queue:
        await events(queue, "CONVERSATION_ROUTING_RESULT")
        found.wish({"advance_s": 3601})
        assert await asyncio.wait_for(queue.get(), 30) is None


@pytest.mark.parametrize(
    ("text", "first", "link"),
    [
        ("see https://example.com/a", "see", "https://example.com/a"),
        ("https://example.com/a is it", "is it", "https://example.com/a"),
        ("https://example.com/a", "https://example.com/a", ""),
        ("it is https://example.com/a here", "it is https://example.com/a here", ""),
    ],
)
async def test_echo_of_a_text_with_a_url_at_an_end_is_two_events(text: str, first: str, link: str) -> None:
    async with org() as found, browser(found) as visitor, visitor.stream() as queue:
        await visitor.say(text, one := new_id())
        echoes = await events(queue, MESSAGE)
        if link:
            echoes += await events(queue, MESSAGE)

    entries = [each[2]["conversationEntry"] for each in echoes if each[0] == MESSAGE]
    contents = [payload(each)["abstractMessage"]["staticContent"] for each in echoes if each[0] == MESSAGE]
    assert entries[0]["identifier"] == one and contents[0]["text"] == first
    assert [each.get("linkItem", {}).get("url", "") for each in contents[1:]] == ([link] if link else [])


async def test_agents_can_do_everything_over_the_control_api() -> None:
    async with org() as found, browser(found) as visitor, visitor.stream() as queue:

        async def act(do: str, **facts: Any) -> str:
            status, answer = await visitor.call(
                "POST", "/_sandbox/agent", {"do": do, "conversation": visitor.cid, **facts}
            )
            assert status == 200, answer
            return str(answer["id"])

        await act("queue_position", position=2)
        await act("accept", agent="005SM0000001BobIAE", name="Bob")
        await act("typing")
        await act("say", text="hi", url="https://example.com")
        await act("ask", text="Which?", options=["One", {"title": "Two", "id": "two"}], style="QuickReplies")
        await act("ask_form", title="You", inputs=[{"id": "mail", "inputType": "Email", "label": "Mail"}])
        await act("send_file", name="a.txt", media_type="text/plain")
        await act("say_as_bot", text="beep")
        await act("say_as_system", text="we are busy")
        await act("inactive")
        _, sent = await visitor.say("back")
        await act("receipt", message=sent["conversationEntries"][0]["id"])
        await act("transfer", agent="005SM0000001CarIAE", name="Carla")
        await act("transfer")
        await act("accept")
        await act("end")
        assert (await visitor.call("POST", "/_sandbox/agent", {"do": "say", "conversation": visitor.cid, "text": "x"}))[
            0
        ] == 400
        assert (await visitor.call("POST", "/_sandbox/agent", {"do": "nonsense"}))[0] == 400
        seen: list[Any] = []
        while not seen or seen[-1][0] != STATUS or payload(seen[-1])["sessionStatus"] != "Ended":
            seen += await events(queue, STATUS)

    moves = [
        (payload(each)["entries"][0]["operation"], payload(each)["entries"][0]["displayName"])
        for each in seen
        if each[0] == "CONVERSATION_PARTICIPANT_CHANGED"
    ]
    assert moves == [
        ("add", "Guest"),
        ("add", "Bob"),
        ("remove", "Bob"),
        ("add", "Carla"),
        ("remove", "Carla"),
        ("add", "Alex Agent"),
        ("remove", "Alex Agent"),
    ]
    statuses = [payload(each)["sessionStatus"] for each in seen if each[0] == STATUS]
    assert statuses == ["Waiting", "Active", "Inactive", "Active", "Active", "Waiting", "Active", "Ended"]
    senders = [each[2]["conversationEntry"]["sender"]["role"] for each in seen if each[0] == MESSAGE]
    assert senders == ["Agent", "Agent", "Agent", "Agent", "Chatbot", "System", "EndUser"]


async def test_no_agents() -> None:
    async with org() as found, browser(found) as visitor, visitor.stream() as queue:
        found.desk.fail_routing(visitor.cid)
        seen = await events(queue, "CONVERSATION_ROUTING_RESULT") + await events(queue, "CONVERSATION_ROUTING_RESULT")

    assert [payload(each)["failureType"] for each in seen if "ROUTING" in each[0]] == ["None", "RoutingError"]


async def test_agents_by_themselves() -> None:
    async with org() as found, browser(found, opened=False) as visitor:
        found.wish({"accepts": True, "echoes": True})
        await visitor.come()
        await visitor.open()
        async with visitor.stream() as queue:
            await visitor.say("one")
            await events(queue, MESSAGE)
            answer = await events(queue, MESSAGE)

    assert payload(answer[-1])["abstractMessage"]["staticContent"]["text"] == "echo one"


def identity(private: str, *, alg: str = "RS256", kid: str = "k1", iss: str = "shop", ttl: int = 60) -> str:
    def coded(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    claims = {"iss": iss, "sub": "visitor-7", "exp": int(time.time()) + ttl}
    signed = f"{coded(json.dumps({'alg': alg, 'kid': kid}).encode())}.{coded(json.dumps(claims).encode())}"
    key: Any = serialization.load_pem_private_key(private.encode(), None)
    digest = hashes.SHA512() if alg == "RS512" else hashes.SHA256()
    return f"{signed}.{coded(key.sign(signed.encode(), padding.PKCS1v15(), digest))}"


async def test_verified_user_stays_the_same_one_and_anything_wrong_is_a_guest() -> None:
    private, public = key_pair()
    other, _ = key_pair()
    async with org() as found, browser(found, opened=False) as visitor:
        found.wish({"keysets": [{"issuer": "shop", "kid": "k1", "public_pem": public}]})

        async def subject(token: str) -> str:
            await visitor.come("authenticated", authorizationType="JWT", customerIdentityToken=token)
            return visitor.subject

        right = [await subject(identity(private)), await subject(identity(private, alg="RS512"))]
        await visitor.open()
        first = visitor.token
        assert (await visitor.call("DELETE", "/authorization/authenticated/access-token"))[0] == 204
        assert (await visitor.say("x"))[0] == 401
        await subject(identity(private))
        assert visitor.token != first and (await visitor.say("x"))[0] == 202
        wrong = [
            identity(other),
            identity(private, kid="k2"),
            identity(private, iss="x"),
            identity(private, ttl=-1),
            "a.b.c",
            "",
        ]
        guests = [await subject(each) for each in wrong]
        assert (await visitor.call("DELETE", "/authorization/authenticated/access-token"))[0] == 400
        found.wish({"all_are_guests": True})
        guests.append(await subject(identity(private)))

    assert right == ["v2/iamessage/AUTH/Website/uid:visitor-7"] * 2
    assert all("/ANON/" in each for each in guests) and len(set(guests)) == 7


async def test_control_and_ledger_over_http() -> None:
    async with org() as found, browser(found) as visitor:

        async def control(**wish: Any) -> int:
            return (await visitor.call("POST", "/_sandbox/control", wish))[0]

        assert await control(fail_next=[{"on": "message", "status": 500}], options={"receipts": False}) == 200
        assert (await visitor.say("x"))[0] == 500
        wrong = ({"typo": 1}, {"fail_next": [{"typo": 1}]}, {"stream": {"typo": 1}}, {"options": {"typo": 1}})
        assert [await control(**each) for each in wrong] == [400] * 4
        await visitor.say("kept")
        text = json.dumps((await visitor.call("GET", "/_sandbox/ledger"))[1])
        assert '"kept"' in text and visitor.token not in text
        async with visitor.stream() as queue:
            await events(queue, "CONVERSATION_ROUTING_RESULT")
            assert await control(down=True) == 200
            while isinstance(last := await asyncio.wait_for(queue.get(), 30), tuple):
                pass
            assert isinstance(last, aiohttp.ClientError)
        assert (await visitor.call("POST", "/_sandbox/reset"))[0] == 200
        assert (await visitor.say("x"))[0] == 401
