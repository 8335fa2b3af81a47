"""Proxies that carry personas: the right face, in spite of browsers' caches; pictures from named hosts only."""

from __future__ import annotations

import asyncio

import aiohttp
import msgspec
import pytest

from omnibridge.domain.agents import AgentFound
from omnibridge.identity.avatars import Avatars, NoPicture, plain
from omnibridge.storage import directory, seats
from omnibridge.storage.seats import DAY_MS

from .conftest import OPEN, PNG, Bridge, Killed, MakeBridge

POOLED = msgspec.structs.replace(OPEN, mode="pooled", pool_size=2)
CACHE_MS = 3_600_000


async def served(bridge: Bridge, external_id: str, name: str, **more: str) -> AgentFound:
    """A whole chat, begun and closed."""
    found = await bridge.found(external_id, name, **more)
    visitor = await bridge.chat(found)
    await visitor.close()
    bridge.clock.advance(20_000)
    await bridge.identity.release("main", found.user_id)
    return found


async def test_s2_27_a_proxy_carries_name_and_picture_of_the_agent(make_bridge: MakeBridge, pictures: str) -> None:
    bridge = await make_bridge(policy=msgspec.structs.replace(POOLED, avatar_hosts=(pictures,)))
    ann = await bridge.found("1", "Ann", avatar_url=f"http://{pictures}/ann.png", departments=("sales",))

    assert (ann.mode, ann.persona) == ("pooled", "Ann")
    assert bridge.user_of(ann).name == "Ann" and bridge.picture(ann) == PNG + b"ann.png"
    assert bridge.user_of(ann).roles == {"bot", "livechat-agent"} and ann.username in bridge.members("sales")


async def test_the_visitor_sees_each_agents_name_and_face(make_bridge: MakeBridge, pictures: str) -> None:
    """Who serves the room, and what its address gives: one chat, handed from one external agent to another."""
    bridge = await make_bridge(policy=msgspec.structs.replace(POOLED, avatar_hosts=(pictures,)))
    seen = []
    visitor = None
    for external_id, name in (("1", "Ann"), ("2", "Bob")):
        found = await bridge.found(external_id, name, avatar_url=f"http://{pictures}/{name}.png")
        visitor = await bridge.serve(found, visitor)
        agent = bridge.sandbox.hub.rooms[visitor.rid].served_by
        assert agent
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{bridge.sandbox.url}/avatar/{agent.username}") as answer,
        ):
            seen.append((agent.name, await answer.read()))

    assert seen == [("Ann", PNG + b"Ann.png"), ("Bob", PNG + b"Bob.png")]


