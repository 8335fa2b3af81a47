"""The part of SOQL that the simulator answers: one object, AND / OR / brackets, =, !=, <, >, IN, ORDER BY, LIMIT.

SELECT Id, Account.Name FROM Contact WHERE Email = 'a@b.c' AND (Phone = '1' OR Phone IN ('2')) LIMIT 3
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

Record = dict[str, Any]
Test = Callable[[Record], bool]

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:\\.|[^'\\])*')|(?P<sign><=|>=|!=|=|<|>|\(|\)|,)|(?P<date>\d{4}-\d\d-\d\dT[^\s)]+)"
    r"|(?P<number>-?\d+(?:\.\d+)?)|(?P<word>[A-Za-z_][A-Za-z0-9_.]*))"
)
_ESCAPE = {"n": "\n", "r": "\r", "t": "\t"}


class Malformed(Exception):
    """MALFORMED_QUERY."""


@dataclass
class Query:
    """fields: as written; empty and count for `COUNT()`."""

    fields: list[str]
    counts: bool
    source: str
    test: Test
    order: list[tuple[str, bool]]
    limit: int | None

    def run(self, records: Iterable[Record]) -> list[Record]:
        """The records that match, whole, in order."""
        found = [each for each in records if self.test(each)]
        for field, descending in reversed(self.order):
            found.sort(key=lambda each: (each.get(field) is not None, str(each.get(field) or "")), reverse=descending)
        return found if self.limit is None else found[: self.limit]


def parse(text: str) -> Query:
    """Raises Malformed."""
    return _Parser(text).query()


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(text.rstrip()):
            found = _TOKEN.match(text, at)
            if found is None or found.lastgroup is None:
                raise Malformed(f"unexpected token at {at}")
            self._tokens.append((found.lastgroup, found.group(found.lastgroup)))
            at = found.end()
        self._at = 0

    def query(self) -> Query:
        self._word("SELECT")
        fields, counts = [self._name()], False
        if fields[0].upper() == "COUNT" and self._peek() == "(":
            self._sign("(")
            self._sign(")")
            fields, counts = [], True
        while self._peek() == ",":
            self._sign(",")
            fields.append(self._name())
        self._word("FROM")
        source = self._name()
        test: Test = lambda record: True  # noqa: E731
        order: list[tuple[str, bool]] = []
        limit = None
        if self._peek().upper() == "WHERE":
            self._word("WHERE")
            test = self._either()
        if self._peek().upper() == "ORDER":
            self._word("ORDER")
            self._word("BY")
            order = [self._ordered()]
            while self._peek() == ",":
                self._sign(",")
                order.append(self._ordered())
        if self._peek().upper() == "LIMIT":
            self._word("LIMIT")
            limit = int(self._take()[1])
        if self._at != len(self._tokens):
            raise Malformed(f"unexpected token: {self._peek()}")
        return Query(fields, counts, source, test, order, limit)

    def _ordered(self) -> tuple[str, bool]:
        field, descending = self._name(), False
        if self._peek().upper() in ("ASC", "DESC"):
            descending = self._take()[1].upper() == "DESC"
        if self._peek().upper() == "NULLS":
            self._take()
            self._take()
        return field, descending

    def _either(self) -> Test:
        tests = [self._both()]
        while self._peek().upper() == "OR":
            self._take()
            tests.append(self._both())
        return lambda record: any(each(record) for each in tests)

    def _both(self) -> Test:
        tests = [self._one()]
        while self._peek().upper() == "AND":
            self._take()
            tests.append(self._one())
        return lambda record: all(each(record) for each in tests)

    def _one(self) -> Test:
        if self._peek() == "(":
            self._sign("(")
            inside = self._either()
            self._sign(")")
            return inside
        field, (_, sign) = self._name(), self._take()
        if sign.upper() == "IN":
            self._sign("(")
            wanted = [self._value()]
            while self._peek() == ",":
                self._sign(",")
                wanted.append(self._value())
            self._sign(")")
            return lambda record: any(_same(_of(record, field), each) for each in wanted)
        value = self._value()
        match sign:
            case "=":
                return lambda record: _same(_of(record, field), value)
            case "!=":
                return lambda record: not _same(_of(record, field), value)
            case ">" | ">=" | "<" | "<=":
                return lambda record: _ordered(_of(record, field), sign, value)
        raise Malformed(f"unexpected token: {sign}")

    def _value(self) -> Any:
        kind, text = self._take()
        if kind == "text":
            return re.sub(r"\\(.)", lambda found: _ESCAPE.get(found.group(1), found.group(1)), text[1:-1], flags=re.S)
        if kind == "number":
            return float(text) if "." in text else int(text)
        if kind == "date":
            return text
        if text.lower() in ("true", "false", "null"):
            return {"true": True, "false": False, "null": None}[text.lower()]
        raise Malformed(f"unexpected token: {text}")

    def _peek(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _take(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise Malformed("unexpected end of the query")
        self._at += 1
        return self._tokens[self._at - 1]

    def _name(self) -> str:
        kind, text = self._take()
        if kind != "word":
            raise Malformed(f"unexpected token: {text}")
        return text

    def _word(self, wanted: str) -> None:
        if self._take()[1].upper() != wanted:
            raise Malformed(f"{wanted} expected")

    def _sign(self, wanted: str) -> None:
        if self._take()[1] != wanted:
            raise Malformed(f"{wanted} expected")


def _of(record: Record, field: str) -> Any:
    return record.get(field)


def _same(found: Any, wanted: Any) -> bool:
    """Text is compared without regard to case, as Salesforce does; an unset checkbox is false."""
    if isinstance(wanted, bool):
        return bool(found) is wanted
    if isinstance(found, str) and isinstance(wanted, str):
        if len(found) == 18 and len(wanted) == 15 and found.startswith(wanted):  # an id, with or without its check
            return True
        return found.casefold() == wanted.casefold()
    return bool(found == wanted)


def _ordered(found: Any, sign: str, wanted: Any) -> bool:
    if found is None:
        return False
    less, same = str(found) < str(wanted), str(found) == str(wanted)
    return {"<": less, "<=": less or same, ">": not less and not same, ">=": not less}[sign]
