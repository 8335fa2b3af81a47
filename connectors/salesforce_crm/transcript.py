"""Lines -> parts of a transcript that fit into a field. Pure, and the same for the same lines.

A part begins with the line at which it began before, so a longer conversation changes its last
part only and adds others.
"""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

import msgspec

from connectors.salesforce_crm.mapping import Transcript
from connectors.salesforce_crm.values import clean, shortened
from omnibridge.connector import Line

INDENT = "    "
_LINE_END = re.compile(r"\r\n?|\n")
_BREAK = {"text": "\n", "html": "<br>\n"}
WHO = {"visitor": "Visitor", "agent": "Agent", "bot": "Assistant", "system": "System"}


class Part(msgspec.Struct, frozen=True):
    """number: from 0. first, last: ids of its lines."""

    number: int
    first: int
    last: int
    text: str


def zone_of(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)


def size_of(text: str) -> int:
    """As long text of Salesforce may count it: two for a line break, two for what UTF-16 needs two for."""
    return len(text) + text.count("\n") + sum(each > "\uffff" for each in text)


def shown(line: Line, how: Transcript) -> str:
    """One line as text; a long one is cut to what a part holds. What was written is not looked at for braces, and what
    has several lines is indented: else it could look like words of somebody else."""
    at = datetime.fromtimestamp(line.at / 1000, zone_of(how.timezone)).strftime("%Y-%m-%d %H:%M:%S")
    who = WHO[line.who]
    name, said = " ".join(clean(line.name).split())[:80] or who, _LINE_END.sub("\n" + INDENT, clean(line.text))
    if how.escape == "html":
        name, said = html.escape(name), html.escape(said).replace("\n" + INDENT, f"<br>\n{'&nbsp;' * len(INDENT)}")
    parts = {"time": at, "who": who, "name": name, "text": said}
    text, rest = "", how.line
    while rest:
        before, brace, behind = rest.partition("{")
        text += before
        name, _, rest = behind.partition("}") if brace else ("", "", "")
        text += parts.get(name, "")
    most = how.max - len(_BREAK[how.escape]) - 4
    if size_of(text) <= most:
        return text
    while (size := size_of(text)) > most:
        text = shortened(text, len(text) - max(1, (size - most) // 2), how.escape)
    return text + " […"


def parts_of(lines: list[Line], how: Transcript, number: int = 0) -> list[Part]:
    """number: of the part that the first line begins."""
    found: list[Part] = []
    texts: list[str] = []
    size, first, last, between = 0, 0, 0, _BREAK[how.escape]
    for line in lines:
        text = shown(line, how)
        if texts and size + size_of(text) > how.max:
            found.append(Part(number + len(found), first, last, between.join(texts)))
            texts, size = [], 0
        if not texts:
            first = line.id
        texts.append(text)
        size, last = size + size_of(text + between), line.id
    if texts:
        found.append(Part(number + len(found), first, last, between.join(texts)))
    return found
