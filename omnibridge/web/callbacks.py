"""POST from a connection's backend: what its bot says by itself. Journalled raw, then 200, as webhooks are.

The secret comes as `Authorization: Bearer SECRET` or, for backends that cannot send headers, as `?token=SECRET`.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from starlette.datastructures import Headers, QueryParams
from starlette.types import Receive, Scope, Send

from omnibridge.clock import Clock
from omnibridge.engine.callbacks import Callbacks
from omnibridge.engine.counters import Counters
from omnibridge.engine.ids import IdSequence
from omnibridge.engine.lanes import Lanes
from omnibridge.errors import IntakeError
from omnibridge.storage.journal import Observation
from omnibridge.web.webhooks import Once, check_json, commit, read_body, send_ok


class CallbackEndpoint:
    """tokens: connection -> the secret that its backend sends; only those can be called."""

    def __init__(
        self,
        tokens: Mapping[str, str],
        callbacks: Callbacks,
        lanes: Lanes,
        ids: IdSequence,
        clock: Clock,
        counters: Counters,
        commit_timeout_s: float,
    ) -> None:
        self._tokens = {name: token.encode() for name, token in tokens.items()}
        self._callbacks, self._lanes, self._ids, self._clock = callbacks, lanes, ids, clock
        self._counters, self._commit_timeout_s = counters, commit_timeout_s

    def use(self, connection: str, token: str) -> None:
        """Another secret from now on; '' = this connection is not called any more."""
        self._tokens.pop(connection, None)
        if token:
            self._tokens[connection] = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = Once(send, self._counters)
        try:
            connection = self._authenticate(scope)
            body = await read_body(scope, receive)
            check_json(body)
            workspace, room = self._callbacks.place(connection, body)
            now = self._clock.now_ms()
            row = Observation(self._ids.next(), workspace, room, "callback", connection, now, body)
            await commit(self._lanes, row, self._commit_timeout_s, answer)
        except IntakeError as exc:
            await answer.refuse(exc)
            return
        if not answer.is_given:
            await send_ok(send)

    def _authenticate(self, scope: Scope) -> str:
        if scope["method"] != "POST":
            raise IntakeError(405, "Method not allowed", "What a bot says is sent as POST.")
        connection = str(scope["path_params"]["connection"])
        token = self._tokens.get(connection)
        if token is None:
            raise IntakeError(
                404,
                "Unknown connection",
                "Use the name of a [[connection]] that takes callbacks; its connector's README names the setting.",
            )
        if not hmac.compare_digest(_given(scope), token):
            raise IntakeError(
                401, "Wrong token", "Send the connection's callback secret as `Authorization: Bearer` or `?token=`."
            )
        return connection


def _given(scope: Scope) -> bytes:
    scheme, _, secret = Headers(scope=scope).get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        secret = QueryParams(scope["query_string"]).get("token", "")
    return secret.strip().encode()
