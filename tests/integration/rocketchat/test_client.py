"""The client against the simulated hub of each version, over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from omnibridge.errors import DeliveryRejected, DeliveryRetryable, DeliveryUncertain
from omnibridge.rocketchat import calls
from omnibridge.rocketchat.client import Credentials, RocketChatClient
from omnibridge.sandbox.server import SandboxOptions, start
from omnibridge.sandbox.visitor import SandboxClient, VisitorClient


@dataclass
class World:
    """client: the relay account's. bot, alice: who may post and serve."""

    client: RocketChatClient
    hub: SandboxClient
    visitor: VisitorClient
    bot: Credentials
    alice: Credentials
    version: str

    @property
    def room(self) -> str:
        return self.visitor.rid


@pytest.fixture(params=["6.14", "7.7", "8.3"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    running = await start(SandboxOptions(hub_version=request.param, simulators=False, department="Sales"))
    told = running.description
    accounts = {
        name: Credentials(told[name]["user_id"], told[name]["auth_token"])
        for name in ("service_account", "bot_account", "agent_account")
    }
    client, hub = RocketChatClient(running.url, accounts["service_account"], timeout_s=5), SandboxClient(running.url)
    visitor = VisitorClient(hub, "Vera")
    await visitor.open_room()
    yield World(client, hub, visitor, accounts["bot_account"], accounts["agent_account"], request.param)
    await client.aclose()
    await hub.aclose()
    await running.stop()


async def test_knows_hub_and_people(world: World) -> None:
    assert ".".join(map(str, await world.client.info())) == world.version
    assert (await world.client.me())["username"] == "omnibridge"
    bot = await world.client.user_by_username("bot")
    assert bot and bot.id == world.bot.user_id
    assert await world.client.user_by_username("nobody") is None
    assert {each.username for each in await world.client.available_agents()} == {"alice", "bot"}
    assert [each.name for each in await world.client.departments()] == ["Sales"]


async def test_message_is_stored_once_however_often_it_is_sent(world: World) -> None:
    send = world.client.send_message
    await send(world.room, "our-id", "hello", as_user=world.bot)
    with pytest.raises(DeliveryUncertain) as caught:
        await send(world.room, "our-id", "hello", as_user=world.bot)

    assert caught.value.code == "maybe-duplicate"
    assert await world.client.confirm_message(world.room, "our-id", world.bot.user_id, "hello")
    assert not await world.client.confirm_message(world.room, "never-sent", None, "hello")
    assert [each["text"] for each in await world.visitor.wait_for("bot", 1)] == ["hello"]


async def test_message_whose_answer_was_lost_is_found(world: World) -> None:
    lost = {"path": "chat.sendMessage", "status": 502, "after_effect": True}
    await world.hub.control(fail_next=[lost])
    with pytest.raises(DeliveryUncertain):
        await world.client.send_message(world.room, "our-id", "hello", as_user=world.bot)

    assert await world.client.confirm_message(world.room, "our-id", world.bot.user_id, "hello")


async def test_id_that_a_visitor_took_is_not_ours(world: World) -> None:
    await world.visitor.say("hello", "our-id")
    with pytest.raises(DeliveryRejected) as caught:
        await world.client.confirm_message(world.room, "our-id", None, "hello")

    assert caught.value.code == "id-taken"


async def test_history_tells_visitor_from_staff(world: World) -> None:
    first = await world.visitor.say("hi")
    await world.client.send_message(world.room, "our-id", "hello", as_user=world.bot)
    said = [each for each in (await world.client.changes_since(world.room, 0))[0] if not each.system_type]

    assert [(each.id, each.from_visitor) for each in said] == [(first, True), ("our-id", False)]


async def test_room_goes_to_a_person_to_the_queue_and_back(world: World) -> None:
    await world.client.forward_to_agent(world.room, world.alice.user_id, "please")
    room = await world.client.room(world.room)
    assert room.open and room.served_by and room.served_by.username == "alice"
    assert room.visitor_username and room.source == "api"

    await world.hub.control(routing_method="Manual_Selection", bot_first=False)
    await world.client.return_to_queue(world.room)
    assert (await world.client.room(world.room)).served_by is None
    inquiry = await world.client.inquiry(world.room)
    assert inquiry

    await world.client.take(inquiry.id, world.bot.user_id)
    room = await world.client.room(world.room)
    assert room.served_by and room.served_by.username == "bot"
    assert await world.client.inquiry(world.room) is None


async def test_queue_refuses_what_nobody_serves(world: World) -> None:
    await world.hub.control(routing_method="Manual_Selection", bot_first=False)
    await world.client.return_to_queue(world.room)
    with pytest.raises(DeliveryRejected) as caught:
        await world.client.return_to_queue(world.room)

    assert caught.value.code == "not-served"


async def test_forward_to_a_department_that_is_not_there_has_its_code(world: World) -> None:
    with pytest.raises(DeliveryRejected) as caught:
        await world.client.forward_to_department(world.room, "nowhere")

    assert caught.value.code == "error-invalid-department"


async def test_closed_room_is_read_as_closed(world: World) -> None:
    assert [each.id for each in await world.client.rooms()] == [world.room]
    await world.client.close(world.room, "Done.")
    room = await world.client.room(world.room)

    assert (room.open, room.closer, room.closed_by) == (False, "user", "omnibridge")
    assert room.closed_at_ms > 0
    assert await world.client.rooms() == []
    assert [each.id for each in await world.client.rooms(open=False)] == [world.room]


async def test_wrong_token_says_what_to_do(world: World) -> None:
    with pytest.raises(DeliveryRejected, match="auth_token of the workspace") as caught:
        await world.client.send_message(world.room, "x", "hi", as_user=Credentials(world.bot.user_id, "wrong"))

    assert caught.value.code == "not-logged-in"


async def test_slow_down_names_the_pause(world: World) -> None:
    await world.hub.control(fail_next=[{"path": "rooms.info", "status": 429}])
    with pytest.raises(DeliveryRetryable) as caught:
        await world.client.room(world.room)

    assert caught.value.retry_after_s and 0 < caught.value.retry_after_s <= 120


async def test_rooms_are_listed_by_who_serves_and_since_when(world: World) -> None:
    room = await world.client.room(world.room)
    await world.client.return_to_queue(world.room)
    assert (await world.client.room(world.room)).served_by  # delegated again at once
    await world.hub.control(available={"alice": False, "bot": False})
    await world.client.return_to_queue(world.room)

    assert await world.client.rooms() == []
    assert [each.id for each in await world.client.rooms(queued=True)] == [world.room]
    assert [each.id for each in await world.client.rooms(queued=True, since_ms=room.created_at_ms)] == [world.room]
    assert await world.client.rooms(queued=True, since_ms=room.created_at_ms + 1) == []
    await world.client.close(world.room, "Done.")
    closed_at = (await world.client.room(world.room)).closed_at_ms
    assert [each.id for each in await world.client.rooms(open=False, since_ms=closed_at)] == [world.room]
    assert await world.client.rooms(open=False, since_ms=closed_at + 1) == []


async def test_hub_tells_its_time(world: World) -> None:
    told = await world.client.hub_time_ms()

    assert told is not None
    assert -5000 <= told - (await world.client.room(world.room)).created_at_ms <= 60_000


async def test_hub_that_is_back_after_a_while_is_told_of(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    world.client.when_back(lambda: told.append("back"))
    unreachable = {"path": "rooms.info", "status": 503}
    for away_s, expected in ((60.0, []), (-1.0, ["back"])):
        monkeypatch.setattr(calls, "AWAY_S", away_s)
        await world.hub.control(fail_next=[unreachable])
        with pytest.raises(DeliveryUncertain):
            await world.client.room(world.room)
        await world.client.room(world.room)
        await world.client.room(world.room)
        assert told == expected
