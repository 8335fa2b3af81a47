"""What can be wrong with a mapping file without asking the org; each with the place where it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from connectors.salesforce_crm.mapping import (
    LONGEST_TEXT,
    NAME,
    RECORD,
    Find,
    Learn,
    Mapping,
    OnSeveral,
    Path,
    Transcript,
)
from connectors.salesforce_crm.values import ValueProblem, known_fact, read_value

LONGEST_OWN_TEXT = 131_072
"""Of a long text field of one's own."""
LARGEST_FILE = 27_000_000
"""Bytes: an upload is one request of about 37 MB, as base64 (reference 3.8)."""
LONGEST_FILE = LARGEST_FILE // 4
"""Characters: each may be four bytes."""
LEARNED = ("record_id", "object", "age_s")
"""Facts that are told of every record."""


def problems(mapping: Mapping) -> Iterator[tuple[Path, str]]:
    if not mapping.key_field.endswith("__c") or not NAME.fullmatch(mapping.key_field):
        yield ("key_field",), "must be a custom field, such as Omnibridge_Key__c"
    if not any((mapping.find, mapping.write, mapping.transcript)):
        yield (), "nothing is looked for and nothing is written: add [[find]], [[write]] or [transcript]"
    for index, find in enumerate(mapping.find):
        at: Path = ("find", index)
        yield from _names(at, "object", find.object)
        for each in find.fields:
            yield from _names(at, "field", each)
        yield from _record(at, find.record)
        if not find.fields or len(find.fields) > 5:
            yield (*at, "field"), "one to five fields"
        if problem := known_fact(find.value):
            yield (*at, "value"), problem
        if find.kind == "phone" and find.region and not re.fullmatch(r"[A-Z]{2}", find.region):
            yield (*at, "region"), 'must be two capital letters, such as "DE"'
        if find.kind != "phone" and find.region:
            yield (*at, "region"), 'only goes with kind = "phone"'
    known = {each.record for each in mapping.find} | {each.record for each in mapping.write}
    objects: dict[str, str] = {}
    for index, write in enumerate(mapping.write):
        at = ("write", index)
        yield from _names(at, "object", write.object)
        yield from _record(at, write.record)
        if objects.setdefault(write.record, write.object) != write.object:
            yield (*at, "object"), f'"{write.record}" is a {objects[write.record]} above: one record has one object'
        if write.object in ("ContentVersion", "ContentDocument", "ContentDocumentLink"):
            yield (*at, "object"), "files are written by [transcript] and [files]"
        if not write.when:
            yield (*at, "when"), "name at least one of start, handover, live, close"
        yield from _fields((*at, "fields"), write.fields, mapping, known)
        if not write.fields:
            yield (*at, "fields"), "no fields: there is nothing to write"
        for other in _records_in(write.fields):
            later = [i for i, each in enumerate(mapping.write) if each.record == other]
            if later and later[0] >= index and not any(each.record == other for each in mapping.find):
                yield (*at, "fields"), f'refers to "{other}", which is written later: put that one in front'
    if mapping.transcript is not None:
        yield from _transcript(mapping, mapping.transcript, known)
    if mapping.files is not None:
        if not 1 <= mapping.files.max_bytes <= LARGEST_FILE:
            yield ("files", "max_bytes"), f"1 to {LARGEST_FILE}"
        if mapping.files.record not in known:
            yield ("files", "record"), f'no [[find]] or [[write]] has record = "{mapping.files.record}"'
        yield from _fields(("files", "fields"), mapping.files.fields, mapping, known)
    if mapping.learn is not None:
        yield from _learn(mapping.learn, known)
    if mapping.link is not None:
        if not mapping.link.records:
            yield ("link", "records"), "name at least one"
        for name in mapping.link.records:
            if name not in known:
                yield ("link", "records"), f'no [[find]] or [[write]] has record = "{name}"'
        if not mapping.link.path.startswith("/") or "{id}" not in mapping.link.path:
            yield ("link", "path"), "must begin with / and have {id} in it"
        if others := set(re.findall(r"{(.*?)}", mapping.link.path)) - {"object", "id"}:
            yield ("link", "path"), f"may have {{object}} and {{id}}, not {{{min(others)}}}"
    yield from _erase(mapping)


def _erase(mapping: Mapping) -> Iterator[tuple[Path, str]]:
    """A name that is misspelt would delete what is to be kept."""
    made = {each.object for each in mapping.write}
    made |= {mapping.transcript.object} if mapping.transcript is not None else set()
    made |= {"ContentVersion"} if mapping.files is not None else set()
    for key, names in (("blank", mapping.erase.blank), ("keep", mapping.erase.keep)):
        for name in names:
            if name not in made:
                yield ("erase", key), f"nothing here makes a {name}; there are: {', '.join(sorted(made)) or 'none'}"
    for name in sorted(set(mapping.erase.blank) & set(mapping.erase.keep)):
        yield ("erase", "blank"), f"{name} is in keep too: give one of them"
    if "ContentVersion" in mapping.erase.blank:
        yield ("erase", "blank"), "a file cannot be made empty: it is deleted, or give keep"


