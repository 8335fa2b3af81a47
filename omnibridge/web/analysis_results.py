"""`POST /analysis/NAME/results`: an analyser's system says later what it found.

    {"correlation": "...", "findings": [{"kind": "intent", "name": "refund", "confidence": 0.9}, ...]}

Signed after Standard Webhooks with the analyser's secret, or with the secret as `Authorization: Bearer`. Taken once
for each text of a message: the same again is answered 200 and nothing follows, whichever way it was repeated.
"""

from __future__ import annotations

import hmac

import msgspec
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from omnibridge.analysis.analysers import Analyser, Analysers
from omnibridge.analysis.board import Board
from omnibridge.analysis.correlation import Correlation, correlations
from omnibridge.clock import Clock
from omnibridge.connector.analysis import Finding, Findings, bounded
from omnibridge.engine.counters import Counters
from omnibridge.errors import IntakeError
from omnibridge.storage import conversations, findings
from omnibridge.storage.database import Database
from omnibridge.web.signed import check_signed
from omnibridge.web.webhooks import Once, check_json, read_body, send_json

LARGEST = 256 * 1024
_encode = msgspec.json.Encoder().encode


class _Body(msgspec.Struct):
    correlation: str
    findings: tuple[Finding, ...] = ()


_decode = msgspec.json.Decoder(_Body)


class ResultsEndpoint:
    """404: no such analyser, or a correlation that we did not make. 410: too late, or the message has changed."""

    def __init__(
        self, analysers: Analysers, board: Board, database: Database, clock: Clock, counters: Counters
    ) -> None:
        self._analysers, self._board, self._database = analysers, board, database
        self._clock, self._counters = clock, counters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = Once(send, self._counters)
        try:
            status = await self._take(scope, receive)
        except IntakeError as exc:
            await answer.refuse(exc)
            return
        await send_json(send, {"status": status})

    async def _take(self, scope: Scope, receive: Receive) -> str:
        if scope["method"] != "POST":
            raise IntakeError(405, "Method not allowed", "Findings are sent as POST.")
        analyser = self._analysers.get(str(scope["path_params"]["analyser"]))
        if analyser is None or not analyser.token:
            raise IntakeError(404, "Unknown analyser", "Use the name of an [[analyser]] that has a secret.")
        bearer = _bearer(Headers(scope=scope))
        if bearer is not None and not hmac.compare_digest(bearer, analyser.token.encode()):
            raise IntakeError(401, "Wrong token", "Send the analyser's secret as `Authorization: Bearer`, or sign.")
        body = await read_body(scope, receive)
        if bearer is None:
            check_signed(analyser.keys, scope, body, self._clock)
        if len(body) > LARGEST:
            raise IntakeError(413, "Too large", f"Findings of one message may have {LARGEST} bytes at most.")
        check_json(body)
        try:
            found = _decode.decode(body)
        except msgspec.ValidationError as exc:
            raise IntakeError(422, "Not findings", f"{exc}.") from None
        return await self._keep(analyser, found)

    async def _keep(self, analyser: Analyser, body: _Body) -> str:
        what = correlations.unseal(self._database.secret, body.correlation)
        room = conversations.room_of(self._database.reader, what.conversation_id) if what else None
        if what is None or what.analyser != analyser.name or room is None:
            raise IntakeError(404, "Unknown correlation", "Send back the `correlation` of the message, unchanged.")
        now, reader = self._clock.now_ms(), self._database.reader
        if what.until <= now:
            raise IntakeError(410, "Too late", "The message was said too long ago; see later_h of the [[analyser]].")
        place = (*room, what.message_id)
        if findings.is_changed(reader, place, what.event_id):
            raise IntakeError(
                410, "Changed", "The message was edited or deleted meanwhile; its new text comes by itself."
            )
        if findings.is_ready(reader, place, analyser.name, what.event_id):
            return "repeated"
        was_kept = await self._store(analyser, place, what, bounded(Findings(body.findings)), now)
        if was_kept:
            self._counters.add("findings", 1, analyser.name, "posted")
            self._board.ring(*room)
        return "kept" if was_kept else "repeated"

    async def _store(
        self, analyser: Analyser, place: tuple[str, str, str], what: Correlation, found: Findings, now: int
    ) -> bool:
        version, items, until = analyser.version, _encode(found.items), now + analyser.keep_ms
        kept = False

        def write(cursor: object) -> None:
            nonlocal kept
            kept = findings.keep(
                cursor, place, analyser.name, version, what.event_id, findings.READY, now, until, items
            )

        try:
            await self._database.writer.submit(write)
        except Exception as exc:
            raise IntakeError(503, "Not stored", "The findings could not be written; send them again.") from exc
        return kept


def _bearer(headers: Headers) -> bytes | None:
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    return secret.strip().encode() if scheme.lower() == "bearer" else None
