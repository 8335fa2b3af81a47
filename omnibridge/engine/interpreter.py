"""What an observation means: a row of the journal, and what the conversation knows -> the events that it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import structlog

from omnibridge.connector.desks import HoldsSessions
from omnibridge.domain.events import UserRef
from omnibridge.domain.stored_events import read_event
from omnibridge.engine.callbacks import Callbacks
from omnibridge.engine.counters import Counters
from omnibridge.engine.decisions import DECIDED, PUSHED, derive_decision
from omnibridge.engine.desk_events import DESK, derive_desk, is_of_earlier
from omnibridge.engine.ids import is_message_id
from omnibridge.engine.responses import RESPONSE
from omnibridge.engine.shown import shown_as
from omnibridge.engine.work import Policy, Work
from omnibridge.rocketchat.app_events import AppReading, read_app
from omnibridge.rocketchat.derive import Derivation, DerivedEvent, View, derive
from omnibridge.rocketchat.derive_app import derive_app
from omnibridge.rocketchat.derive_live import derive_live
from omnibridge.rocketchat.derive_read import derive_history, derive_room_read, found_key
from omnibridge.rocketchat.realtime.translate import LiveReading, read_live
from omnibridge.rocketchat.reconcile import RoomHistory
from omnibridge.rocketchat.rooms import RoomInfo
from omnibridge.rocketchat.uikit_actions import ActionRefused
from omnibridge.rocketchat.webhook import TEST, WebhookReading, read_webhook
from omnibridge.storage import journal
from omnibridge.storage.journal import Observation

_log = structlog.get_logger("omnibridge.interpreter")
_room_decoder = msgspec.json.Decoder(RoomInfo)
_history_decoder = msgspec.json.Decoder(RoomHistory)

HISTORY = "history"
"""Kind of an observation of the reconciler: a room with messages that nobody reported."""

CLOSED = "LivechatSession"
"""Kind of the webhook of a close."""

LAST_MS = 1000
"""What a visitor wrote in the same moment, and by another clock of the hub, was before the close."""

LIVE = "ddp"
"""Source of what the realtime connection told."""

APP = "app"
"""Source of what the companion app told. Never held: it tells a room's events in their order."""


class Interpreter:
    """Stateless but for its ports. Raises what its readers raise: the processor quarantines such a row."""

    def __init__(
        self,
        reader: Any,
        secret: bytes,
        counters: Counters,
        callbacks: Callbacks,
        desks: Mapping[str, HoldsSessions] | None = None,
    ) -> None:
        self._reader, self._secret, self._counters, self._callbacks = reader, secret, counters, callbacks
        self._desks = desks or {}

    def interpret(self, work: Work, row: Observation, policy: Policy) -> Derivation | str:
        """Its events; or why nothing follows, when it is a report that we only record."""
        if row.source == "engine":
            event = row.read or read_event(row.body)
            return Derivation((DerivedEvent(row.dedupe or "", event),))
        if row.source == RESPONSE:
            return self._callbacks.responses.derive(row)
        if row.source == "callback":
            return self._callbacks.derive(row) or "not acted on"
        if row.source == DESK:
            if is_of_earlier(row, work.lane.state.desk):
                return "told by an earlier session"
            return derive_desk(row, self._desks)
        if row.source in (PUSHED, DECIDED):
            return derive_decision(row, policy.systems.get(row.kind, row.kind))
        view = self._view(work, policy)
        if row.source == "hub-read" and row.kind == HISTORY:
            return derive_history(_history_decoder.decode(row.body), view)
        if row.source == "hub-read":
            return derive_room_read(_room_decoder.decode(row.body), view)
        if row.source == LIVE:
            return _live(row, view)
        if row.source == APP:
            return self._app(row, view)
        reading = _reading(row)
        if reading.problem:
            raise ValueError(reading.problem)
        if not reading.acted_on:
            self._counters.add("observations_skipped", 1, row.kind)
            return reading.note
        return derive(reading, view)

    def _app(self, row: Observation, view: View) -> Derivation | str:
        reading = row.read or read_app(row.body)
        assert isinstance(reading, AppReading)
        if reading.problem:
            raise ValueError(reading.problem)
        if reading.note:
            self._counters.add("observations_skipped", 1, row.kind)
            return reading.note
        try:
            return derive_app(reading, view, row.received_at)
        except ActionRefused as exc:
            self._counters.add("interactions_refused", 1, exc.code)
            _log.warning("interaction_refused", room=row.room, observation=row.id, reason=str(exc))
            return str(exc)

    def _view(self, work: Work, policy: Policy) -> View:
        state, lane_id = work.lane.state, work.lane.id
        return View(
            known=state.started,
            closed=state.closed,
            served_by=state.served_by,
            emptied=state.vacated and state.served_by is None,
            service_at=state.service_at,
            queued=state.queued,
            reported=state.reported,
            changes=state.changes,
            has_desk=state.desk is not None,
            was_found=lambda message: (
                work.knows(found_key(message)) or journal.has_event(self._reader, lane_id, found_key(message))
            ),
            unreported=_id(state.reported) != _id(state.served_by),
            department=state.department,
            bot_users=policy.bot_users.get(state.workspace, {}),
            shown=lambda message: shown_as(self._reader, self._secret, lane_id, state, message),
            is_ours=lambda message: is_message_id(self._secret, state.workspace, state.room, message),
            seen=lambda message: (
                work.knows(f"msg:{message}") or journal.has_event(self._reader, lane_id, f"msg:{message}")
            ),
        )


def ordered_ts(row: Observation) -> int | None:
    """Hub time of a visitor message or of the close, for the reorder window; None for all else."""
    if row.source != "webhook" or row.kind not in ("Message", CLOSED):
        return None
    reading = _reading(row)
    if row.kind == CLOSED:
        return None if reading.kind == TEST else (reading.closed_at_ms or row.received_at) + LAST_MS
    first = reading.messages[0] if reading.messages else None
    if first is None or not first.from_visitor:
        return None
    return first.edited_at_ms or first.ts_ms or row.received_at


def _live(row: Observation, view: View) -> Derivation:
    reading = row.read or read_live(row.kind, row.room, row.body)
    assert isinstance(reading, LiveReading)
    if reading.problem:
        raise ValueError(reading.problem)
    return derive_live(reading, view)


def _id(user: UserRef | None) -> str:
    return user.id if user else ""


def _reading(row: Observation) -> WebhookReading:
    if row.read is None:
        row.read = read_webhook(row.body)
    reading: WebhookReading = row.read
    return reading
