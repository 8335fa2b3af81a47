"""What both editions are asked, and small things that both need. Pure."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from typing import Any

from connectors.dialogflow.draft import Event

_TAG = re.compile(r"<[^<>]*>")


@dataclass(frozen=True)
class Asked:
    """One query. session: full path. what: words, or an event. parameters: the facts, by names that agents can refer
    to. payload: what the agent's webhook is told. contexts: ES, given back to it."""

    session: str
    what: str | Event
    language: str
    parameters: dict[str, Any] = field(default_factory=dict)
    payload: dict[str, Any] = field(default_factory=dict)
    contexts: tuple[dict[str, Any], ...] = ()


def without_tags(ssml: str) -> str:
    """The words of speech markup."""
    return " ".join(html.unescape(_TAG.sub(" ", ssml)).split())
