"""Webhooks: when they are sent, what they hold, how they are retried, and the injected faults."""

from __future__ import annotations

import asyncio

import pytest

from omnibridge.sandbox import webhook_sender

from .conftest import Hub, Start


async def test_bot_first_conversation_tells_start_taken_message_close(hub: Hub) -> None:
    visitor = await hub.visitor()
    await visitor.say("hello")
    await visitor.close()

    assert sorted(await hub.settled_types()) == [
        "LivechatSession", "LivechatSessionStart", "LivechatSessionTaken", "Message",
    ]  # fmt: skip


async def test_payload_of_a_message(hub: Hub) -> None:
    visitor = await hub.visitor(email="v@example.test")
    await hub.client.settled()
    message_id = await visitor.say("hello")
    await hub.client.settled()

    body = hub.receiver.bodies[-1]

    assert (body["_id"], body["type"], body["crmData"]) == (visitor.rid, "Message", "seen")
    assert (body["agent"]["username"], body["visitor"]["email"]) == ("bot", [{"address": "v@example.test"}])
    message = body["messages"][0]
    assert (message["_id"], message["msg"], "agentId" in message, "token" in message) == (
        message_id, "hello", False, False,
    )  # fmt: skip
    assert hub.receiver.headers[-1]["x-rocketchat-livechat-token"] == hub.running.description["webhook_token"]
    assert hub.receiver.headers[-1]["content-type"] == "application/json"


@pytest.mark.parametrize("version", ["6.14", "7.7"])
async def test_save_waits_for_the_webhook_up_to_7(start_hub: Start, version: str) -> None:
    hub = await start_hub(version)
    visitor = await hub.visitor()
    assert await hub.client.settled()
    hub.receiver.arrived.clear()
    hub.receiver.gate.clear()

    saying = asyncio.create_task(visitor.say("hello"))
    await hub.receiver.arrived.wait()
    # The message is stored already, only the answer to its author waits.
    assert len(await visitor.wait_for("visitor", 1)) == 1
    assert not saying.done()
    hub.receiver.gate.set()

    assert await saying


async def test_save_does_not_wait_on_8(start_hub: Start) -> None:
    hub = await start_hub("8.3")
    visitor = await hub.visitor()
    hub.receiver.gate.clear()

    await visitor.say("hello")

    assert not await hub.client.settled(wait_ms=1)
    hub.receiver.gate.set()
    assert await hub.client.settled()


@pytest.mark.parametrize(
    ("version", "status", "arrivals"),
    [
        *(("7.7", status, 2) for status in (202, 404, 503)),
        *(("8.3", status, 1) for status in (202, 404)),
        *(("8.3", status, 2) for status in (429, 503)),
    ],
)
async def test_what_is_retried(start_hub: Start, version: str, status: int, arrivals: int) -> None:
    hub = await start_hub(version)
    await hub.client.control(webhook_url="")
    visitor = await hub.visitor()
    await hub.client.control(webhook_url=hub.receiver.socket.url + "/")
    hub.receiver.statuses = [status]
    await visitor.say("hello")
    assert await hub.client.settled()

    entry = (await hub.client.ledger())["webhooks"][-1]

    assert [each[1] for each in entry["attempts"]] == [status, 200][:arrivals]
    assert entry["given_up"] is (arrivals == 1)


@pytest.mark.parametrize(("version", "attempts"), [("7.7", 10), ("8.3", 5)])
async def test_gives_up_after_so_many_attempts(
    start_hub: Start, monkeypatch: pytest.MonkeyPatch, version: str, attempts: int
) -> None:
    monkeypatch.setattr(webhook_sender, "RETRY_TIMEOUTS", 0.008)
    hub = await start_hub(version)
    await hub.client.control(webhook_url="")
    visitor = await hub.visitor()
    await hub.client.control(webhook_url=hub.receiver.socket.url + "/")
    hub.receiver.statuses = [500] * 20
    await visitor.say("hello")
    assert await hub.client.settled()

    entry = (await hub.client.ledger())["webhooks"][-1]

    assert (len(entry["attempts"]), entry["given_up"], entry["ok_at"]) == (attempts, True, None)


async def test_duplicates_are_sent_and_counted(start_hub: Start) -> None:
    hub = await start_hub(duplicate_rate=1.0)
    visitor = await hub.visitor()
    await visitor.say("hello")
    assert await hub.client.settled()

    ledger = await hub.client.ledger()

    assert ledger["duplicates_sent"] == len(ledger["webhooks"]) == 3
    assert len(hub.receiver.bodies) == 6
    assert all([each[3] for each in entry["attempts"]] == [False, True] for entry in ledger["webhooks"])


