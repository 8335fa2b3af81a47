"""Blocks of a workspace with our app: what is in them, and that they can be told apart when they are pressed."""

from __future__ import annotations

from typing import Any

from omnibridge.domain.content import Card, Carousel, Choices, Content, DatePick, Form, FormField, Option, Select, Text
from omnibridge.rocketchat.capabilities import Capabilities, Sides
from omnibridge.rocketchat.render import OutgoingMessage, render
from omnibridge.rocketchat.uikit import joined, layout

APP = "the-app"
WITH_APP = Capabilities("widget", APP)
YES, NO, DOCS = Option("Yes", "/yes", style="primary"), Option("No", "/no"), Option("Docs", url="https://d")


def shown(content: Content) -> OutgoingMessage:
    """The only message of it."""
    (message,) = render(content, WITH_APP).messages
    return message


def elements(message: OutgoingMessage, engine: str = "livechat") -> list[dict[str, Any]]:
    blocks = layout(message.blocks, engine)
    return [element for block in blocks for element in block.get("elements", ())]


def every_block(message: OutgoingMessage) -> list[dict[str, Any]]:
    return [inner for each in message.blocks for inner in each.get("render", [each])]


def test_s3_01_one_message_for_the_widget_the_web_client_and_sms() -> None:
    question = Choices("Shall we?", (YES, NO, DOCS))

    with_app, plain = shown(question), render(question, Capabilities("plain"))

    assert with_app.text == "Shall we?"  # the widget draws it above the blocks
    assert [each["type"] for each in layout(with_app.blocks, "livechat")] == ["actions", "actions"]
    section, *_ = layout(with_app.blocks, "rocket.chat")  # the web client draws blocks in place of the text
    assert section["text"] == {"type": "mrkdwn", "text": "Shall we?"}
    assert elements(with_app) == elements(with_app, "rocket.chat")
    assert [each.text for each in plain.messages] == ["Shall we?\n1. Yes\n2. No\nDocs (https://d)"]
    assert plain.losses == ("choices", "style")
    assert render(question).messages[0].text == "Shall we?\n1. Yes\n2. No\n[Docs](https://d)"
    assert render(question, WITH_APP).losses == ()


def test_s3_02_a_link_is_static_and_raises_no_interaction() -> None:
    """Clients open an address without telling anybody (10.1); there is no value that could be sent."""
    yes, no, docs = elements(shown(Choices("?", (YES, NO, DOCS))))

    assert docs["url"] == "https://d" and "value" not in docs
    assert (yes["value"], no["value"]) == ("/yes", "/no") and "url" not in {*yes, *no}


def test_elements_are_named_so_that_a_press_is_understood() -> None:
    message = shown(Choices("?", tuple(Option(f"O{n}", f"v{n}") for n in range(12))))

    blocks = every_block(message)
    assert [each["blockId"] for each in blocks] == ["ob1.keep.0", "ob1.once.1", "ob1.once.2", "ob1.once.3"]
    assert [len(each["elements"]) for each in blocks[1:]] == [5, 5, 2]  # the widget hides a sixth
    found = elements(message)
    assert [each["actionId"] for each in found] == [f"button.{n}" for n in range(12)]
    assert all(each["appId"] == APP for each in [*blocks, *found])
    assert all(each["blockId"] == block["blockId"] for block in blocks[1:] for each in block["elements"])


def test_what_stays_after_a_press() -> None:
    carousel = Carousel((Card("A", options=(YES,)), Card("B", options=(NO,))))
    once, keeps = ["ob1.once.1"], ["ob1.keep.1"]

    def ids(content: Content) -> list[list[str]]:
        return [
            [each["blockId"] for each in message.blocks if each["type"] == "actions"]
            for message in render(content, WITH_APP).messages
        ]

    assert ids(Choices("?", (YES,))) == [once]
    assert ids(Choices("?", (YES,), keeps=True)) == [keeps]
    assert ids(Choices("?", (YES, DOCS))) == [["ob1.once.1", "ob1.keep.2"]], "a link is not used up"
    assert ids(Choices("?", (YES, DOCS), keeps=True)) == [keeps]
    assert ids(Card("A", options=(YES,))) == [once]
    assert ids(carousel) == [keeps, keeps]
    assert ids(Select("?", (YES, NO), is_menu=True)) == [keeps]
    assert ids(Select("?", (YES, NO))) == [once]
    assert ids(DatePick("?")) == [once]


def test_s3_22_a_day_is_picked() -> None:
    (element,) = elements(shown(DatePick("When?", "2026-02-01", "a day")))

    assert element == {
        "type": "datepicker",
        "appId": APP,
        "blockId": "ob1.once.1",
        "actionId": "datepicker.0",
        "initialDate": "2026-02-01",
        "placeholder": {"type": "plain_text", "text": "a day"},
    }
    assert render(DatePick("When?", "tomorrow"), WITH_APP).losses == ("initial",)


