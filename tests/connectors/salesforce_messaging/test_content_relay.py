"""Choices, forms, links and files, both ways, between a visitor and an agent."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.salesforce_messaging.forms import OpenForm, answers_of
from omnibridge.connector import FormField, Option
from tests.connectors.salesforce.relays import MakeRelay

PICTURE = bytes(range(256)) * 40


async def test_choice_by_number_or_title_is_the_response_of_the_api(make_relay: MakeRelay) -> None:
    relay = await make_relay()
    visitor = await relay.with_agent()
    asked = relay.desk.ask(relay.chat, "Which one?", [{"title": "Red", "id": "red"}, {"title": "Blue", "id": "blue"}])
    await relay.until(lambda: any("Which one?" in each for each in relay.words(visitor)))
    await visitor.say("2")
    await relay.until(lambda: relay.heard())
    relay.desk.ask(relay.chat, "And now?", [{"title": "Small", "id": "s"}, {"title": "Large", "id": "l"}])
    await relay.until(lambda: any("And now?" in each for each in relay.words(visitor)))
    await visitor.say("small")
    await relay.until(lambda: len(relay.heard()) == 2)
    rows = [each for each in relay.sf.org.desk if each.get("type") == "ChoicesResponseMessage"]

    assert [each["text"] for each in rows] == ["blue", "s"]
    assert rows[0]["said"]["inReplyToMessageId"] == asked


async def test_files_go_both_ways_byte_by_byte(make_relay: MakeRelay) -> None:
    relay = await make_relay(settings="upload_files = true")
    visitor = await relay.with_agent()
    relay.desk.send_file(relay.chat, "note.txt", "text/plain", "see this", "for you \u00e9")
    relay.desk.say(relay.chat, "after the file")
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


async def test_agents_file_that_cannot_be_had_is_named_and_holds_up_nobody(make_relay: MakeRelay) -> None:
    relay = await make_relay(settings="upload_files = true")
    visitor = await relay.with_agent()
    relay.sf.wish({"fail_next": [{"on": "download", "status": 404}]})
    relay.desk.send_file(relay.chat, "gone.pdf", "application/pdf")
    relay.desk.say(relay.chat, "next")
    await relay.until(lambda: "next" in relay.words(visitor))

    assert relay.words(visitor)[-2:] == ["[gone.pdf]", "next"]


async def test_form_is_answered_in_words_and_arrives_as_the_response_of_the_api(make_relay: MakeRelay) -> None:
    relay = await make_relay()
    visitor = await relay.with_agent()
    inputs = [
        {"id": "name", "inputType": "Text", "label": "Name"},
        {"id": "mail", "inputType": "Email", "label": "E-mail"},
        {"id": "size", "inputType": "ListPicker", "label": "Size", "options": ["S", "XL"], "required": False},
    ]
    asked = relay.desk.ask_form(relay.chat, "About you", inputs)
    await relay.until(lambda: "Please answer in one message, with a line for each question." in relay.words(visitor))
    (shown,) = [each for each in relay.words(visitor) if "About you" in each]
    await visitor.say("why do you ask?")
    await relay.until(lambda: "why do you ask?" in relay.heard())
    await visitor.say("Vera\nvera@example.com\nxl")
    await relay.until(lambda: len(relay.heard()) == 2)
    await visitor.say("one\ntwo\nthree")
    await relay.until(lambda: len(relay.heard()) == 3)
    rows = [each for each in relay.sf.org.desk if each.get("type") == "FormResponseMessage"]

    assert shown.splitlines() == ["About you", "- Name", "- E-mail", "- Size (optional): S, XL"]
    assert relay.heard()[2] == "one\ntwo\nthree"  # it was answered
    assert [each["said"]["inReplyToMessageId"] for each in rows] == [asked]
    assert json.loads(rows[0]["text"]) == {
        "formatType": "Inputs",
        "inputs": [
            {"id": "name", "value": "Vera"},
            {"id": "mail", "value": "vera@example.com"},
            {"id": "size", "value": "XL"},
        ],
    }


async def test_list_picker_carousel_and_link_reach_the_room_and_their_answers_the_agent(make_relay: MakeRelay) -> None:
    relay = await make_relay()
    visitor = await relay.with_agent()
    cards = [
        {"title": "Tent", "id": "tent", "subTitle": "two people", "image": "https://shop.example/tent.png"},
        {"title": "Boat", "id": "boat", "subTitle": "four people"},
    ]
    relay.desk.ask(
        relay.chat, "Which day?", [{"title": "Monday", "id": "mo"}, {"title": "Friday", "id": "fr"}], "ListPicker"
    )
    await relay.until(lambda: any("Friday" in each for each in relay.words(visitor)))
    await visitor.say("friday")
    await relay.until(lambda: relay.heard() == ["fr"])
    relay.desk.ask(relay.chat, "What do you want?", cards, "Carousel")
    await relay.until(lambda: any("Boat" in each for each in relay.words(visitor)))
    await visitor.say("Boat")
    await relay.until(lambda: len(relay.heard()) == 2)
    relay.desk.ask(relay.chat, "Sure?", ["Yes", "No"], "QuickReplies")
    await relay.until(lambda: any("Sure?" in each for each in relay.words(visitor)))
    await visitor.say("well, I do not know")
    await relay.until(lambda: len(relay.heard()) == 3)
    relay.desk.say(relay.chat, "Our shop", "https://shop.example")
    await relay.until(lambda: any("https://shop.example" in each for each in relay.words(visitor)))
    kinds = [each["type"] for each in relay.sf.org.desk if "type" in each and each["kind"] == "message"]

    assert relay.heard() == ["fr", "boat", "well, I do not know"]
    assert kinds[-3:] == ["ChoicesResponseMessage", "ChoicesResponseMessage", "StaticContentMessage"]
    shown = "\n".join(relay.words(visitor))
    assert all(each in shown for each in ("Which day?", "Monday", "Tent", "two people", "Boat"))


FORM = OpenForm(
    (
        FormField("m:name", "Name"),
        FormField("m:mail", "E-mail", "email"),
        FormField("m:n", "How many", "number", required=False),
        FormField("m:day", "Day", "date"),
        FormField("m:size", "Size", "select", (Option("Small", "s"), Option("Large", "l"))),
    )
)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("Vera\nv@x.org\n3\n2026-01-02\nlarge", "l"),
        ("1. Vera\n2. v@x.org\n3. 3\n4. 2026-01-02\n5. Small", "s"),
        ("Name: Vera\n\nE-mail: v@x.org\nHow many: 3\nDay: 2026-01-02\nSize: 2", "l"),
    ],
)
def test_line_for_each_question(text: str, size: str) -> None:
    answers = {"m:name": "Vera", "m:mail": "v@x.org", "m:n": "3", "m:day": "2026-01-02", "m:size": size}

    assert answers_of(FORM, text) == answers
    assert answers_of(FORM, text.replace("3. 3", "-").replace("How many: 3", "-").replace("\n3\n", "\n-\n")) == {
        name: value for name, value in answers.items() if name != "m:n"
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Vera",
        "Vera\nno mail\n3\n2026-01-02\nlarge",
        "Vera\nv@x.org\nmany\n2026-01-02\nlarge",
        "Vera\nv@x.org\n3\ntomorrow\nlarge",
        "Vera\nv@x.org\n3\n2026-01-02\nhuge",
        "Vera\nv@x.org\n3\n2026-01-02\n0",
        "Vera\nv@x.org\n3\n2026-01-02\n3",
        "Vera\n-\n3\n2026-01-02\nlarge",
        "a\nb\nc\nd\ne\nf",
    ],
)
def test_what_does_not_fit_is_words(text: str) -> None:
    assert answers_of(FORM, text) is None


def test_long_answer_of_one_question_keeps_its_lines() -> None:
    assert answers_of(OpenForm((FormField("m:why", "Why", "long_text"),)), "a\nb") == {"m:why": "a\nb"}
    assert answers_of(OpenForm((FormField("m:why", "Why"),)), "because: of it") == {"m:why": "because: of it"}


@given(st.text(max_size=80))
def test_any_words_are_an_answer_or_none(text: str) -> None:
    found = answers_of(FORM, text)
    assert found is None or set(found) <= {each.name for each in FORM.fields}
