"""Rich content, neutral of any side. Each side renders it from its own capabilities.

Shapes are msgspec structs tagged by `kind`, so that they are stored and replayed as plain JSON.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Option(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing to choose. `value` goes to the bot; `label` is what people see; `url` opens a page instead."""

    label: str
    value: str = ""
    url: str | None = None


class Text(msgspec.Struct, frozen=True, tag_field="kind", tag="text"):
    text: str


class Choices(msgspec.Struct, frozen=True, tag_field="kind", tag="choices"):
    """A question with options, in the order they are numbered for people (from 1)."""

    text: str
    options: tuple[Option, ...]


class Image(msgspec.Struct, frozen=True, tag_field="kind", tag="image", omit_defaults=True):
    url: str
    title: str = ""


class File(msgspec.Struct, frozen=True, tag_field="kind", tag="file", omit_defaults=True):
    url: str
    title: str = ""


class Link(msgspec.Struct, frozen=True, tag_field="kind", tag="link", omit_defaults=True):
    url: str
    title: str = ""


class Card(msgspec.Struct, frozen=True, tag_field="kind", tag="card", omit_defaults=True):
    title: str
    body: str = ""
    image_url: str | None = None
    options: tuple[Option, ...] = ()


class Carousel(msgspec.Struct, frozen=True, tag_field="kind", tag="carousel"):
    cards: tuple[Card, ...]


class Custom(msgspec.Struct, frozen=True, tag_field="kind", tag="custom"):
    """Something only the two ends understand; shown to nobody, kept and counted."""

    data: dict[str, Any]


def chosen_from(part: Content) -> tuple[Option, ...]:
    """What can be chosen by number, in the order of the numbers: links are opened, not chosen."""
    match part:
        case Choices(options=options) | Card(options=options):
            return tuple(each for each in options if each.url is None)
        case Carousel(cards=cards):
            return tuple(each for card in cards for each in chosen_from(card))
        case _:
            return ()


Content = Text | Choices | Image | File | Link | Card | Carousel | Custom
