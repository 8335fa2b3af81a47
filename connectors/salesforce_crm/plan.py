"""Mapping + facts + what was found and kept -> operations. Pure: what is written is known before anything is asked.

What an unverified key found is a label: it may be linked to for staff, and nothing else follows from it. It is not
changed, not referred to, not learned from, and it keeps a record of the same person from being made again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping as ReadOnly
from typing import Any, Literal

import msgspec

from connectors.salesforce_crm.mapping import Find, Mapping, Write
from connectors.salesforce_crm.values import convert, fill, is_default
from omnibridge.connector import Kept

Facts = ReadOnly[str, Any]


class Ref(msgspec.Struct, frozen=True):
    """The id, another field, or the link of a record, known when its turn comes."""

    record: str
    field: str = ""
    found: Literal["", "id", "link"] = ""


class Look(msgspec.Struct, frozen=True):
    """One question to the org. where: pairs of field and values, any of which will do."""

    find: Find
    values: tuple[str, ...]

    @property
    def digest(self) -> str:
        return digest(self.find.object, self.find.fields, self.values, self.find.verified)


class Operation(msgspec.Struct, frozen=True):
    """Write one record. how: `upsert` by our key, or `update` of one that was found (record_id).

    index: of the [[write]]; what: under which name it is kept. defaulted: fields that no fact filled: a record that
    is there already keeps what it has.
    """

    index: int
    record: str
    object: str
    how: Literal["upsert", "update"]
    key: str
    record_id: str
    values: dict[str, Any]
    duplicates: str
    defaulted: frozenset[str] = frozenset()

    @property
    def what(self) -> str:
        return f"{self.record}#{self.index}"


class Skipped(msgspec.Struct, frozen=True):
    """A [[write]] that is not carried out, and why."""

    index: int
    record: str
    why: str


class Place(msgspec.Struct, frozen=True):
    """Where a record is. label: an unverified key found it. ours: we made it."""

    object: str
    id: str
    label: bool = False
    ours: bool = False


def looks(mapping: Mapping, facts: Facts, record: str) -> list[Look]:
    """What to ask for one record, in order; keys of which the fact is missing or malformed are left out."""
    found = []
    for find in mapping.find:
        raw = facts.get(find.value)
        if find.record != record or raw in (None, ""):
            continue
        value = convert(raw, find.kind if find.kind in ("email", "phone") else "text", find.region)
        if not value or not isinstance(value, str) or len(value) > 255:
            continue
        found.append(Look(find, tuple(phone_forms(value, find.region)) if find.kind == "phone" else (value,)))
    return found


def phone_forms(e164: str, region: str) -> list[str]:
    """A number as people write it into a CRM: E.164, international; and national, digits alone, where it is one of the
    region that numbers without + are of: elsewhere the same digits are somebody else's."""
    import phonenumbers

    number, form = phonenumbers.parse(e164), phonenumbers.PhoneNumberFormat
    shapes = [e164, str(phonenumbers.format_number(number, form.INTERNATIONAL))]
    if region and phonenumbers.country_code_for_region(region) == number.country_code:
        national = str(phonenumbers.format_number(number, form.NATIONAL))
        shapes += [national, "".join(each for each in national if each.isdigit())]
    return list(dict.fromkeys(shapes))


def plan_write(
    mapping: Mapping, index: int, facts: Facts, place: Place | None, conversation_key: str, visitor_key: str
) -> Operation | Skipped:
    """What becomes of one [[write]]. place: of its record, as far as it is known. The trigger was looked at."""
    write = mapping.write[index]
    key = key_of(write, conversation_key, visitor_key)
    values = values_of(mapping, write.fields, facts)
    defaulted = defaulted_of(mapping, write, facts)

    def operation(how: Literal["upsert", "update"], record_id: str = "") -> Operation:
        return Operation(index, write.record, write.object, how, key, record_id, values, write.duplicates, defaulted)

    if place is None:
        return operation("upsert") if write.if_missing == "create" else Skipped(index, write.record, "there is none")
    if place.ours:
        return operation("upsert")
    if place.label:
        if write.if_labelled == "create":
            return operation("upsert")
        return Skipped(index, write.record, "one was found by what the visitor claims: it is only linked to")
    if write.if_found == "keep" or place.object != write.object:
        return Skipped(index, write.record, "one was found, and is kept as it is")
    return operation("update", place.id)


def own_key(mapping: Mapping, find: Find, conversation_key: str, visitor_key: str) -> str:
    """Of the record that we make where nothing is found; '' = we make none there."""
    for write in mapping.write:
        if (write.record, write.object) == (find.record, find.object):
            return key_of(write, conversation_key, visitor_key)
    return ""


def key_of(write: Write, conversation_key: str, visitor_key: str) -> str:
    return f"{visitor_key if write.is_per_visitor else conversation_key}-{write.record}"


def defaulted_of(mapping: Mapping, write: Write, facts: Facts) -> frozenset[str]:
    """Its fields that no fact fills."""
    return frozenset(name for name, value in mapping.values(write.fields).items() if is_default(value, facts))


def is_due(write: Write, trigger: str) -> bool:
    """Whether it is written now."""
    return trigger in write.when


def values_of(mapping: Mapping, fields: dict[str, Any], facts: Facts) -> dict[str, Any]:
    """Fields with what goes into them; those that refer to records hold a Ref. What is empty is left out."""
    found: dict[str, Any] = {}
    for name, value in mapping.values(fields).items():
        filled = Ref(value.record, value.field, value.found) if value.record else fill(value, facts)
        if filled is not None:
            found[name] = filled
    return found


def places(mapping: Mapping, kept: ReadOnly[str, Kept]) -> dict[str, Place]:
    """Where records are, as earlier runs have it. What we wrote wins over what we found."""
    found: dict[str, Place] = {}
    for what, each in kept.items():
        if what.startswith("find:") and each.id:
            found.setdefault(what[5:], Place(each.object, each.id, label=each.digest.endswith(":label")))
    for what, each in kept.items():
        name, hash_sign, _ = what.partition("#")
        if hash_sign:
            found[name] = Place(each.object, each.id, ours=each.made)
    return found


def digest(*parts: Any) -> str:
    """The same for the same parts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:20]
