"""Neutral content -> messages that the livechat widget shows.

Source: rocketchat-api 5.5 and 10.1. The widget draws text and image / file attachments; attachment texts,
fields and action buttons are invisible to the visitor, and clicks on blocks reach nobody without an
installed app. So: everything to be read is in `msg`, choices are numbered text, links are links.
"""

from __future__ import annotations

from typing import Any

import msgspec

from omnibridge.domain.content import (
    Card,
    Carousel,
    Choices,
    Content,
    Custom,
    File,
    Image,
    Link,
    Option,
    Text,
)

LONGEST = 5_000
"""Message_MaxAllowedSize, characters."""


class OutgoingMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message of the hub."""

    text: str
    attachments: tuple[dict[str, Any], ...] = ()


def render(content: Content) -> list[OutgoingMessage]:
    """The messages that show a content, in order; none for what nobody can see."""
    match content:
        case Text(text=text):
            return _texts(text)
        case Choices(text=text, options=options):
            return _texts("\n".join(part for part in (text, numbered(options)) if part))
        case Image(url=url, title=title):
            return [OutgoingMessage(title, ({"title": title or "Image", "image_url": url},))]
        case File(url=url, title=title) | Link(url=url, title=title):
            return _texts(_link(title or url, url))
        case Card():
            return _card(content)
        case Carousel(cards=cards):
            return [message for card in cards for message in _card(card)]
        case Custom():
            return []


def numbered(options: tuple[Option, ...]) -> str:
    """`1. Label` lines; an option with an address is a link beside its number."""
    return "\n".join(
        f"{number}. {_link(each.label, each.url) if each.url else each.label}" for number, each in enumerate(options, 1)
    )


def split_text(text: str, limit: int = LONGEST) -> list[str]:
    """Cut at a paragraph, else a line, a sentence, a blank, else anywhere; joined pieces hold every character
    but the blanks at the cuts."""
    pieces: list[str] = []
    while len(text) > limit:
        cut = next(
            (at + len(mark.rstrip()) for mark in ("\n\n", "\n", ". ", " ") if (at := text.rfind(mark, 1, limit)) > 0),
            limit,
        )
        pieces.append(text[:cut].rstrip())
        text = text[cut:].lstrip()
    return [*pieces, text] if text.strip() else pieces


def _texts(text: str) -> list[OutgoingMessage]:
    return [OutgoingMessage(piece) for piece in split_text(text) if piece.strip()]


def _card(card: Card) -> list[OutgoingMessage]:
    lines = [f"*{card.title}*" if card.title else "", card.body, numbered(card.options)]
    messages = _texts("\n".join(line for line in lines if line))
    if card.image_url:
        messages.insert(0, OutgoingMessage("", ({"title": card.title or "Image", "image_url": card.image_url},)))
    return messages


def _link(label: str, url: str) -> str:
    """Markdown link; addresses that are no http(s) are shown as text, so that nobody can click them."""
    if not url.startswith(("http://", "https://")):
        return label
    return url if label == url else f"[{label.replace(']', '')}]({url.replace(')', '%29')})"
