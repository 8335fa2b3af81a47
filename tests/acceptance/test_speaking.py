"""A connection that speaks for people of its own: whose name each word is shown under, and how that is remembered."""

from __future__ import annotations

from omnibridge.operator.replay import Replay
from omnibridge.sandbox.visitor import Visitor
from tests.acceptance.test_agents import with_provisioner
from tests.command_line import omnibridge
from tests.conftest import MakeWorld, World


async def say(world: World, visitor: Visitor, text: str) -> None:
    """And wait until everything that follows is done."""
    n = len(await world.bot.turns())
    await visitor.say(text)
    await world.answered(n + 1)


def posted(world: World, rid: str, text: str) -> tuple[str, str]:
    """(name of the author, alias) of a message in a room."""
    hub = world.sandbox.hub
    (found,) = [each for each in hub.messages.values() if each.rid == rid and each.text == text]
    return hub.users[found.author.id].name, str(found.extras.get("alias", ""))


async def test_each_of_them_posts_as_himself_serves_meanwhile_and_trace_tells(make_world: MakeWorld) -> None:
    world = await make_world(department="sales")
    await with_provisioner(world, "creation = true")
    await omnibridge(world.folder, "agents", "sync")
    visitor = await world.visitor()
    await say(world, visitor, "as 7 Maria Fox: Hello, I am Maria.")
    served = (await world.room(visitor.rid))["served_by"]
    await say(world, visitor, "as 8 Tom Grant: And I am Tom.")
    await say(world, visitor, "echo your ticket is 12")
    await say(world, visitor, "as 8 Tom Grant: Anything else?")
    trace = await omnibridge(world.folder, "trace", visitor.rid)
    database = world.node.service._database
    assert database

    assert world.sandbox.hub.by_name[served].name == "Maria Fox"
    assert posted(world, visitor.rid, "Hello, I am Maria.") == ("Maria Fox", "")
    assert posted(world, visitor.rid, "And I am Tom.") == ("Tom Grant", "")
    assert posted(world, visitor.rid, "Anything else?") == ("Tom Grant", "")
    assert world.rows("SELECT count(*) FROM deliveries WHERE state <> 1") == [(0,)]
    shown = [row[0] for row in world.rows("SELECT reason FROM events WHERE kind = 'PersonaShown' ORDER BY id")]
    assert [each.partition(" as ")[2] for each in shown] == [
        "Maria Fox (desk:7), as his own user",
        "Tom Grant (desk:8), as his own user",
        "Tom Grant (desk:8), as his own user",
    ]
    assert all(each in trace.out for each in shown)
    assert Replay(database.reader).run().is_clean


async def test_s2_27_without_users_of_their_own_the_relay_account_says_who_speaks(make_world: MakeWorld) -> None:
    world = await make_world(texts='speaks_as = "[{name}] "')
    visitor = await world.visitor()
    await say(world, visitor, "as 7 Maria Fox: Hello.")
    permissions = world.sandbox.hub.rules.permissions
    permissions["message-impersonate"] = frozenset()
    await say(world, visitor, "as 7 Maria Fox: Still here.")

    assert posted(world, visitor.rid, "[Maria Fox] Hello.") == ("omnibridge", "Maria Fox")
    assert posted(world, visitor.rid, "[Maria Fox] Still here.") == ("omnibridge", "")
    shown = [row[0] for row in world.rows("SELECT reason FROM events WHERE kind = 'PersonaShown' ORDER BY id")]
    assert [each.partition(" as ")[2] for each in shown] == ["Maria Fox (desk:7), by the relay account"] * 2


async def test_words_come_from_himself_also_when_his_log_in_was_revoked_meanwhile_and_over_a_restart(
    make_world: MakeWorld,
) -> None:
    world = await make_world(department="sales")
    await with_provisioner(world, "creation = true")
    await omnibridge(world.folder, "agents", "sync")
    visitor, hub = await world.visitor(), world.sandbox.hub
    await say(world, visitor, "as 7 Maria Fox: One.")
    (maria,) = [each for each in hub.users.values() if each.name == "Maria Fox"]
    hub.accounts.drop_tokens(maria)
    await say(world, visitor, "as 7 Maria Fox: Two.")
    hub.accounts.drop_tokens(maria)
    await world.restart()
    await say(world, visitor, "as 7 Maria Fox: Three.")

    for text in ("One.", "Two.", "Three."):
        assert posted(world, visitor.rid, text) == ("Maria Fox", "")
    assert world.rows("SELECT count(*) FROM deliveries WHERE state <> 1") == [(0,)]
    assert len(maria.tokens) == 1


async def test_staff_see_the_picture_of_who_speaks_if_its_host_may_know(make_world: MakeWorld) -> None:
    world = await make_world()
    with (world.folder / "omnibridge.toml").open("a", encoding="utf-8") as file:
        file.write('[agents]\navatar_hosts = ["pictures.example.test"]\n')
    await world.restart()
    visitor = await world.visitor()
    await say(world, visitor, "as 7 Maria Fox <https://pictures.example.test/7.png>: Hello.")
    await say(world, visitor, "as 8 Tom Grant <https://elsewhere.example.test/8.png>: Hi.")
    world.sandbox.hub.rules.permissions["message-impersonate"] = frozenset()
    await say(world, visitor, "as 7 Maria Fox <https://pictures.example.test/7.png>: Still here.")

    def shown(text: str) -> tuple[str, str]:
        (found,) = [each for each in world.sandbox.hub.messages.values() if each.text == text]
        return str(found.extras.get("alias", "")), str(found.extras.get("avatar", ""))

    assert shown("Maria Fox: Hello.") == ("Maria Fox", "https://pictures.example.test/7.png")
    assert shown("Tom Grant: Hi.") == ("Tom Grant", "")
    assert shown("Maria Fox: Still here.") == ("", "")
    assert world.rows("SELECT count(*) FROM deliveries WHERE state <> 1") == [(0,)]


async def test_words_whose_answer_was_lost_are_not_said_twice(make_world: MakeWorld) -> None:
    world = await make_world(department="sales")
    await with_provisioner(world, "creation = true")
    await omnibridge(world.folder, "agents", "sync")
    visitor = await world.visitor()
    await say(world, visitor, "as 7 Maria Fox: Hello.")
    await world.hub.control(fail_next=[{"path": "chat.sendMessage", "after_effect": True, "status": 502, "count": 1}])
    await say(world, visitor, "as 7 Maria Fox: Once only.")

    assert posted(world, visitor.rid, "Once only.") == ("Maria Fox", "")
    assert len(world.rows("SELECT id FROM events WHERE kind = 'PersonaShown'")) == 2