def idle(mapping: Mapping, raw: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """What is given, and would do nothing. raw: tells what is given."""
    transcript = mapping.transcript
    if transcript is not None and transcript.object == "ContentVersion":
        for key in ("field", "escape"):
            if key in raw["transcript"]:
                yield ("transcript", key), "does nothing for a file: leave it out"
    found = {each.record for each in mapping.find}
    labels = {each.record for each in mapping.find if not each.verified or _on_several(mapping, each) == "label"}
    verified = {each.record for each in mapping.find if each.verified}
    for index, write in enumerate(mapping.write):
        detects = write.duplicates in ("label", "use")
        at: Path = ("write", index)
        if "if_labelled" in raw["write"][index] and write.record not in labels and not detects:
            yield (*at, "if_labelled"), f'does nothing: no [[find]] of "{write.record}" is without verified = true'
        if "if_found" in raw["write"][index] and write.record not in verified and not detects:
            yield (*at, "if_found"), f'does nothing: no [[find]] of "{write.record}" has verified = true'
    if "on_several" in raw and not found:
        yield ("on_several",), "does nothing: there is no [[find]]"


def _on_several(mapping: Mapping, find: Find) -> OnSeveral:
    return find.on_several or mapping.on_several


def _transcript(mapping: Mapping, transcript: Transcript, known: set[str]) -> Iterator[tuple[Path, str]]:
    at: Path = ("transcript",)
    yield from _names(at, "object", transcript.object)
    yield from _names(at, "field", transcript.field)
    if transcript.object == "ContentVersion" and transcript.when == "live":
        yield (*at, "when"), 'a file is written when all is said: when = "close", or another object'
    most = {"ContentVersion": LONGEST_FILE, "Task": LONGEST_TEXT, "Case": LONGEST_TEXT}.get(
        transcript.object, LONGEST_OWN_TEXT
    )
    if transcript.max < 200:
        yield (*at, "max"), f"200 to {most} characters"
    if transcript.max > most:
        yield (*at, "max"), f"a text of {transcript.object} takes {most} characters"
    if "{text}" not in transcript.line or set(re.findall(r"{(.*?)}", transcript.line)) - {
        "time",
        "who",
        "name",
        "text",
    }:
        yield (*at, "line"), "must have {text}, and may have {time}, {who}, {name}"
    if not _is_timezone(transcript.timezone):
        yield (*at, "timezone"), 'there is no such time zone; such as "Europe/Berlin"'
    for name in transcript.fields:
        if name.lower() == transcript.field.lower() and transcript.object != "ContentVersion":
            yield (*at, "fields", name), "holds the transcript itself"
    yield from _fields((*at, "fields"), transcript.fields, mapping, known, extra=("part",))


def _learn(learn: Learn, known: set[str]) -> Iterator[tuple[Path, str]]:
    if learn.record not in known:
        yield ("learn", "record"), f'no [[find]] or [[write]] has record = "{learn.record}"'
    for fact, field in learn.facts.items():
        if fact in LEARNED:
            yield ("learn", "facts", fact), "is told of every record already: take another name"
        if not RECORD.fullmatch(fact):
            yield ("learn", "facts", fact), "a fact's name has lower-case letters, digits and _"
        yield from _names(("learn", "facts"), fact, field)
    for index, count in enumerate(learn.count):
        at: Path = ("learn", "count", index)
        yield from _names(at, "object", count.object)
        yield from _names(at, "field", count.field)
        others = [each.fact for each in learn.count[:index]]
        if not RECORD.fullmatch(count.fact) or count.fact in (*learn.facts, *LEARNED, *others):
            yield (*at, "fact"), "a fact's name has lower-case letters, digits and _, and is used once"
        for field in count.where:
            yield from _names((*at, "where"), field, field)


def _fields(
    at: Path, fields: dict[str, Any], mapping: Mapping, known: set[str], extra: tuple[str, ...] = ()
) -> Iterator[tuple[Path, str]]:
    seen: set[str] = set()
    for name, raw in fields.items():
        if not NAME.fullmatch(name):
            yield (*at, name), "is not the API name of a field"
        elif name.lower() in ("id", mapping.key_field.lower(), "versiondata"):
            yield (*at, name), "is set by us"
        if name.lower() in seen:
            yield (*at, name), "is there twice: Salesforce does not tell capital letters from small ones"
        seen.add(name.lower())
        try:
            value = read_value(raw, extra)
        except ValueProblem as exc:
            yield (*at, name), str(exc)
            continue
        if value.record and value.record not in known:
            yield (*at, name), f'no [[find]] or [[write]] has record = "{value.record}"'
        if value.field and not NAME.fullmatch(value.field):
            yield (*at, name), f"{value.field} is not the API name of a field"


def _records_in(fields: dict[str, Any]) -> Iterator[str]:
    for raw in fields.values():
        if isinstance(raw, dict) and isinstance(raw.get("record"), str):
            yield raw["record"]


def _names(at: Path, key: str, name: str) -> Iterator[tuple[Path, str]]:
    if not NAME.fullmatch(name):
        yield (*at, key), f"{name!r} is not an API name: letters, digits and _"


def _record(at: Path, name: str) -> Iterator[tuple[Path, str]]:
    if not RECORD.fullmatch(name):
        yield (*at, "record"), "lower-case letters, digits, - and _, 32 at most, a letter first"


def _is_timezone(name: str) -> bool:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
