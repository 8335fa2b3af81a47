"""What a field is filled with: a constant, a fact, a template, a record's id. Pure.

    Origin  = "Chat"
    Subject = { template = "Chat with {visitor_name|a visitor}", max = 255 }
    Phone   = { fact = "visitor.phone", as = "phone", region = "DE" }
    ContactId = { record = "person" }
    Note__c = { found = "link", record = "person" }

What visitors wrote is put in as text: control characters go, it is cut to `max`, and `escape = "html"` is for
rich text. Nothing of it is looked at for braces again, so a name like `{room}` stays what it is.
"""

from __future__ import annotations

import difflib
import html
import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

FACTS = (
    "workspace", "room", "department", "department_name", "source", "visitor_id", "visitor_name", "visitor_username",
    "visitor_email",
    "agent_name", "agent_username", "closed_by", "tags", "started_at", "closed_at", "trigger", "bot",
)  # fmt: skip
"""Facts of a snapshot, besides room.FIELD, visitor.FIELD and crm.FIELD. Times are ISO 8601, UTC."""

_BARE = ("phone", "number", "boolean")
As = Literal["text", "email", "phone", "number", "boolean"]
LONGEST = 131_072
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u2028-\u202e\u2066-\u2069\ufeff]")
_WORD = r"[A-Za-z0-9!#$%&'*/=?^_+`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = re.compile(rf"(?=.{{1,64}}@){_WORD}(?:\.{_WORD})*@(?:{_LABEL}\.)+[A-Za-z]{_LABEL}")
"""What Salesforce's own fields take: a host with a dot, ASCII alone. What is asked with it is quoted by the library."""
_HOLE = re.compile(r"{{|}}|{([^{}]*)}|[{}]")


class ValueProblem(Exception):
    """A value of the mapping file that means nothing."""


