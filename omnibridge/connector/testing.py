"""Contract checks that each connector's tests run, and a context to run them in.

    async def test_contract() -> None:
        await check_contract(MyConnector, {"url": "http://127.0.0.1:9"})

The settings must name a backend that refuses connections: a connector has to live with that.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from omnibridge.clock import Clock, FixedClock
from omnibridge.connector.analysis import Analyzes, Findings, Observed, ReadsTranscripts, Suggests, Transcript
from omnibridge.connector.context import ConnectorContext, decode_settings
from omnibridge.connector.interface import (
    Callback,
    ChecksHealth,
    ReceivesCallbacks,
    Reply,
    ResolvesTurns,
    Turn,
    WelcomesVisitors,
)
from omnibridge.connector.records import Kept, Line, Snapshot, SyncsRecords
from omnibridge.errors import DeliveryError, DeliveryRetryable
from omnibridge.http import create_client


class FakeContext:
    """Makes contexts and remembers what a connector counted and logged."""

    def __init__(self, name: str = "test") -> None:
        self.name = name
        self.clock: Clock = FixedClock()
        self.counts: Counter[str] = Counter()
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def make(self, settings: msgspec.Struct) -> ConnectorContext:
        return ConnectorContext(
            name=self.name,
            settings=settings,
            clock=self.clock,
            create_client=create_client,
            count=lambda name, n: self.counts.update({name: n}),
            log=lambda action, **fields: self.lines.append((action, fields)),
        )


def turn(text: str = "hello", **fields: Any) -> Turn:
    """A turn to give to a connector."""
    given: dict[str, Any] = {"delivery_id": "1", "session_id": "s1", "workspace": "w", "room": "r", "text": text}
    return Turn(**{**given, **fields})


def observed(text: str = "hello", **fields: Any) -> Observed:
    """A message to give to an analyser."""
    given: dict[str, Any] = {"workspace": "w", "room": "r", "session_id": "s1", "message_id": "m", "author": "visitor"}
    return Observed(**{**given, "text": text, "control": "people", **fields})


async def check_contract(connector_type: type[Any], settings: dict[str, Any]) -> None:
    """Raises AssertionError that names the rule. Opens no connection but to the address in `settings`."""
    _settings_are_strict(connector_type, settings)
    connector: Any = connector_type()
    decoded = decode_settings(connector_type.settings_type, settings)
    for _ in range(2):  # again, after a change of settings
        await connector.initialize(FakeContext().make(decoded))
    await _analyses(connector)
    if isinstance(connector, Suggests):
        await _fails_as_agreed("suggest", connector.suggest("hello", "s1"), may_be_silent=False)
    if not hasattr(connector, "on_message"):
        assert _does_analyse(connector), "it neither speaks nor analyses"
        await connector.aclose()
        await connector.aclose()
        return
    await _fails_as_agreed("on_message", connector.on_message(turn()))
    if isinstance(connector, WelcomesVisitors):
        await _fails_as_agreed("on_start", connector.on_start(turn("")))
    if isinstance(connector, ResolvesTurns):
        await _fails_as_agreed("resolve", connector.resolve(turn()), may_be_silent=False)
    if isinstance(connector, ChecksHealth):
        await _fails_as_agreed("check", connector.check(), may_be_silent=False)
    if isinstance(connector, ReceivesCallbacks):
        _reads_anything(connector)
    await _fails_as_agreed("on_close", connector.on_close("s1", "closed"))
    await connector.aclose()
    await connector.aclose()


def _does_analyse(connector: object) -> bool:
    return isinstance(connector, Analyzes | ReadsTranscripts)


async def _analyses(connector: Any) -> None:
    """Any message, also odd ones; what it finds are findings, or nothing, or an error of ours."""
    if isinstance(connector, Analyzes):
        assert isinstance(connector.version, str) and connector.version, "version: name it, findings are kept by it"
        for each in (observed(), observed("edited", change="edited"), observed("", change="deleted")):
            try:
                found = await connector.on_observed(each)
            except DeliveryError:
                continue
            assert found is None or isinstance(found, Findings), "on_observed: not findings"
    if isinstance(connector, ReadsTranscripts):
        try:
            await connector.on_transcript(Transcript("1", "w", "r", "s1"))
        except DeliveryError:
            return


async def check_records_contract(connector_type: type[SyncsRecords], settings: dict[str, Any]) -> None:
    """The same for a system of records."""
    _settings_are_strict(connector_type, settings)
    connector = connector_type()
    decoded = decode_settings(connector_type.settings_type, settings)
    for _ in range(2):  # again, after a change of settings
        await connector.initialize(FakeContext().make(decoded))
    kept = Kept("person#0", "Person", "0" * 15, True)
    for trigger in ("start", "handover", "live", "close"):
        await _fails_as_agreed(f"sync at {trigger}", connector.sync(_snapshot(trigger)))
    await _fails_as_agreed("erase", connector.erase((kept,)))
    await _fails_as_agreed("check", connector.check(), may_be_silent=False)
    await connector.aclose()
    await connector.aclose()


def _snapshot(trigger: Any) -> Snapshot:
    async def keep(kept: Kept) -> None:
        raise AssertionError(f"keeps {kept.what!r}, although nobody is there")

    facts = {"workspace": "w", "room": "r", "visitor_name": "Vera", "visitor_email": "vera@example.com"}
    line = Line(1, 1, "visitor", "hello")
    return Snapshot("c" * 32, "v" * 32, "w", "r", trigger, facts, {}, keep, lambda start, _: [line][: int(start < 2)])


def _settings_are_strict(connector_type: type[Any], settings: dict[str, Any]) -> None:
    try:
        decode_settings(connector_type.settings_type, {**settings, "no_such_setting": 1})
    except msgspec.ValidationError:
        return
    raise AssertionError("settings_type takes unknown keys: declare it with forbid_unknown_fields=True")


def _reads_anything(connector: ReceivesCallbacks) -> None:
    assert isinstance(connector.callback_token(), str)
    for body in (b"", b"[]", b"{}", b"null", b'{"text": {}}', b"\xff", b'{"recipient_id": 7, "sender": []}'):
        try:
            assert isinstance(connector.read_callback(body), Callback)
        except ValueError:
            continue


async def _fails_as_agreed(name: str, call: Any, *, may_be_silent: bool = True) -> None:
    try:
        answer = await call
    except DeliveryRetryable:
        return
    except DeliveryError as exc:
        raise AssertionError(
            f"{name}: nothing was sent, so this is DeliveryRetryable, not {type(exc).__name__}"
        ) from exc
    assert may_be_silent and answer in (None, Reply()), f"{name}: invented an answer of a backend that is down"