async def test_one_proxy_carries_all_chats_of_its_persona(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge(policy=POOLED)
    found = await asyncio.gather(*(bridge.found("1", "Ann") for _ in range(20)))

    assert len({each.user_id for each in found}) == 1 and len(bridge.made()) == 1


async def test_the_same_agent_gets_the_same_proxy_again_and_others_another(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge(policy=POOLED)
    ann, bob = await served(bridge, "1", "Ann"), await served(bridge, "2", "Bob")
    bridge.clock.advance(10 * CACHE_MS)
    again = await bridge.found("1", "Ann"), await bridge.found("2", "Bob")

    assert ann.user_id != bob.user_id
    assert [each.user_id for each in again] == [ann.user_id, bob.user_id]


async def test_another_persona_waits_for_browsers_to_forget_the_face(make_bridge: MakeBridge) -> None:
    """The one that was unused for longest is taken, and nothing of its persona before remains."""
    bridge = await make_bridge(policy=POOLED)
    ann = await served(bridge, "1", "Ann")
    bridge.clock.advance(1000)
    await served(bridge, "2", "Bob")
    too_soon = await bridge.refusal("3")
    face = bridge.picture(ann)
    bridge.clock.advance(CACHE_MS)
    carol = await bridge.found("3", "Carol")

    assert too_soon == "pool_exhausted"
    assert carol.user_id == ann.user_id and bridge.user_of(carol).name == "Carol"
    assert bridge.picture(carol) != face and bridge.picture(carol).startswith(PNG)


async def test_the_hubs_own_cache_time_counts_where_it_tells_it(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge(policy=msgspec.structs.replace(POOLED, pool_size=1))
    bridge.sandbox.hub.rules.permissions["view-privileged-setting"] |= {"provisioner"}
    bridge.sandbox.hub.change_setting("Accounts_AvatarCacheTime", 60)
    await served(bridge, "1", "Ann")
    too_soon = await bridge.refusal("2")
    bridge.clock.advance(61_000)

    assert too_soon == "pool_exhausted"
    assert (await bridge.found("2", "Bob")).mode == "pooled"


async def test_a_proxy_with_an_open_room_is_never_given_another_face(make_bridge: MakeBridge) -> None:
    """Whatever our own books say: the fresh read decides."""
    bridge = await make_bridge(policy=msgspec.structs.replace(POOLED, pool_size=1))
    ann = await bridge.found("1", "Ann")
    visitor = await bridge.chat(ann)
    await bridge.database.writer.submit(
        lambda cursor: seats.change_proxy(cursor, "main", ann.user_id, serving=0, used_at=0, hold_until=0)
    )
    bridge.clock.advance(10 * CACHE_MS)
    while_open = await bridge.refusal("2")
    name = bridge.user_of(ann).name
    await visitor.close()

    assert (while_open, name) == ("pool_exhausted", "Ann")
    assert (await bridge.found("2", "Bob")).user_id == ann.user_id


async def test_exhausted_pool_falls_back_to_the_shared_bot(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge(policy=msgspec.structs.replace(POOLED, pool_size=1, shared_user="bot"))
    await bridge.found("1", "Ann")
    bob = await bridge.found("2", "Bob")

    assert (bob.mode, bob.username, bob.persona) == ("shared", "bot", "Bob")
    assert bridge.alarms["pool_exhausted"] == 1 and bridge.user_of(bob).name == "Assistant"


async def test_killed_while_a_persona_is_put_on_it_is_put_on_whole(make_bridge: MakeBridge) -> None:
    """Every step of a change of persona, before and after its effect."""
    bridge = await make_bridge(policy=msgspec.structs.replace(POOLED, pool_size=1))
    await served(bridge, "0", "Nobody")
    n = hits = 0
    for after in (False, True):
        for step in range(1, 20):
            n += 1
            bridge.clock.advance(2 * CACHE_MS)
            bridge.restart()
            await bridge.identity.tidy()
            bridge.clock.advance(2 * CACHE_MS)
            bridge.kill_at(step, after=after)
            try:
                await bridge.found(f"p{n}", f"Person {n}")
            except Killed:
                hits += 1
            else:
                break
            bridge.restart()
            found = await bridge.found(f"p{n}", f"Person {n}")
            assert bridge.user_of(found).name == f"Person {n}"
            assert bridge.picture(found) == plain(f"crm:p{n}").content
            assert bridge.user_of(found).is_agent

    assert hits >= 12 and len(bridge.made()) == 1


async def test_s2_28_a_new_name_or_picture_is_shown_at_the_next_use(make_bridge: MakeBridge, pictures: str) -> None:
    bridge = await make_bridge(policy=msgspec.structs.replace(OPEN, avatar_hosts=(pictures,)))
    before = await bridge.found("1", "Ann", avatar_url=f"http://{pictures}/ann.png")
    etag = bridge.user_of(before).avatar
    await bridge.found("1", "Ann", avatar_url=f"http://{pictures}/ann.png")
    same = bridge.user_of(before).avatar
    await bridge.found("1", "Ann Smith", avatar_url=f"http://{pictures}/smith.png")
    row = directory.find(bridge.database.reader, "main", "crm", "1")

    assert etag is same
    assert bridge.user_of(before).name == "Ann Smith" and bridge.picture(before) == PNG + b"smith.png"
    assert row and row.name == "Ann Smith"


@pytest.mark.parametrize(
    ("path", "hosts", "why"),
    [
        ("ann.png", (), "avatar_hosts"),
        ("ann.png", ("127.0.0.1",), "avatar_hosts"),  # the port is not the usual one
        ("page", None, "no PNG"),
        ("huge", None, "larger"),
        ("elsewhere", None, "HTTP 302"),
    ],
)
async def test_pictures_come_from_named_hosts_only(
    pictures: str, path: str, hosts: tuple[str, ...] | None, why: str
) -> None:
    avatars = Avatars((pictures,) if hosts is None else hosts)
    with pytest.raises(NoPicture, match=why) as caught:
        await avatars.fetch(f"http://{pictures}/{path}")
    await avatars.aclose()

    assert pictures not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "http://", "http://user:pw@h/x", "http://[::1", "http://h:99999/"]
)
async def test_odd_addresses_of_pictures_are_refused(url: str) -> None:
    avatars = Avatars(("h",))
    with pytest.raises(NoPicture):
        await avatars.fetch(url)
    await avatars.aclose()


async def test_a_name_that_leads_to_this_machine_is_refused(pictures: str) -> None:
    port = pictures.partition(":")[2]
    avatars = Avatars((f"localhost:{port}",))
    with pytest.raises(NoPicture, match="could not be fetched"):
        await avatars.fetch(f"http://localhost:{port}/ann.png")
    await avatars.aclose()


async def test_a_visitor_never_gets_a_proxy_that_he_saw_as_somebody_else(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge(policy=POOLED)
    ann = await served(bridge, "1", "Ann", visitor="vera")
    bridge.clock.advance(CACHE_MS)
    bob = await served(bridge, "2", "Bob", visitor="vera")
    bridge.clock.advance(CACHE_MS)
    refused = await bridge.refusal("3", visitor="vera")  # two proxies, and she knows both as somebody else
    bridge.restart()
    after_restart = await bridge.refusal("3", visitor="vera")
    again = await served(bridge, "1", "Ann", visitor="vera")
    bridge.clock.advance(CACHE_MS)
    for_another = await served(bridge, "3", "Cid", visitor="viktor")
    bridge.clock.advance(CACHE_MS)

    assert ann.user_id != bob.user_id and again.user_id == ann.user_id
    assert refused == after_restart == "pool_exhausted" and bridge.outcomes["face_avoided"] >= 2
    assert for_another.user_id in (ann.user_id, bob.user_id)
    # The proxy of Cid is Bob to Vera: Cid gets no other one either, and hers stay as she knows them.
    assert await bridge.refusal("3", visitor="vera") == "pool_exhausted"
    bridge.restart(pool_size=3)
    assert (await bridge.found("3", visitor="vera")).user_id not in (ann.user_id, bob.user_id)


async def test_faces_are_forgotten_after_a_while(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge(policy=msgspec.structs.replace(POOLED, pool_size=1, idle_days=0, token_days=1000))
    await served(bridge, "1", "Ann", visitor="vera")
    bridge.clock.advance(CACHE_MS)
    before = await bridge.refusal("2", visitor="vera")
    bridge.clock.advance(31 * 86_400_000)
    await bridge.identity.tidy()

    assert before == "pool_exhausted"
    assert (await bridge.found("2", visitor="vera")).mode == "pooled"


async def test_an_idle_proxy_is_switched_off_and_woken_with_the_right_face(
    make_bridge: MakeBridge, pictures: str
) -> None:
    bridge = await make_bridge(policy=msgspec.structs.replace(POOLED, pool_size=1, avatar_hosts=(pictures,)))
    ann = await bridge.found("1", "Ann", avatar_url=f"http://{pictures}/ann.png")
    user = bridge.user_of(ann)
    bridge.clock.advance(20_000)
    await bridge.identity.release("main", ann.user_id)
    bridge.clock.advance(31 * DAY_MS)
    await bridge.identity.tidy()
    asleep = not user.active
    bob = await bridge.found("2", "Bob", avatar_url=f"http://{pictures}/bob.png")
    credentials = await bridge.identity.credentials("main", bob.user_id)

    assert asleep and bob.user_id == ann.user_id and user.active and user.is_agent
    assert user.name == "Bob" and bridge.picture(bob) == PNG + b"bob.png"
    assert credentials and bridge.sandbox.hub.by_token[credentials.auth_token] is user