class Value(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As the mapping file has it; a plain value is `constant`. found: of a record that is only a label too."""

    constant: str | int | float | bool | None = None
    fact: str = ""
    template: str = ""
    record: str = ""
    field: str = ""
    found: Literal["", "id", "link"] = ""
    default: str | int | float | bool | None = None
    max: int = LONGEST
    escape: Literal["text", "html"] = "text"
    kind: As = msgspec.field(default="text", name="as")
    region: str = ""


def known_fact(name: str, extra: tuple[str, ...] = ()) -> str:
    """What is wrong with a fact's name; empty = nothing."""
    if name in FACTS or name in extra or re.fullmatch(r"(room|visitor|crm)\.\S{1,100}", name):
        return ""
    near = difflib.get_close_matches(name, FACTS, 1)
    hint = f'; did you mean "{near[0]}"?' if near else "; room.FIELD, visitor.FIELD and crm.FIELD work too"
    return f'there is no fact "{name}"{hint}'


def read_value(raw: Any, extra: tuple[str, ...] = ()) -> Value:
    """Raises ValueProblem."""
    if not isinstance(raw, dict):
        if not isinstance(raw, str | int | float | bool):
            raise ValueProblem('must be a text, a number, true or false, or a table such as { fact = "visitor_name" }')
        return Value(constant=raw)
    try:
        value = msgspec.convert(raw, Value)
    except msgspec.ValidationError as exc:
        raise ValueProblem(str(exc)) from None
    sources = [name for name in ("fact", "template", "record") if getattr(value, name)]
    if len(sources) != 1 or value.constant is not None:
        raise ValueProblem("needs exactly one of fact, template, record")
    if value.fact and (problem := known_fact(value.fact, extra)):
        raise ValueProblem(problem)
    for hole in holes(value.template):
        if problem := known_fact(hole.partition("|")[0].strip(), extra):
            raise ValueProblem(problem)
    if (value.found or value.field) and not value.record:
        raise ValueProblem("found and field go with record")
    if value.found and value.field:
        raise ValueProblem("give found or field, not both: nothing is read from a record that is only a label")
    if value.kind != "text" and not value.fact:
        raise ValueProblem("as goes with fact")
    if not 1 <= value.max <= LONGEST:
        raise ValueProblem(f"max: 1 to {LONGEST}")
    if "region" in raw and value.kind != "phone":
        raise ValueProblem('region goes with as = "phone"')
    if value.region and not re.fullmatch(r"[A-Z]{2}", value.region):
        raise ValueProblem('region must be two capital letters, such as "DE"')
    useless = {"max", "escape", "default"} if value.record else {"max", "escape"} if value.kind in _BARE else set()
    if given := sorted(useless & set(raw)):
        raise ValueProblem(f"{given[0]} does nothing here")
    return value


def holes(template: str) -> list[str]:
    """What stands between braces. Raises ValueProblem for a brace that is alone."""
    found = []
    for each in _HOLE.finditer(template):
        if each.group() in "{}":
            raise ValueProblem("a brace is alone: write {{ or }} for one that is meant")
        if each.group(1) is not None:
            found.append(each.group(1))
    return found


def fill(value: Value, facts: Mapping[str, Any]) -> Any:
    """What goes into the field, None = leave it out. Not for records."""
    if value.constant is not None:
        return value.constant
    if value.template:
        text = _HOLE.sub(lambda found: _hole(found, facts, value.escape), value.template)
        return shortened(clean(text), value.max, value.escape) or value.default
    found = facts.get(value.fact)
    if found is None or found == "":
        return value.default
    converted = convert(found, value.kind, value.region)
    if converted is None:
        return value.default
    if isinstance(converted, str):
        converted = html.escape(converted) if value.escape == "html" else converted
        return shortened(converted, value.max, value.escape) or value.default
    return converted


def is_default(value: Value, facts: Mapping[str, Any]) -> bool:
    """Whether no fact went into it: a default, or a template of which every hole was empty."""
    if value.constant is not None or value.record:
        return False
    if names := holes(value.template):
        return all(facts.get(each.partition("|")[0].strip()) in (None, "") for each in names)
    return value.default is not None and fill(msgspec.structs.replace(value, default=None), facts) is None


def shortened(text: str, most: int, escape: str = "text") -> str:
    """At most so many characters, and as HTML no half of an entity or tag at the end."""
    if len(text) <= most:
        return text
    text = text[:most]
    return re.sub(r"(&[^;\s]{0,9}|<[^>]{0,9})\Z", "", text) if escape == "html" else text


def convert(found: Any, kind: str, region: str = "") -> Any:
    """A fact as text, e-mail address, E.164 number, number or truth value; None when it is none."""
    match kind:
        case "email":
            return email(str(found))
        case "phone":
            return phone(str(found), region)
        case "number":
            return _number(found)
        case "boolean":
            word = str(found).strip().lower()
            return (
                True if word in ("true", "yes", "1", "on") else False if word in ("false", "no", "0", "off") else None
            )
    return clean(found if isinstance(found, str) else _plain(found))


def email(text: str) -> str | None:
    """In lower case, if it looks like one."""
    text = text.strip()
    return text.lower() if _EMAIL.fullmatch(text) and ".." not in text and len(text) <= 80 else None


def phone(text: str, region: str = "") -> str | None:
    """E.164, such as +4930123456, if it is a number. region: of numbers without +, such as DE."""
    import phonenumbers  # slow to import

    if len(text) > 40:
        return None
    try:
        number = phonenumbers.parse(text, region or None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def clean(text: str) -> str:
    """Without control characters but tab and line break, and without marks that turn the direction of reading."""
    return _CONTROL.sub("", text).strip()


def _hole(found: re.Match[str], facts: Mapping[str, Any], escape: str) -> str:
    if found.group(1) is None:
        return found.group()[0]
    name, _, default = found.group(1).partition("|")
    value = facts.get(name.strip())
    text = clean(_plain(value)) if value not in (None, "") else default
    return html.escape(text) if escape == "html" else text


def _plain(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _number(found: Any) -> int | float | None:
    if isinstance(found, int | float) and not isinstance(found, bool):
        return found
    text = str(found).strip()
    if re.fullmatch(r"[+-]?\d{1,15}", text):
        return int(text)
    return float(text) if re.fullmatch(r"[+-]?\d{1,12}\.\d{1,6}", text) else None
