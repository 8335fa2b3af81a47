"""The mapping file: what is looked for in the org, what is written there, and from which facts. Parsed, and checked.

Everything that can be wrong without asking the org is refused with its line. README.md explains every key.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any, Literal

import msgspec

from connectors.salesforce_crm.values import Value, read_value
from omnibridge.connector import toml_lines

Trigger = Literal["start", "handover", "live", "close"]
OnSeveral = Literal["newest", "none", "label"]
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*(__c|__r)?")
RECORD = re.compile(r"[a-z][a-z0-9_-]{0,31}")
PERSONS = ("Contact", "Lead", "Account")
LONGEST_TEXT = 32_000


class Find(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One key by which a record may be found. Keys are tried in the order of the file.

    field: one or several, any of which may hold the value. verified: whoever wrote the fact could not have claimed
    just anything: only then the record is changed, referred to, and learned from. Without, it is a label.
    """

    object: str
    field: str | tuple[str, ...]
    value: str
    record: str = "person"
    kind: Literal["text", "email", "phone", "id"] = "text"
    region: str = ""
    verified: bool = False
    on_several: OnSeveral | None = None

    @property
    def fields(self) -> tuple[str, ...]:
        return (self.field,) if isinstance(self.field, str) else self.field


class Write(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One record to make or to change. Several of one name write to one record, at different times.

    per: whether each conversation has one of its own, or each visitor. if_found: for a record of a verified key.
    if_labelled: for one of a key that is not. duplicates: when the org says that there is one like it already.
    """

    record: str
    object: str
    fields: dict[str, Any]
    when: tuple[Trigger, ...] = ("close",)
    per: Literal["conversation", "visitor", ""] = ""
    if_found: Literal["update", "keep"] = "keep"
    if_missing: Literal["create", "skip"] = "create"
    if_labelled: Literal["skip", "create"] = "skip"
    duplicates: Literal["label", "use", "save", "refuse"] = "label"

    @property
    def is_per_visitor(self) -> bool:
        return (self.per or ("visitor" if self.object in PERSONS else "conversation")) == "visitor"


class Transcript(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was said. object: Task, an object of your own, or ContentVersion, which is a file.

    field: long text that holds it; not for a file. max: characters of each part. line: {time} {who} {name} {text}.
    escape: html where the field is rich text.
    """

    object: str = "Task"
    when: Literal["close", "live"] = "close"
    field: str = "Description"
    max: int = LONGEST_TEXT
    line: str = "[{time}] {name}: {text}"
    escape: Literal["text", "html"] = "text"
    timezone: str = "UTC"
    fields: dict[str, Any] = {}


class Files(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the visitor and staff sent. record: whose files they become."""

    record: str
    when: Literal["close", "live"] = "close"
    max_bytes: int = 10_000_000
    fields: dict[str, Any] = {}


class Count(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A fact that counts: records of an object whose field is the id of a record, with the fields of `where`."""

    fact: str
    object: str
    field: str
    where: dict[str, str | int | bool] = {}


class Learn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Facts that rules may read as `crm.NAME`. facts: name = field of the record; of verified keys, and ours, only."""

    record: str = "person"
    facts: dict[str, str] = {}
    count: tuple[Count, ...] = ()


class Link(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where staff look it up: the address of the first of these records that is there, found or made."""

    records: tuple[str, ...] = ("person",)
    path: str = "/lightning/r/{object}/{id}/view"


class Erase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What becomes of records that we made, when a visitor is to be forgotten. By object; others are deleted."""

    blank: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()


class Mapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file. key_field: custom field, external id and unique, on every object that is written."""

    key_field: str = "Omnibridge_Key__c"
    on_several: OnSeveral = "none"
    find: tuple[Find, ...] = ()
    write: tuple[Write, ...] = ()
    transcript: Transcript | None = None
    files: Files | None = None
    learn: Learn | None = None
    link: Link | None = None
    erase: Erase = Erase()

    def fields_by_object(self) -> dict[str, set[str]]:
        """Every field that is named, by object; of records that are found or written."""
        found = self.written_by_object()
        objects = {each.record: each.object for each in self.find}
        objects |= {each.record: each.object for each in self.write}
        for find in self.find:
            found.setdefault(find.object, set()).update(find.fields)
        filled = [*(each.fields for each in self.write), self.transcript.fields if self.transcript is not None else {}]
        for value in (each for fields in filled for each in self.values(fields).values()):
            if value.record and value.field:
                found.setdefault(objects[value.record], set()).add(value.field)
        if self.learn is not None:
            found.setdefault(objects[self.learn.record], set()).update(self.learn.facts.values())
            for count in self.learn.count:
                found.setdefault(count.object, set()).update({count.field, *count.where})
        for name in found.keys() & self.written_by_object().keys():
            found[name].add(self.key_field)
        return found

    def written_by_object(self) -> dict[str, set[str]]:
        """Fields that are filled, by object, without the key's."""
        found: dict[str, set[str]] = {}
        for write in self.write:
            found.setdefault(write.object, set()).update(write.fields)
        if self.transcript is not None:
            named = {*self.transcript.fields}
            named |= {self.transcript.field} if self.transcript.object != "ContentVersion" else set()
            found.setdefault(self.transcript.object, set()).update(named)
        if self.files is not None:
            found.setdefault("ContentVersion", set()).update(self.files.fields)
        return found

    def values(self, fields: dict[str, Any]) -> dict[str, Value]:
        """Fields of an entry, read. Checked when the file was."""
        return {name: read_value(each, ("part",)) for name, each in fields.items()}


Path = tuple[str | int, ...]


def parse_mapping(text: str) -> Mapping:
    """Raises ValueError that names each problem with its line."""
    from connectors.salesforce_crm import checks

    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError) as exc:
        what, _, found = str(exc).rpartition(" (at ")
        line = re.match(r"line (\d+)", found)
        raise ValueError(f"mapping line {line.group(1)}: {what}" if line else f"mapping: {what or exc}") from None
    lines = toml_lines(text)

    def place(path: Path) -> str:
        line = next((lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in lines), 1)
        named = ".".join(str(each) for each in path if isinstance(each, str))
        return f"mapping line {line}: {named}" if named else f"mapping line {line}"

    try:
        mapping = msgspec.convert(raw, Mapping)
    except msgspec.ValidationError as exc:
        what, _, at = str(exc).partition(" - at `$")
        raise ValueError(f"{place(_path(at.rstrip('`'), raw, what))}: {what}") from None
    wrong = [f"{place(path)}: {what}" for path, what in (*checks.problems(mapping), *checks.idle(mapping, raw))]
    if wrong:
        raise ValueError("; ".join(wrong))
    return mapping


def _path(at: str, raw: dict[str, Any], what: str) -> Path:
    """`.write[0].when[1]` -> ("write", 0, "when", 1), with the unknown key that the message names."""
    found: list[str | int] = []
    for name, index in re.findall(r"\.([A-Za-z_]+)|\[(\d+)\]", at):
        found.append(int(index) if index else name)
    unknown = re.search(r"unknown field `(.+)`", what)
    return (*found, unknown.group(1)) if unknown else tuple(found)
