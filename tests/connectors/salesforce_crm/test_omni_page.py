"""The README's example plays as it stands, and what people can look at afterwards."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import msgspec
import pytest

from connectors.salesforce_crm.simulator import CLIENT_ID, CLIENT_SECRET
from omnibridge.config_reader import check
from omnibridge.engine.plugins import installed_kinds, settings_types
from omnibridge.sandbox.router_simulator import RouterSimulator
from omnibridge.sandbox.server import Socket
from tests.command_line import omnibridge
from tests.conftest import MakeWorld
from tests.connectors.salesforce_crm.omnis import Omni

PAGE = Path(__file__).parents[3] / "connectors" / "salesforce_crm" / "omni" / "README.md"
EXAMPLE = PAGE.read_text("utf-8").split("<!-- example -->\n```toml\n")[1].split("```")[0]


async def test_example_of_the_page_plays_in_both_directions(omni: Omni, make_world: MakeWorld) -> None:
    chats, calls = omni.org.queue("chats"), omni.org.queue("calls", "ExternalRouting")
    alice = omni.org.person("Alice")
    world = await make_world(simulators=False, bot_first=False)
    await world.node.stop()
    text = EXAMPLE
    for old, new in {
        "https://acme.my.salesforce.com": omni.url,
        "3MVG9...": CLIENT_ID,
        "00G5g000001XyZa": chats,
        "00G5g000001AbCd": calls,
        "0055g00000A1b2cAAB": alice,
        'on_timeout = "ladder"': 'on_timeout = "ladder"\npoll_s = 0.1\nwork_poll_s = 0.1',
    }.items():
        assert old in text
        text = text.replace(old, new)
    path = world.folder / "omnibridge.toml"
    (world.folder / "salesforce.secret").write_text(CLIENT_SECRET, "utf-8")
    path.write_text(path.read_text("utf-8") + text, "utf-8")
    (world.folder / "rules.toml").write_text('default = "decider:omni"', "utf-8")
    await world.hub.control(routing_method="Manual_Selection")
    omni.world = world
    await world.begin()
    visitor = await world.visitor("Vera")
    await omni.served(visitor.rid, "alice")
    case = omni.org.create("Case", {"Subject": "A call", "OwnerId": calls})
    await omni.until(
        lambda: {each["WorkItemId"] for each in omni.all("AgentWork") if each["Status"] == "Opened"} >= {case}
    )
    await visitor.close()
    await omni.until(lambda: omni.all("Case")[0]["Status"] == "Closed")
    await omni.until(lambda: world.rows("SELECT 1 FROM routed_work WHERE stage = 'pushed'"))
    (decided,) = (await omnibridge(world.folder, "routing", "list", "--json")).json["decisions"]
    shown, tested, nothing = await asyncio.gather(
        omnibridge(world.folder, "routing", "list", "--work", decided["work"]),
        omnibridge(world.folder, "routing", "test"),
        omnibridge(world.folder, "routing", "list", "--work", "0JR000000000000"),
    )

    assert (decided["agent"], decided["stage"], decided["facts"]["work_item"]) == (alice, "pushed", case)
    assert shown.code == 0 and f"+ Alice ({alice}): taken; load 1, free 4" in shown.out, shown
    assert (tested.code, nothing.code) == (0, 1) and "omni: answers; " in tested.out


async def test_decider_is_asked_who_takes_work_and_excludes_who_declined(omni: Omni, make_world: MakeWorld) -> None:
    secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
    router = RouterSimulator(secret)
    socket = Socket(router.app(), "127.0.0.1", 0)
    await socket.start()
    queue = omni.org.queue("calls", "ExternalRouting")
    alice, bob = omni.person("alice", then="decline"), omni.person("bob")
    router.agents = {"": [alice[:15], bob]}
    more = f'routes = ["{queue}"]\ndecider = "ours"\n[[decider]]\nname = "ours"\nurl = "{socket.url}/"\n'
    world = await omni.bridge(make_world, f'{more}secret = "{secret}"\nsystem = "salesforce"', rules="")
    try:
        omni.org.create("Case", {"Subject": "A call", "OwnerId": queue})
        await omni.until(lambda: [each["Status"] for each in omni.all("AgentWork")] == ["Declined", "Opened"])
        rows = await omni.until(
            lambda: world.rows("SELECT agent, decision FROM routed_work WHERE stage = 'pushed'")[1:]
        )
    finally:
        await world.node.stop()
        await socket.stop()
    asked, again = router.questions[0], router.questions[-1]

    assert [each["user"] for each in omni.org.pushed_to] == [alice, bob]
    assert asked["facts"]["queue"] == queue and asked["candidates"][0]["external_id"] == alice
    assert (asked["excluded"], again["excluded"]) == ([], [alice]) and again["work"]["serial"] == 2
    assert msgspec.json.decode(rows[0][1])["by"] == "decider:ours"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('routes = ["x"]', r"\[\[router\]\] omni: routes: 'x' is no id|routes: 'x' is no id"),
        ('queue = "00G5g000001XyZa"\ndecider = "nobody"', 'no \\[\\[decider\\]\\] "nobody"'),
        ('queue = "00G5g000001XyZa"\nquue = 1', 'unknown key; did you mean "queue"'),
        ("", "nothing to do"),
    ],
)
def test_wrong_router_is_refused_by_config_check_with_its_line(tmp_path: Path, lines: str, words: str) -> None:
    path = tmp_path / "omnibridge.toml"
    path.write_text(
        '[[router]]\nname = "omni"\nkind = "salesforce_omni"\nurl = "https://acme.my.salesforce.com"\n'
        f'client_id = "x"\nclient_secret = "y"\n{lines}\n',
        "utf-8",
    )
    problems = check(path, {}, settings_types(set(installed_kinds())))

    assert any(re.search(words, each) and re.search(r"toml:\d", each) for each in problems), problems
