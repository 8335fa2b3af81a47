"""An agent's form, which visitors read as a list of questions: their answer in words, a line for each, as its values.
Pure. What does not fit goes to the agent as it was written: he reads it either way.
"""

from __future__ import annotations

import re

import msgspec

from omnibridge.connector import Content, Form, FormField

NONE = "-"
"""A line for what is not answered, where it need not be."""
_NUMBERED = re.compile(r"^\s*(?:\d{1,2}[.)]|[-*\u2022])\s+")
_LABELLED = re.compile(r"^[^:]{1,80}:\s+")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_SHAPES = {"email": _EMAIL, "number": _NUMBER, "date": _DAY}


class OpenForm(msgspec.Struct, frozen=True):
    """Asked, and not answered yet. fields: their names carry the message that asked (content.py)."""

    fields: tuple[FormField, ...]


def form_of(parts: tuple[Content, ...]) -> OpenForm | None:
    """The last that is asked there."""
    found = [each for each in parts if isinstance(each, Form) and each.fields]
    return OpenForm(found[-1].fields) if found else None


def answers_of(form: OpenForm, text: str) -> dict[str, str] | None:
    """By names of fields. None: it is no answer to the form, or not to all of it."""
    fields = form.fields
    lines = [each.strip() for each in text.splitlines() if each.strip()]
    if len(fields) == 1 and fields[0].type == "long_text":
        lines = [text.strip()]
    if len(lines) != len(fields):
        return None
    found: dict[str, str] = {}
    for field, line in zip(fields, lines, strict=True):
        value = _value(field, line)
        if value is None:
            return None
        if value:
            found[field.name] = value
    return found or None


def _value(field: FormField, line: str) -> str | None:
    """Empty: left out. None: it does not fit."""
    if not field.required and line == NONE:
        return ""
    plain = _NUMBERED.sub("", line)
    label = _LABELLED.match(plain)
    if label and label[0].rstrip().removesuffix(":").strip().casefold() == field.label.strip().casefold():
        plain = plain[label.end() :]
    for each in (line, plain):
        if field.type == "select":
            chosen = _option(field, each)
            if chosen:
                return chosen
        elif field.type not in _SHAPES or _SHAPES[field.type].fullmatch(each):
            return plain if field.type not in _SHAPES else each
    return None


def _option(field: FormField, line: str) -> str:
    """By its label, or its number in the list."""
    if line.isascii() and line.isdigit() and 1 <= int(line[:3]) <= len(field.options):
        return field.options[int(line[:3]) - 1].value or field.options[int(line[:3]) - 1].label
    for each in field.options:
        if each.label.casefold() == line.casefold():
            return each.value or each.label
    return ""
