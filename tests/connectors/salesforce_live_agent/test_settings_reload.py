"""Settings are read again while chats are live: they go on, with what changed."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import until
from tests.connectors.salesforce.relays import ALEX, MakeRelay
from tests.connectors.salesforce_live_agent.alone import alone


def change(path: Path, before: str, after: str) -> None:
    text = path.read_text("utf-8")
    assert before in text
    path.write_text(text.replace(before, after), "utf-8")


async def test_chats_go_on_with_changed_settings(make_relay: MakeRelay) -> None:
    """One that waits, one with an agent and words under way; both poll when it happens."""
    relay = await make_relay(settings='event_texts = { order = "Old {data}." }')
    waits = await relay.handed_over()
    waiting = relay.chat
    visitor = await relay.world.visitor("Vito")
    await visitor.say("talk to a human")
    await relay.until(lambda: len(relay.desk.waiting()) == 2)
    relay.desk.accept(relay.chat, ALEX, "Alex Agent")
    relay.desk.say(relay.chat, "a0")
    await relay.until(lambda: "a0" in relay.words(visitor))

    relay.sf.wish({"fail_next": [{"on": "post", "delay_ms": 300}]})
    await visitor.say("v0")
    await until(lambda: not relay.sf.faults.waiting)  # it is under way
    change(relay.world.folder / "omnibridge.toml", '"Old {data}."', '"New {data}."')
    done = await relay.world.node.service.reload()
    relay.desk.say(relay.chat, "a1")
    await visitor.say("v1")
    await relay.until(lambda: relay.heard() == ["v0", "v1"] and "a1" in relay.words(visitor))
    relay.desk.custom_event(relay.chat, "order", "A17")
    await relay.until(lambda: "New A17." in relay.words(visitor))
    await waits.say("w0")
    relay.desk.accept(waiting, ALEX, "Alex Agent")
    await relay.until(lambda: "w0" in relay.heard())

    assert done.problems == () or done.problems == []
    assert any("event_texts" in each for each in done.changed)
    assert [each for each in relay.words(visitor) if each in ("a0", "a1")] == ["a0", "a1"]
    assert len(relay.sf.service.sessions) == 2 and not relay.of_kind("end") and not relay.of_kind("left")


async def test_settings_that_are_read_again_and_again_cost_no_word_and_no_second_poll() -> None:
    async with alone() as one:
        await one.begin()
        await one.accepted()
        for at in range(10):
            await one.initialize(agent_label=f"{at}")
            one.desk.say(one.sid, f"a{at}")
            await one.say(f"v{at}")
        await until(lambda: len(one.words()) == 10)

    assert one.heard() == [f"v{at}" for at in range(10)]
    assert one.words() == [("Alex Agent", f"a{at}") for at in range(10)]