def test_s3_23_a_list_to_open_and_s3_24_a_menu() -> None:
    select, link = elements(shown(Select("Team?", (YES, NO, DOCS), "choose", "/no")))
    (menu,) = elements(shown(Select("More", (YES, DOCS), is_menu=True)))

    option = {"text": {"type": "plain_text", "text": "No"}, "value": "/no"}
    assert (select["type"], select["actionId"]) == ("static_select", "static_select.0")
    assert select["placeholder"] == {"type": "plain_text", "text": "choose"}
    assert select["options"][1] == select["initialOption"] == option
    assert link["url"] == "https://d" and link["actionId"] == "button.1"
    assert menu["type"] == "overflow" and "placeholder" not in menu
    assert [each.get("url") for each in menu["options"]] == [None, "https://d"]


def test_a_card_is_one_message() -> None:
    message = shown(Card("Tea", "Green.", "https://i/1.png", (YES,)))

    assert message.text == "*Tea*\nGreen." and not message.attachments
    assert [each["type"] for each in layout(message.blocks, "livechat")] == ["image", "actions"]
    assert [each["type"] for each in layout(message.blocks, "rocket.chat")] == ["section", "image", "actions"]
    assert every_block(message)[1]["imageUrl"] == "https://i/1.png"


def test_cards_that_are_shown_in_one_message_have_names_of_their_own() -> None:
    """An update of a message has one to put them in."""
    cards = (Card("A", image_url="https://i", options=(YES, DOCS)), Card("B", options=(NO,)))
    several = [each.blocks for each in render(Carousel(cards), WITH_APP).messages]
    message = OutgoingMessage("A B", blocks=joined(several))

    assert [each["blockId"] for each in every_block(message)] == [f"ob1.keep.{n}" for n in range(5)]
    assert [each["actionId"] for each in elements(message)] == ["button.0", "button.1", "button.2"]
    assert joined(several[:1]) == several[0]


def test_without_a_question_the_options_are_in_the_words() -> None:
    """For mails and transcripts, which draw no blocks."""
    message = shown(Choices("", (YES, DOCS)))

    assert message.text == "1. Yes\n[Docs](https://d)"
    assert [each["type"] for each in message.blocks] == ["actions", "actions"]


def test_what_cannot_be_an_element_is_text() -> None:
    too_long, too_many = (Option("x" * 76, "v"),), tuple(Option(str(n), str(n)) for n in range(51))
    for options in (too_long, too_many):
        rendered = render(Choices("?", options), WITH_APP)
        assert not rendered.messages[0].blocks and rendered.losses == ("choices",)
    bad = Choices("?", (YES, Option("Run", url="javascript:alert(1)")))
    message = shown(bad)
    assert message.text == "?\nRun" and [each["text"]["text"] for each in elements(message)] == ["Yes"]
    assert render(bad, WITH_APP).losses == ("link-address",)
    form = Form("Who?", (FormField("name", "Name"), FormField("day", "Day", "date", required=False)))
    assert shown(form) == OutgoingMessage("Who?\n- Name\n- Day (YYYY-MM-DD) (optional)")


def test_a_long_question_keeps_its_elements_at_its_end() -> None:
    messages = render(Choices("word " * 1500, (YES,)), WITH_APP).messages

    assert len(messages) == 2 and not messages[0].blocks and elements(messages[1])
    assert next(iter(layout(messages[1].blocks, "rocket.chat")))["text"]["text"] == messages[1].text


def test_where_the_side_is_a_guess_the_words_say_all_of_it() -> None:
    """The webhook does not tell what the visitor uses: an SMS draws no buttons."""
    (message,) = render(Choices("?", (YES, DOCS)), Capabilities("widget", APP, is_guess=True)).messages

    assert message.text == "?\n1. Yes\n[Docs](https://d)"
    assert [each["text"]["text"] for each in elements(message)] == ["Yes", "Docs"]


def test_which_side_a_room_is() -> None:
    sides = Sides({"w": APP}, {"typed": "text", "pressed": "blocks"}, frozenset({"typed"}))

    assert sides.of("w", "bot", "widget") == WITH_APP
    assert sides.of("w", "bot", "api") == Capabilities()
    assert sides.of("w", "bot", "") == Capabilities("widget", APP, is_guess=True)
    assert sides.of("w", "pressed", "") == WITH_APP
    assert sides.of("w", "pressed", "api") == WITH_APP
    assert sides.of("w", "pressed", "sms") == Capabilities("plain")
    assert sides.of("other", "bot", "widget") == Capabilities()
    assert sides.of("w", "typed", "widget") == Capabilities(markup="plain")
    assert Sides().of("w", "bot", "email") == Capabilities("plain")
    assert render(Text("*hi*"), sides.of("w", "typed", "widget")).messages[0].text == "\\*hi\\*"
