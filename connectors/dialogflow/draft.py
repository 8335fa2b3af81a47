"""An answer of the agent while it is read, message by message. What cannot be shown is counted in it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from omnibridge.connector import Card, Carousel, Choices, Content, Custom, Handover, Image, Option, Text

_encode = msgspec.json.Encoder(order="deterministic").encode
EVENT, HANDOVER, CLOSE = "omnibridge:event:", "omnibridge:handover:", "omnibridge:close"
"""In front of the value of an option that sends no text: only what the agent offered comes back as a choice's value."""


@dataclass(frozen=True)
class Event:
    """What the agent is told instead of words."""

    name: str
    parameters: dict[str, Any] = field(default_factory=dict)
    language: str = ""


@dataclass
class Draft:
    """lost: what could not be shown, or not as it was meant, by kind. event: to be sent to the agent after this.
    intent: what the agent calls what it answered to."""

    department_keys: tuple[str, ...] = ("department", "team", "skill")
    parts: list[Content] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)
    handover: Handover | None = None
    close: bool = False
    fallback: bool = False
    fields: dict[str, str] = field(default_factory=dict)
    event: Event | None = None
    intent: str = ""
    facts: dict[str, str | int | float | bool] = field(default_factory=dict)

    def append(self, later: Draft) -> None:
        """What was said and wanted after this, in the same turn."""
        self.parts += later.parts
        self.lost += later.lost
        self.fields |= later.fields
        self.handover, self.close = self.handover or later.handover, self.close or later.close

    def text(self, *lines: Any) -> None:
        """One text of several lines; blank ones are left out."""
        joined = "\n".join(line for line in map(string, lines) if line.strip())
        if joined:
            self.parts.append(Text(joined))

    def image(self, url: str, title: str = "") -> None:
        """A browser can load it from the web alone, not from `gs://` or out of the address itself."""
        if is_web(url):
            self.parts.append(Image(url, title))
        elif url:
            self.lost["image-address"] += 1
            self.text(title)

    def card(self, card: Card) -> None:
        """Also one of which only a part is there."""
        card = self._pictured(card)
        if card.title or card.body or card.options:
            self.parts.append(msgspec.structs.replace(card, options=in_order(card.options)))
        elif card.image_url:
            self.parts.append(Image(card.image_url))

    def _pictured(self, card: Card) -> Card:
        """Without a picture that cannot be loaded."""
        if not card.image_url or is_web(card.image_url):
            return card
        self.lost["image-address"] += 1
        return msgspec.structs.replace(card, image_url=None)

    def carousel(self, cards: Iterable[Card]) -> None:
        """What can be chosen on any of the cards is one list after them: a number must mean one thing."""
        found = list(cards)
        if len(found) == 1:
            return self.card(found[0])
        labels = Counter(option.label for card in found for option in card.options if option.url is None)
        choices, shown = [], []
        for card in found:
            for option in (each for each in card.options if each.url is None):
                label = f"{option.label}: {card.title}" if labels[option.label] > 1 and card.title else option.label
                choices.append(msgspec.structs.replace(option, label=label))
            links = tuple(each for each in card.options if each.url is not None)
            shown.append(msgspec.structs.replace(self._pictured(card), options=links))
        if any(card.title or card.body or card.image_url for card in shown):
            self.parts.append(Carousel(tuple(shown)))
        self.offer(choices)

    def offer(self, options: Iterable[Option], prompt: str = "") -> None:
        """Options; without a prompt they belong to the words before them, if those are the last."""
        found = tuple(each for each in options if each.label)
        if not found:
            return self.text(prompt)
        last = self.parts[-1] if self.parts and not prompt else None
        match last:
            case Text(text=text):
                self.parts[-1] = Choices(text, in_order(found))
            case Choices() | Card():
                self.parts[-1] = msgspec.structs.replace(last, options=in_order((*last.options, *found)))
            case _:
                self.parts.append(Choices(prompt, in_order(found)))

    def custom(self, data: dict[str, Any]) -> None:
        """Shown to nobody."""
        self.parts.append(Custom(data))
        self.lost["payload-unknown"] += 1

    def hand_over(self, department: str = "", reason: str = "") -> None:
        self.handover = self.handover or Handover(department, reason)

    def department(self, *holders: Any) -> str:
        """The first of the configured keys in the first of these that has one."""
        for holder in holders:
            for key in (*self.department_keys, "departmentName", "targetDepartment", "department_name"):
                if isinstance(holder, dict) and string(holder.get(key)):
                    return string(holder[key])
        return ""


def in_order(options: Iterable[Option]) -> tuple[Option, ...]:
    """Links last: only the others are answered by their number."""
    return tuple(sorted(options, key=lambda each: each.url is not None))


def link_or_value(label: str, target: str) -> Option:
    """ES's postback: an address to open, or a text to send."""
    if is_web(target):
        return Option(label or target, "", target)
    return Option(label or target, target or label)


def is_web(address: str) -> bool:
    return re.match(r"(?i)https?://", address) is not None


def event_option(label: str, event: Event) -> Option:
    """An option that sends an event."""
    return Option(label, EVENT + _encode(event).decode())


def read_value(value: str) -> Event | Handover | bool | None:
    """What an option means that sends no text: an event, a handover, True = close; None = it is a text."""
    if value.startswith(EVENT):
        try:
            return msgspec.json.decode(value.removeprefix(EVENT), type=Event)
        except msgspec.MsgspecError:
            return None  # words of the agent's own that begin like ours
    if value.startswith(HANDOVER):
        return Handover(value.removeprefix(HANDOVER), "chosen by the visitor")
    return True if value == CLOSE else None


def known(name: str, names: frozenset[str]) -> str:
    """For a counter, whose names must be few: what is not known is `other`."""
    return name if name in names else "other"


def is_content(kind: str) -> bool:
    """Whether a kind of loss is one of what was said. An unknown payload is among the parts, where it is counted."""
    return not kind.startswith("event-") and kind not in ("payload-unknown", "conversation-success")


def string(value: Any) -> str:
    """What is no string is none."""
    return value if isinstance(value, str) else ""


def strings(value: Any) -> list[str]:
    """A string, or a list of which only the strings count."""
    return [each for each in ([value] if isinstance(value, str) else objects(value, str)) if each.strip()]


def objects(value: Any, kind: type = dict) -> list[Any]:
    """The entries of a list that are of this kind; what is no list has none."""
    return [each for each in value if isinstance(each, kind)] if isinstance(value, list) else []
