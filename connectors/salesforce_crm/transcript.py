"""Lines -> parts of a transcript that fit into a field. Pure, and the same for the same lines.

A part begins with the line at which it began before, so a longer conversation changes its last
part only and adds others.
"""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

import msgspec

from connectors.salesforce_crm.mapping import Transcript
from connectors.salesforce_crm.values import clean
from omnibridge.connector import Line

WHO = {"visitor": "Visitor", "agent": "Agent", "bot": "Assistant", "system": "System"}


class Part(msgspec.Struct, frozen=True):
    """number: from 0. first, last: ids of its lines."""

    number: int
    first: int
    last: int
    text: str


def zone_of(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)


def shown(line: Line, how: Transcript) -> str:
    """One line as text; a long one is cut to what a part holds. What was written is not looked at for braces."""
    at = datetime.fromtimestamp(line.at / 1000, zone_of(how.timezone)).strftime("%Y-%m-%d %H:%M:%S")
    who = WHO[line.who]
    parts = {"time": at, "who": who, "name": clean(line.name)[:80] or who, "text": clean(line.text)}
    text, rest = "", how.line
    while rest:
        before, brace, behind = rest.partition("{")
        text += before
        name, _, rest = behind.partition("}") if brace else ("", "", "")
        text += parts.get(name, "")
    return text if len(text) < how.max else text[: how.max - 4] + " […"


def parts_of(lines: list[Line], how: Transcript, number: int = 0) -> list[Part]:
    """number: of the part that the first line begins."""
    found: list[Part] = []
    texts: list[str] = []
    size, first, last = 0, 0, 0
    for line in lines:
        text = shown(line, how)
        if texts and size + len(text) + 1 > how.max:
            found.append(Part(number + len(found), first, last, "\n".join(texts)))
            texts, size = [], 0
        if not texts:
            first = line.id
        texts.append(text)
        size, last = size + len(text) + 1, line.id
    if texts:
        found.append(Part(number + len(found), first, last, "\n".join(texts)))
    return found
