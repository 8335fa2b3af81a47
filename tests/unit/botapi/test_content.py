"""What bots send -> neutral content, and what visitors say -> updates."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pytest

from omnibridge.botapi import shapes
from omnibridge.botapi.content import plain_text, to_content
from omnibridge.botapi.errors import MethodError
from omnibridge.connector import Choices, Option, Text
from omnibridge.connector.testing import turn


@pytest.mark.parametrize(
    ("text", "mode", "plain"),
    [
        ("<b>Hi</b> <a href='https://a.example/'>there</a> &lt;3", "HTML", "*Hi* [there](https://a.example/) <3"),
        ("<i>so</i><em>so</em> <s>no</s> <u>u</u> <tg-spoiler>x</tg-spoiler>", "HTML", "_so__so_ ~no~ u x"),
        ("<b>bold <i>both</i></b>", "HTML", "*bold _both_*"),
        ("<b> spaced </b>x<b></b>", "HTML", " *spaced* x"),
        ("<code>a_*b*</code>", "HTML", "`a_*b*`"),
        ('<pre><code class="language-py">x = *1*\ny</code></pre>', "HTML", "```\nx = *1*\ny\n```"),
        ("2*3*4 _a_ snake_case # no", "HTML", "2\\*3\\*4 \\_a\\_ snake_case # no"),
        ("[x](y) &lt;b&gt;", "HTML", "[x]\u200b(y) <\u200bb>"),
        ("<a href='tg://user?id=1'>Ann</a>", "HTML", "Ann (tg://user?id=1)"),
        ("<b>never closed", "HTML", "*never closed*"),
        ("<b>two\nlines</b>", "HTML", "two\nlines"),
        ("a<br>b", "HTML", "a\nb"),
        ("\\*no\\* \\_no\\_ 5\\-3", "MarkdownV2", "\\*no\\* \\_no\\_ 5-3"),
        ("__under__ ||spoiler|| _it_ ~no~", "MarkdownV2", "under spoiler _it_ ~no~"),
        ("\\[x\\]\\(y\\)", "MarkdownV2", "[x]\u200b(y)"),
        ("<a href='https://a.example'>https://a.example</a>", "html", "https://a.example"),
        ("*bold* 1\\.5 \\(about\\)", "MarkdownV2", "*bold* 1.5 (about)"),
        ("*bold* 1\\.5", "Markdown", "*bold* 1\\.5"),
        ("a < b", "", "a < b"),
    ],
)
def test_parse_modes(text: str, mode: str, plain: str) -> None:
    assert plain_text(text, mode) == plain


@pytest.mark.parametrize(
    ("text", "mode", "why"),
    [
        ("", "", "message text is empty"),
        ("<b></b>", "HTML", "message text is empty"),
        ("x" * 4097, "", "message is too long"),
        ("x", "Wiki", "unsupported parse_mode"),
    ],
)
def test_texts_that_are_refused(text: str, mode: str, why: str) -> None:
    with pytest.raises(MethodError, match=why):
        plain_text(text, mode)


def test_keyboards() -> None:
    lost: Counter[str] = Counter()

    def content(markup: Any) -> Any:
        return to_content("Pick", markup, lambda name, n: lost.update({name: n}))

    inline = [
        [{"text": "A", "callback_data": "a"}, {"text": "Page", "url": "https://a.example"}],
        [{"text": "Pay", "pay": True}],
    ]
    assert content(None) == Text("Pick")
    assert content({"inline_keyboard": inline}) == Choices(
        "Pick", (Option("A", "a"), Option("Page", url="https://a.example"))
    )
    assert lost == {"button_not_shown": 1}
    assert content({"keyboard": [["Tea"], [{"text": "Mate"}]]}) == Choices(
        "Pick", (Option("Tea", "Tea"), Option("Mate", "Mate"))
    )
    assert content({"remove_keyboard": True}) == Text("Pick")
    assert content({"force_reply": True}) == Text("Pick")


@pytest.mark.parametrize(
    ("markup", "why"),
    [
        ([], "object expected"),
        ({"inline_keyboard": [[{"text": "A", "callback_data": "ä" * 33}]]}, "BUTTON_DATA_INVALID"),
        ({"inline_keyboard": [[{"callback_data": "a"}]]}, "BUTTON_TEXT_INVALID"),
        ({"inline_keyboard": [[{"text": "A"}]]}, "Text buttons are unallowed in the inline keyboard"),
        ({"inline_keyboard": "x"}, "rows of buttons"),
        ({"keyboard": [["x"] * 101]}, "too long"),
    ],
)
def test_keyboards_that_are_refused(markup: Any, why: str) -> None:
    with pytest.raises(MethodError, match=why):
        to_content("Pick", markup, lambda name, n: None)


def test_visitor_has_a_name_only_if_the_facts_hold_it() -> None:
    known = turn("hi", facts={"visitor_name": " Vera ", "visitor_email": "vera@example.com"})

    assert shapes.first_name(known) == "Vera"
    assert shapes.first_name(turn("hi")) == "Visitor"
    assert shapes.message_of(known, "hi", 7, 3, 5_000)["from"] == {"id": 7, "is_bot": False, "first_name": "Vera"}


@pytest.mark.parametrize(
    ("text", "length"), [("/start", 6), ("/start now", 6), ("/start@helper_bot x", 17), ("/ x", 0), ("a /start", 0)]
)
def test_commands_are_marked_as_clients_need_it(text: str, length: int) -> None:
    found = shapes.message_of(turn(text), text, 1, 1, 0).get("entities", [])

    assert [each["length"] for each in found] == ([length] if length else [])


def test_the_newest_offer_of_a_choice_is_found() -> None:
    bot = shapes.bot_user(9, "helper", "Helper")

    def said(number: int, markup: Any) -> bytes:
        return msgspec.json.encode(shapes.bot_message(bot, 1, "Vera", number, 0, "x", markup))

    inline = {"inline_keyboard": [[{"text": "Yes", "callback_data": "y"}]]}
    newest_first = [said(3, {"keyboard": [["No"]]}), said(2, inline), said(1, inline)]
    found, is_inline = shapes.find_offer(newest_first, "y")
    assert found is not None
    assert (found["message_id"], is_inline) == (2, True)
    assert shapes.find_offer(newest_first, "No")[1] is False
    assert shapes.find_offer([], "gone") == (None, False)