async def test_held_webhook_is_overtaken_and_counted(start_hub: Start) -> None:
    """The hold ends when the next one of the room was answered, so a long limit costs no time."""
    hub = await start_hub()
    visitor = await hub.visitor()
    assert await hub.client.settled()
    await hub.client.control(swap_rate=1.0, swap_hold_ms=60_000)
    await visitor.say("one")
    await hub.client.control(swap_rate=0.0)
    await visitor.say("two")
    assert await hub.client.settled(wait_ms=30_000)

    ledger = await hub.client.ledger(visitor.rid)

    assert [each["messages"][0]["msg"] for each in hub.receiver.bodies[2:]] == ["two", "one"]
    assert (ledger["reordered_sent"], [each["swapped"] for each in ledger["webhooks"][2:]]) == (1, [True, False])


async def test_same_seed_same_faults(start_hub: Start) -> None:
    doubled = []
    for _ in range(2):
        hub = await start_hub(duplicate_rate=0.4, seed=7)
        visitor = await hub.visitor()
        for n in range(12):
            await visitor.say(str(n))
        assert await hub.client.settled()
        doubled.append([each["duplicate"] is not None for each in (await hub.client.ledger())["webhooks"]])

    assert doubled[0] == doubled[1]
    assert any(doubled[0])


@pytest.mark.parametrize(
    ("version", "is_on", "is_sent"),
    [("7.7", True, False), ("7.7", False, True), ("8.3", True, True), ("8.3", False, False)],
)
async def test_taken_is_inverted_on_7_7(start_hub: Start, version: str, is_on: bool, is_sent: bool) -> None:
    hub = await start_hub(version)
    await hub.admin.post("omnichannel/integrations", {"LivechatWebhookOnChatTaken": is_on})
    await hub.visitor()

    assert ("LivechatSessionTaken" in await hub.settled_types()) is is_sent


async def test_settings_are_written_and_read_back(hub: Hub) -> None:
    await hub.relay.post("omnichannel/integrations", {"LivechatWebhookOnStart": False, "LivechatHttpTimeout": 300})
    found = {each["_id"]: each["value"] for each in (await hub.relay.get("livechat/integrations.settings"))["settings"]}

    assert (found["Livechat_webhook_on_start"], found["Livechat_http_timeout"]) == (False, 300)
    unknown = await hub.relay.post("omnichannel/integrations", {"LivechatWebhookOnCapture": True})
    assert unknown["errorType"] == "invalid-params"


async def test_webhook_test_wants_exactly_200(hub: Hub) -> None:
    hub.receiver.statuses = [202]
    refused, taken = [await hub.relay.post("livechat/webhook.test", {}) for _ in range(2)]

    assert (refused["errorType"], taken["_status"]) == ("error-invalid-webhook-response", 200)
    assert isinstance(hub.receiver.bodies[0]["visitor"]["email"], str)


async def test_lead_and_offline_message_have_events_of_their_own(hub: Hub) -> None:
    visitor = await hub.visitor()
    await visitor.say("write to vera@example.test")
    offline = {"name": "Vera", "email": "vera@example.test", "message": "call me"}
    await hub.client.call("POST", "/api/v1/livechat/offline.message", offline)
    assert await hub.client.settled()

    bodies = {each["type"]: each for each in hub.receiver.bodies}

    assert bodies["LeadCapture"]["messages"] == []
    assert bodies["LeadCapture"]["visitor"]["email"] == [{"address": "vera@example.test"}]
    assert bodies["LivechatOfflineMessage"]["visitor"] == {"name": "Vera", "email": "vera@example.test"}


async def test_saved_information_of_a_closed_room_is_an_edit_event(hub: Hub) -> None:
    visitor = await hub.visitor()
    save = {"guestData": {}, "roomData": {"_id": visitor.rid, "livechatData": {"k": "v"}}}
    await hub.relay.post("livechat/room.saveInfo", save)
    await visitor.close()
    await hub.relay.post("livechat/room.saveInfo", save)

    assert (await hub.settled_types()).count("LivechatEdit") == 1


async def test_dropped_webhooks_are_given_up_unsent(hub: Hub) -> None:
    visitor = await hub.visitor()
    await hub.settled_types()
    before = len(hub.receiver.bodies)
    await hub.client.control(drop_rate=1.0)
    message = await visitor.say("nobody hears this")
    ledger = await hub.client.ledger()

    assert (len(hub.receiver.bodies), ledger["dropped"], ledger["pending"]) == (before, 1, 0)
    lost = next(each for each in ledger["webhooks"] if each["message"] == message)
    assert (lost["attempts"], lost["given_up"]) == ([], True)
