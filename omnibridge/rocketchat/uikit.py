"""Neutral content -> UIKit blocks, of a message in a workspace that has our app. Pure.

Source: rocketchat-api 10.1, and the widget's and web client's own code: the widget draws attachments, then `msg`, then
the blocks; the web client draws the blocks **in place of** `msg`. So the words are in `msg` for the visitor, and once
more in a section that only the web client shows; what can be pressed is there for both.

What a press is read from (`uikit_actions`): blockId `ob1.once.N` or `ob1.keep.N`, N = number of the block in its
message; once: its elements go when one was used. actionId `KIND.INDEX`, INDEX = number of the element in its message.
An element that opens an address has no interaction: nobody is told.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from omnibridge.domain.content import Card, Choices, DatePick, Option, Select

MOST_VISIBLE = 5
"""Elements of an `actions` block that the widget draws; the rest would be behind its `more` button."""

MOST_OPTIONS = 50
LONGEST_LABEL = 75
"""Characters of a button that are read without being cut off."""

STAFF_ONLY = {"engine": ["rocket.chat"]}
"""Of a `conditional` block: the web client."""


def can_show(options: Iterable[Option]) -> bool:
    """Whether these can be elements: few, and short enough to be read."""
    found = tuple(options)
    return bool(found) and len(found) <= MOST_OPTIONS and all(_fits(each) for each in found)


def _fits(option: Option) -> bool:
    return 0 < len(option.label.strip()) and len(option.label) <= LONGEST_LABEL


class Blocks:
    """Blocks of one message while they are put together."""

    def __init__(self, app_id: str) -> None:
        self._app_id, self._found = app_id, list[dict[str, Any]]()
        self._blocks = self._elements = 0

    def found(self) -> tuple[dict[str, Any], ...]:
        return tuple(self._found)

    def words(self, markdown: str) -> None:
        """What `msg` says, for the web client, which does not show `msg` beside blocks."""
        if markdown.strip():
            text = {"type": "mrkdwn", "text": markdown}
            section = {"type": "section", **self._named(keeps=True), "text": text}
            self._found.append({"type": "conditional", "when": STAFF_ONLY, "render": [section]})

    def picture(self, url: str, title: str) -> None:
        self._found.append({"type": "image", **self._named(keeps=True), "imageUrl": url, "altText": title})

    def buttons(self, options: tuple[Option, ...], *, keeps: bool) -> None:
        """Some blocks of as many buttons as are visible, in their order. What opens an address may always be used
        again, so it is in blocks of its own."""
        for opens, run in itertools.groupby(options, lambda each: each.url is not None and not keeps):
            for some in _by(MOST_VISIBLE, tuple(run)):
                self._actions((self._button(each) for each in some), keeps=keeps or opens)

    def select(self, content: Select) -> None:
        """A list to open, or the menu behind three dots. In a list no option opens an address: those are buttons."""
        if content.is_menu:
            options = [{**_option(each), **({"url": each.url} if each.url else {})} for each in content.options]
            return self._actions([{**self._element("overflow"), "options": options}], keeps=True)
        offered = tuple(each for each in content.options if not each.url)
        if offered:
            element = {**self._element("static_select"), "options": [_option(each) for each in offered]}
            if content.placeholder:
                element["placeholder"] = _plain(content.placeholder)
            first = next((each for each in offered if content.initial and value_of(each) == content.initial), None)
            if first is not None:
                element |= {"initialOption": _option(first), "initialValue": value_of(first)}
            self._actions([element], keeps=False)
        self.buttons(tuple(each for each in content.options if each.url), keeps=True)

    def date(self, content: DatePick) -> None:
        element = self._element("datepicker")
        if content.initial:
            element["initialDate"] = content.initial
        if content.placeholder:
            element["placeholder"] = _plain(content.placeholder)
        self._actions([element], keeps=False)

    def _button(self, option: Option) -> dict[str, Any]:
        element = {**self._element("button"), "text": _plain(option.label)}
        element |= {"url": option.url} if option.url else {"value": option.value}
        return {**element, "style": option.style} if option.style else element

    def _actions(self, elements: Iterable[dict[str, Any]], *, keeps: bool) -> None:
        named = self._named(keeps=keeps)
        self._found.append(
            {"type": "actions", **named, "elements": [{**each, "blockId": named["blockId"]} for each in elements]}
        )

    def _named(self, *, keeps: bool) -> dict[str, str]:
        """The widget takes the app's id from the block, the web client from the element: both have it."""
        self._blocks += 1
        return {"appId": self._app_id, "blockId": f"ob1.{'keep' if keeps else 'once'}.{self._blocks - 1}"}

    def _element(self, kind: str) -> dict[str, Any]:
        self._elements += 1
        return {"type": kind, "appId": self._app_id, "actionId": f"{kind}.{self._elements - 1}"}


def blocks_of(
    content: Choices | Select | DatePick | Card, app_id: str, words: str, *, keeps: bool = False
) -> tuple[dict[str, Any], ...]:
    """The blocks of one message. words: its `msg`, as markdown. keeps: for a card, whether its buttons stay.

    Options that open an address must have one that a browser may open: others are the caller's to show as words.
    """
    blocks = Blocks(app_id)
    blocks.words(words)
    match content:
        case Choices(options=options):
            blocks.buttons(options, keeps=content.keeps)
        case Select():
            blocks.select(content)
        case DatePick():
            blocks.date(content)
        case Card(title=title, image_url=image_url, options=options):
            if image_url:
                blocks.picture(image_url, title or "Image")
            blocks.buttons(options, keeps=keeps)
    return blocks.found()


def joined(several: Iterable[tuple[dict[str, Any], ...]]) -> tuple[dict[str, Any], ...]:
    """Blocks of several messages as those of one: numbered on, so that a press still names one element."""
    n_blocks, n_elements = itertools.count(), itertools.count()

    def anew(block: dict[str, Any]) -> dict[str, Any]:
        if block["type"] == "conditional":
            return {**block, "render": [anew(each) for each in block["render"]]}
        named = {"blockId": f"{block['blockId'].rpartition('.')[0]}.{next(n_blocks)}"}
        if "elements" not in block:
            return {**block, **named}
        elements = [
            {**each, **named, "actionId": f"{each['actionId'].rpartition('.')[0]}.{next(n_elements)}"}
            for each in block["elements"]
        ]
        return {**block, **named, "elements": elements}

    return tuple(anew(each) for blocks in several for each in blocks)


def layout(blocks: Iterable[dict[str, Any]], engine: str) -> Iterator[dict[str, Any]]:
    """The blocks that a client shows: `livechat` or `rocket.chat`; conditional ones are resolved."""
    for each in blocks:
        if each.get("type") != "conditional":
            yield each
        elif engine in each["when"]["engine"]:
            yield from layout(each["render"], engine)


def _by(size: int, options: tuple[Option, ...]) -> Iterator[tuple[Option, ...]]:
    for first in range(0, len(options), size):
        yield options[first : first + size]


def value_of(option: Option) -> str:
    """In a list each option needs a value of its own: without one it is told by its label."""
    return option.value or option.label


def _option(option: Option) -> dict[str, Any]:
    return {"text": _plain(option.label), "value": value_of(option)}


def _plain(text: str) -> dict[str, str]:
    return {"type": "plain_text", "text": text}
