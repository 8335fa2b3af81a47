"""Rich content, neutral of any side. Each side renders it from its own capabilities.

Shapes are msgspec structs tagged by `kind`, so that they are stored and replayed as plain JSON.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Style = Literal["", "primary", "danger"]


class Option(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing to choose. `value` goes to the bot; `label` is what people see; `url` opens a page instead."""

    label: str
    value: str = ""
    url: str | None = None
    style: Style = ""


class Text(msgspec.Struct, frozen=True, tag_field="kind", tag="text"):
    text: str


class Choices(msgspec.Struct, frozen=True, tag_field="kind", tag="choices", omit_defaults=True):
    """A question with options, in the order they are numbered for people (from 1). keeps: its buttons stay after one
    was used, as those of a menu do; quick replies go."""

    text: str
    options: tuple[Option, ...]
    keeps: bool = False


class Select(msgspec.Struct, frozen=True, tag_field="kind", tag="select", omit_defaults=True):
    """A question whose options are in a list to open. is_menu: the small one behind three dots, which has no
    placeholder. initial: value of the option that is picked at first."""

    text: str
    options: tuple[Option, ...]
    placeholder: str = ""
    initial: str = ""
    is_menu: bool = False


class DatePick(msgspec.Struct, frozen=True, tag_field="kind", tag="date", omit_defaults=True):
    """A question for a day. Days are `YYYY-MM-DD`, empty = not given."""

    text: str
    initial: str = ""
    placeholder: str = ""


class FormField(msgspec.Struct, frozen=True, omit_defaults=True):
    """name: the bot's key for the answer. options: of a `select` only."""

    name: str
    label: str
    type: Literal["text", "long_text", "number", "email", "date", "select"] = "text"
    options: tuple[Option, ...] = ()
    required: bool = True
    initial: str = ""


class Form(msgspec.Struct, frozen=True, tag_field="kind", tag="form", omit_defaults=True):
    """Several questions that are answered together. submit: words on its button."""

    text: str
    fields: tuple[FormField, ...]
    submit: str = ""


class Image(msgspec.Struct, frozen=True, tag_field="kind", tag="image", omit_defaults=True):
    url: str
    title: str = ""


class File(msgspec.Struct, frozen=True, tag_field="kind", tag="file", omit_defaults=True):
    """media_type: as `image/png`, empty = not told."""

    url: str
    title: str = ""
    media_type: str = ""


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
        case Choices(options=options) | Card(options=options) | Select(options=options):
            return tuple(each for each in options if each.url is None)
        case Carousel(cards=cards):
            return tuple(each for card in cards for each in chosen_from(card))
        case _:
            return ()


Content = Text | Choices | Select | DatePick | Form | Image | File | Link | Card | Carousel | Custom
