"""`POST /api/v1/bots/{bot}/interactions` (sendToBot): a client tells a bot what its user pressed; nothing is shown.

    POST {"room": ..., "actions": [{"action_id": ..., "value": ...}], "message_id": ...}
      or {"room": ..., "action": ..., "value": ...}
    who it is: Authorization: Bearer TOKEN, of `omnibridge tokens create --scope interact`;
               X-User-Id and X-Auth-Token of a user of the workspace who may see the room;
               X-Visitor-Token of the room's visitor
 -> 202 {"id", "conversation", "status": "accepted"}: durable; the bot is told if it is in control

Identity, time and place are ours to fill: what the body says of them is ignored. A browser's page has to be on
`[server] allowed_origins`. The same Idempotency-Key of the same caller is the same interaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, cast, get_args

import msgspec
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from omnibridge.clock import Clock
from omnibridge.domain.conversation import Conversation
from omnibridge.domain.events import InteractionReceived
from omnibridge.domain.interactions import Action, Actor, ElementKind, Interaction
from omnibridge.engine.counters import Counters
from omnibridge.engine.ids import IdSequence
from omnibridge.engine.lanes import Lanes
from omnibridge.engine.shown import shown_as
from omnibridge.errors import DeliveryError, IntakeError
from omnibridge.rocketchat.calls import Credentials
from omnibridge.rocketchat.proof import Proof
from omnibridge.storage import conversations
from omnibridge.storage.api_tokens import ApiToken
from omnibridge.storage.database import Database
from omnibridge.storage.journal import Observation
from omnibridge.web.callers import Callers
from omnibridge.web.webhooks import Once, check_json, commit, read_body

KINDS = get_args(ElementKind)
LONGEST, LONGEST_KEY, MOST_ACTIONS, AT_A_TIME = 2_000, 200, 20, 8
ALLOWED_HEADERS = b"authorization, content-type, idempotency-key, x-auth-token, x-user-id, x-visitor-token"
_encode = msgspec.json.Encoder().encode


class InteractionEndpoint:
    """bots: connection -> its workspace. proofs: by workspace. origins: of pages that may call from a browser."""

    def __init__(
        self,
        bots: Mapping[str, str],
        proofs: Mapping[str, Proof],
        origins: frozenset[str],
        database: Database,
        lanes: Lanes,
        ids: IdSequence,
        clock: Clock,
        counters: Counters,
        timeout_s: float,
    ) -> None:
        self._bots, self._proofs, self._origins = bots, proofs, origins
        self._database, self._lanes, self._ids, self._clock = database, lanes, ids, clock
        self._counters, self._timeout_s = counters, timeout_s
        self._callers = Callers(database, ids, clock)
        self._asking = asyncio.Semaphore(AT_A_TIME)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        origin = headers.get("origin", "")
        send = _sharing(send, origin) if origin in self._origins else send
        answer = Once(send, self._counters)
        bot, token = str(scope["path_params"]["bot"]), None
        try:
            if origin and origin not in self._origins:
                raise IntakeError(403, "Wrong origin", "Pages that may call are listed in [server] allowed_origins.")
            if scope["method"] == "OPTIONS":
                await _answer(send, 204, b"")
                return
            if scope["method"] != "POST":
                raise IntakeError(405, "Method not allowed", "What was pressed is sent as POST.")
            workspace = self._bots.get(bot)
            if workspace is None:
                raise IntakeError(404, "Unknown bot", "Use the name of a [[connection]].")
            if "authorization" in headers:
                token = self._callers.authenticate(scope)
            body = await read_body(scope, receive)
            check_json(body)
            said: dict[str, Any] = msgspec.json.decode(body)
            identity, room = await self._take(bot, workspace, token, headers, said, answer)
        except IntakeError as exc:
            if token is not None:
                await self._callers.audit(token, f"interaction {scope['method']}", "", exc.status, exc.title)
            await answer.refuse(exc)
            return
        if not answer.is_given:
            await _answer(send, 202, _encode({"id": identity, "conversation": room, "status": "accepted"}))

    async def _take(
        self,
        bot: str,
        workspace: str,
        token: ApiToken | None,
        headers: Headers,
        said: dict[str, Any],
        answer: Once,
    ) -> tuple[str, str]:
        room, message_id = _text(said, "room") or _text(said, "rid"), _text(said, "message_id")
        if not room:
            raise IntakeError(422, "Not an interaction", "`room` is missing: the id of the conversation's room.")
        actions = _actions(said)
        conversation = self._conversation(workspace, room) if token is None or token.workspace == workspace else None
        if token is not None:
            self._callers.needs(token, "interact")
            actor: Actor | None = Actor(f"api:{token.id}", token.name, token.name, roles=("api",))
        else:
            # The hub is asked of rooms that we know only, and nobody learns here which those are.
            actor = await self._proved(workspace, room, headers, conversation)
        if conversation is None:
            raise IntakeError(404, "Unknown conversation", "Use the room id of a conversation of this workspace.")
        if conversation.closed:
            raise IntakeError(409, "Closed", "The conversation is over: the bot hears nothing of it any more.")
        original = self._original(bot, workspace, room, conversation, message_id) if message_id else {}
        assert actor is not None
        identity, now = self._ids.next(), self._clock.now_ms()
        name = self._name(headers, actor, bot, identity)
        did = Interaction(name, actor, actions, message_id, original=original, at=now, received_at=now)
        event: msgspec.Struct = InteractionReceived(did, bot)
        row = Observation(
            identity, workspace, room, "engine", "InteractionReceived", now, _encode(event), f"interaction:{name}"
        )
        await commit(self._lanes, row, self._timeout_s, answer)
        self._counters.add("interactions_sent", 1, bot)
        if token is not None:
            await self._callers.audit(token, "interaction POST", room, 202, f"{bot}: {actions[0].action_id}"[:200])
        return name, room

    def _conversation(self, workspace: str, room: str) -> Conversation | None:
        found = conversations.load(self._database.reader, workspace, room)
        known = self._lanes.conversation(found[0]) if found else None
        return known[1] if known else None

    def _original(
        self, bot: str, workspace: str, room: str, conversation: Conversation, message_id: str
    ) -> dict[str, Any]:
        """As we posted it. Raises IntakeError 422 for what this bot did not show there."""
        found = conversations.load(self._database.reader, workspace, room)
        assert found is not None
        shown = shown_as(self._database.reader, self._database.secret, found[0], conversation, message_id)
        if shown is None or shown.connection != bot:
            raise IntakeError(422, "Not an interaction", "`message_id` is no message that this bot showed there.")
        return shown.message

    async def _proved(
        self, workspace: str, room: str, headers: Headers, conversation: Conversation | None
    ) -> Actor | None:
        """Who sent it. Raises IntakeError 401, 503 when the hub cannot be asked."""
        given = {name: headers.get(name, "").strip() for name in ("x-user-id", "x-auth-token", "x-visitor-token")}
        if any(len(each) > LONGEST_KEY or not each.isascii() or not each.isprintable() for each in given.values()):
            raise IntakeError(401, "Not proved", "The headers hold no token of Rocket.Chat.")
        proof, facts = self._proofs[workspace], conversation.facts if conversation else {}
        try:
            async with self._asking:
                if conversation is None:
                    pass
                elif given["x-visitor-token"]:
                    if await proof.is_visitor_of(given["x-visitor-token"], room):
                        shown = [str(facts.get(f"visitor_{each}") or "") for each in ("id", "username", "name")]
                        return Actor(shown[0] or "visitor", shown[1], shown[2], is_visitor=True, roles=("visitor",))
                elif given["x-user-id"] and given["x-auth-token"]:
                    profile = await proof.user(Credentials(given["x-user-id"], given["x-auth-token"]), room)
                    if profile is not None:
                        return _user(profile)
        except DeliveryError as exc:
            raise IntakeError(503, "Not proved", "Rocket.Chat could not be asked who this is; send it again.") from exc
        raise IntakeError(
            401,
            "Not proved",
            "Send `Authorization: Bearer TOKEN`, or X-User-Id and X-Auth-Token of a user who may see this room, or "
            "X-Visitor-Token of its visitor.",
        )

    def _name(self, headers: Headers, actor: Actor, bot: str, identity: int) -> str:
        key = headers.get("idempotency-key")
        if key is None:
            return f"sent-{identity}"
        if not 0 < len(key) <= LONGEST_KEY or not key.isascii() or not key.isprintable():
            raise IntakeError(400, "Bad Idempotency-Key", f"1 to {LONGEST_KEY} printable ASCII characters.")
        return "sent-" + blake2b(f"{bot}\0{actor.id}\0{key}".encode(), digest_size=16).hexdigest()


def _actions(said: dict[str, Any]) -> tuple[Action, ...]:
    """Of the response object, or of its short form. Raises IntakeError 422."""
    found = said.get("actions")
    if found is None:
        name = "action" if "action" in said else "action_id"
        found = [{**said, "action_id": said.get(name), "type": said.get("element")}]
    if not isinstance(found, list) or not 1 <= len(found) <= MOST_ACTIONS:
        raise IntakeError(422, "Not an interaction", f"`actions` must be a list of 1 to {MOST_ACTIONS}.")
    made = []
    for each in found:
        if not isinstance(each, dict) or not _text(each, "action_id") or "value" not in each:
            raise IntakeError(422, "Not an interaction", "Each action needs an `action_id` and a `value`.")
        kind = _text(each, "type") or "button"
        if kind not in KINDS:
            raise IntakeError(422, "Not an interaction", f"`type` of an action: one of {', '.join(KINDS)}.")
        name, block, value, label = (_text(each, part) for part in ("action_id", "block_id", "value", "text"))
        made.append(Action(cast(ElementKind, kind), name, block, value, label))
    return tuple(made)


def _text(said: dict[str, Any], name: str) -> str:
    """Raises IntakeError 422 for what is no text, or too long a one."""
    value = said.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > LONGEST:
        raise IntakeError(422, "Not an interaction", f"`{name}` must be a text of at most {LONGEST} characters.")
    return value


def _user(profile: dict[str, Any]) -> Actor:
    identity, username, name = (str(profile.get(each) or "") for each in ("_id", "username", "name"))
    roles = profile.get("roles")
    return Actor(identity, username, name, roles=tuple(str(each) for each in roles) if isinstance(roles, list) else ())


def _sharing(send: Send, origin: str) -> Send:
    """With the headers by which a browser lets its page read the answer."""

    async def sharing(message: Any) -> None:
        if message["type"] == "http.response.start":
            more = [
                (b"access-control-allow-origin", origin.encode("latin-1")),
                (b"access-control-allow-methods", b"POST"),
                (b"access-control-allow-headers", ALLOWED_HEADERS),
                (b"vary", b"Origin"),
            ]
            message = {**message, "headers": [*message.get("headers", []), *more]}
        await send(message)

    return sharing


async def _answer(send: Send, status: int, body: bytes) -> None:
    kind = [(b"content-type", b"application/json")] if body else []
    headers = [*kind, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
