"""Choices, forms, links and files, both ways, between a visitor and an agent."""

from __future__ import annotations

from tests.connectors.salesforce_messaging.relays import (
    MakeRelay,
    bot_kind,  # noqa: F401 - a fixture
    make_relay,  # noqa: F401 - a fixture
    sf,  # noqa: F401 - a fixture
)

PICTURE = bytes(range(256)) * 40


async def test_choice_by_number_or_title_is_the_response_of_the_api(make_relay: MakeRelay) -> None:  # noqa: F811
    relay = await make_relay()
    visitor = await relay.with_agent()
    asked = relay.desk.ask(relay.cid, "Which one?", [{"title": "Red", "id": "red"}, {"title": "Blue", "id": "blue"}])
    await relay.until(lambda: any("Which one?" in each for each in relay.words(visitor)))
    await visitor.say("2")
    await relay.until(lambda: relay.heard())
    relay.desk.ask(relay.cid, "And now?", [{"title": "Small", "id": "s"}, {"title": "Large", "id": "l"}])
    await relay.until(lambda: any("And now?" in each for each in relay.words(visitor)))
    await visitor.say("small")
    await relay.until(lambda: len(relay.heard()) == 2)
    rows = [each for each in relay.sf.org.desk if each.get("type") == "ChoicesResponseMessage"]

    assert [each["text"] for each in rows] == ["blue", "s"]
    assert rows[0]["said"]["inReplyToMessageId"] == asked


async def test_files_go_both_ways_byte_by_byte(make_relay: MakeRelay) -> None:  # noqa: F811
    relay = await make_relay(settings="upload_files = true")
    visitor = await relay.with_agent()
    relay.desk.send_file(relay.cid, "note.txt", "text/plain", "see this", "for you \u00e9")
    relay.desk.say(relay.cid, "after the file")
    await relay.until(lambda: "after the file" in relay.words(visitor))
    (stored,) = relay.world.sandbox.hub.files.by_id.values()
    await relay.world.upload(visitor, "holiday.png", PICTURE, "image/png", text="look")
    await relay.until(lambda: any(each["kind"] == "file" for each in relay.sf.org.desk))
    taken = [each for each in relay.sf.org.files.values() if each[0] == "holiday.png"]

    words = relay.words(visitor)
    assert words.index("see this") < words.index("after the file")
    assert (stored.name, stored.content) == ("note.txt", "for you \u00e9".encode())
    assert stored.owner.name == "Alex Agent"
    assert relay.heard() == ["look", ""]
    assert [(each[1], each[2]) for each in taken] == [("image/png", PICTURE)]


async def test_agents_file_that_cannot_be_had_is_named_and_holds_up_nobody(make_relay: MakeRelay) -> None:  # noqa: F811
    relay = await make_relay(settings="upload_files = true")
    visitor = await relay.with_agent()
    relay.sf.wish({"fail_next": [{"on": "download", "status": 404}]})
    relay.desk.send_file(relay.cid, "gone.pdf", "application/pdf")
    relay.desk.say(relay.cid, "next")
    await relay.until(lambda: "next" in relay.words(visitor))

    assert relay.words(visitor)[-2:] == ["[gone.pdf]", "next"]
