"""The Chat REST API of the simulated service, endpoint by endpoint (reference 1.2 to 1.12)."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from connectors.salesforce.simulator import json_body
from connectors.salesforce_live_agent.simulated.service import (
    BUTTON_ID,
    DEPLOYMENT_ID,
    ORG_ID,
    Service,
    Session,
)
from omnibridge.connector.form_data import parse
from omnibridge.connector.simulating import gone

GRACE_S = 0.05
"""A poll that the client has left already is seen as such a little later: not a second one."""
MAX_FILE_BYTES = 5 * 1024 * 1024
REQUIRED = {
    "organizationId": str,
    "deploymentId": str,
    "buttonId": str,
    "sessionId": str,
    "userAgent": str,
    "language": str,
    "screenResolution": str,
    "visitorName": str,
    "prechatDetails": list,
    "prechatEntities": list,
    "receiveQueueUpdates": bool,
    "isPost": bool,
}
NEEDS_AGENT = {"ChatMessage", "ChasitorTyping", "ChasitorNotTyping", "ChasitorSneakPeek", "CustomEvent"}


class Api:
    """Handlers. calls: every request that got here, in order; sessions by id, never by key."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.calls: list[dict[str, Any]] = []

    # -- session ----------------------------------------------------------------------------------------

    async def session_id(self, request: Request) -> Response:
        self._version(request)
        if request.headers.get("x-liveagent-affinity") != "null":
            raise HTTPException(400, "affinity must be null here")
        found = self.service.begin()
        self._note(request, found)
        # A string in the documentation, a number on the wire: both are about.
        timeout: int | str = int(self.service.options.poll_s) or 1
        timeout = str(timeout) if len(self.service.sessions) % 2 else timeout
        granted = {"id": found.id, "key": found.key, "affinityToken": found.affinity, "clientPollTimeout": timeout}
        return JSONResponse(granted)

    async def delete(self, request: Request) -> Response:
        self._version(request)
        found = self.service.find(request.path_params["key"])
        self._note(request, found)
        if found is None:
            raise HTTPException(403, "the session is invalid or expired")
        self.service.kill(found, "deleted")
        return PlainTextResponse("OK")

    async def messages(self, request: Request) -> Response:
        """The long poll. A second one at a time ends the chat."""
        found = self._session(request)
        ack = request.query_params.get("ack", "")
        if not ack.lstrip("-").isdigit():
            raise HTTPException(400, "ack is missing")
        if found.poll is not None:
            before = found.poll
            try:
                await asyncio.wait_for(found.left.wait(), GRACE_S)
            except TimeoutError:
                self.service.counts["duplicate_polls"] += 1
                self.service.kill(found, "duplicate poll")
                raise HTTPException(409, "a second poll of the session: the chat was ended") from None
            if found.poll is before:
                found.poll = None
        found.poll = mine = asyncio.Event()
        found.left = left = asyncio.Event()
        affinity = found.affinity
        leaving = asyncio.create_task(gone(request.receive))
        try:
            answer = await self._wait(found, int(ack), affinity, leaving)
        finally:
            if leaving.done():
                left.set()
            leaving.cancel()
            if found.poll is mine:
                found.poll = None
            found.last_seen_s = self.service.clock.now_s()
        return answer

    async def _wait(self, found: Session, ack: int, affinity: str, leaving: asyncio.Task[None]) -> Response:
        loop = asyncio.get_running_loop()
        until = loop.time() + self.service.options.poll_s
        while not leaving.done():
            found.wake.clear()
            if found.is_dead:
                raise HTTPException(403, "the session is gone")
            if found.affinity != affinity:
                raise HTTPException(503, "the affinity has changed")
            batch = self.service.batch(found, ack)
            if batch is not None:
                self.service.given(found, batch)
                body = {"messages": batch.messages, "sequence": batch.sequence, "offset": batch.offset}
                # As Java does it: also half of a character, where a text was cut.
                return Response(json.dumps(body), media_type="application/json")
            if found.state == "ended" and not found.fresh:
                self.service.kill(found, "over")  # its end was acknowledged
                continue
            left_s = until - loop.time()
            if left_s <= 0:
                return Response(status_code=204)
            waking = asyncio.create_task(found.wake.wait())
            await asyncio.wait({waking, leaving}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            waking.cancel()
        return Response(status_code=204)

    async def reconnect(self, request: Request) -> Response:
        found = self._session(request, affinity="null")
        offset = request.query_params.get("ReconnectSession.offset", "")
        if not offset.isdigit():
            raise HTTPException(400, "ReconnectSession.offset is missing")
        self.service.reconnect(found, int(offset))
        message = {"resetSequence": self.service.options.resets, "affinityToken": found.affinity}
        return JSONResponse({"messages": [{"type": "ReconnectSession", "message": message}]})

    # -- posts ------------------------------------------------------------------------------------------

    async def post(self, request: Request) -> Response:
        """Chasitor/{noun}: once for each sequence, strictly one after the other."""
        noun = request.path_params["noun"]
        found, body = self._session(request), await json_body(request, may_be_empty=True)
        if noun == "ChasitorResyncState":
            if body.get("organizationId") != ORG_ID:
                raise HTTPException(400, "organizationId is missing")
            if found.needs == "resync":
                found.needs = ""
            return PlainTextResponse("OK")
        if self._is_repeat(request, found):
            return PlainTextResponse("OK")
        self._do(found, noun, body)
        found.expected += 1
        return PlainTextResponse("OK")

    async def multi_noun(self, request: Request) -> Response:
        """Several posts under one sequence, each with its `object`."""
        found, body = self._session(request), await json_body(request, may_be_empty=True)
        nouns = body.get("nouns")
        if not isinstance(nouns, list) or not nouns:
            raise HTTPException(400, "nouns is missing")
        if self._is_repeat(request, found):
            return PlainTextResponse("OK")
        for each in nouns:
            self._do(found, str(each.get("noun")), dict(each.get("object") or {}))
        found.expected += 1
        return PlainTextResponse("OK")

    def _is_repeat(self, request: Request, found: Session) -> bool:
        """Of a post that was taken already. A gap is refused: that it is 400 is a guess."""
        given = request.headers.get("x-liveagent-sequence", "")
        if not given.isdigit():
            raise HTTPException(400, "X-LIVEAGENT-SEQUENCE is missing")
        if int(given) < found.expected:
            self.service.counts["repeated_posts"] += 1
            return True
        if int(given) > found.expected:
            self.service.counts["sequence_gaps"] += 1
            raise HTTPException(400, f"sequence {given} came before {found.expected}")
        return False

    def _do(self, found: Session, noun: str, body: dict[str, Any]) -> None:
        if noun in self.service.options.fails:
            raise HTTPException(500, "a server error")
        if noun == "ChasitorInit":
            self._init(found, body)
            return
        if found.state == "new":
            raise HTTPException(400, "ChasitorInit must be the first post")
        if noun in NEEDS_AGENT and (found.state != "established" or found.needs):
            self.service.counts["early_posts"] += 1
            raise HTTPException(500, "the chat is not established")
        handler = getattr(self, f"_on_{noun}", None)
        if handler is None:
            raise HTTPException(404, "no such noun")
        handler(found, body)

    def _init(self, found: Session, body: dict[str, Any]) -> None:
        wrong = [key for key, kind in REQUIRED.items() if not isinstance(body.get(key), kind)]
        if wrong or found.state != "new":
            raise HTTPException(400, f"missing or malformed: {', '.join(wrong) or 'the session has begun'}")
        labels = {each.get("label") for each in body["prechatDetails"]}
        maps = [field for each in body["prechatEntities"] for field in each.get("entityFieldsMaps") or ()]
        if lacking := {str(each.get("label")) for each in maps} - labels:
            raise HTTPException(400, f"no detail has the label {', '.join(sorted(lacking))}")
        options, found.init = self.service.options, body
        ids = (body["organizationId"], body["deploymentId"], body["buttonId"])
        known = ids == (ORG_ID, DEPLOYMENT_ID, BUTTON_ID) or bool(body.get("agentId") or body.get("buttonOverrides"))
        reason = ""
        if not body["isPost"] or not known or body["sessionId"] != found.id:
            reason = "NoPost"
        elif options.blocked:
            reason = "Blocked"
        elif not options.online:
            reason = "Unavailable"
        if reason:
            found.state = "ended"
            found.push("ChatRequestFail", reason=reason, postChatUrl="")
            return
        found.state = "waiting"
        waiting = sum(each.state == "waiting" for each in self.service.sessions.values())
        found.push(
            "ChatRequestSuccess",
            queuePosition=waiting,
            estimatedWaitTime=-1,
            connectionTimeout=int(options.connection_timeout_s * 1000),
            geoLocation={"countryCode": "ES", "countryName": "Spain"},
            url="",
            oref="",
            postChatUrl="",
            customDetails=body["prechatDetails"],
            visitorId=found.id,
            sensitiveDataRules=options.rules,
            transcriptSaveEnabled=False,
        )
        self.service.reached_desk(found, "request", name=body["visitorName"], details=body["prechatDetails"])
        for each in self.service.requested:
            each(found)

    def _on_ChatMessage(self, found: Session, body: dict[str, Any]) -> None:
        text = body.get("text")
        if not isinstance(text, str) or not text:
            raise HTTPException(400, "text is missing")
        self.service.line(found, "Chasitor", str(found.init.get("visitorName", "")), text)
        self.service.reached_desk(found, "message", text=text)
        for each in self.service.said:
            each(found, text)

    def _on_ChasitorTyping(self, found: Session, _: dict[str, Any]) -> None:
        self.service.reached_desk(found, "typing", typing=True)

    def _on_ChasitorNotTyping(self, found: Session, _: dict[str, Any]) -> None:
        self.service.reached_desk(found, "typing", typing=False)

    def _on_ChasitorSneakPeek(self, found: Session, body: dict[str, Any]) -> None:
        if not self.service.options.sneak_peek or not isinstance(body.get("position"), int):
            raise HTTPException(400, "sneak peek is off, or position is missing")
        self.service.reached_desk(found, "sneak_peek", text=body.get("text"))

    def _on_ChasitorIdleTimeoutWarningEvent(self, found: Session, body: dict[str, Any]) -> None:
        if body.get("idleTimeoutWarningEvent") not in ("triggered", "cleared"):
            raise HTTPException(400, "idleTimeoutWarningEvent is triggered or cleared")
        self.service.reached_desk(found, "idle_warning", event=body["idleTimeoutWarningEvent"])

    def _on_CustomEvent(self, found: Session, body: dict[str, Any]) -> None:
        if not isinstance(body.get("type"), str) or not isinstance(body.get("data"), str):
            raise HTTPException(400, "type and data are strings")
        self.service.reached_desk(found, "custom_event", type=body["type"], data=body["data"])

    def _on_SensitiveDataRuleTriggered(self, found: Session, body: dict[str, Any]) -> None:
        self.service.reached_desk(found, "rules", rules=body.get("rules"))

    def _on_ChatEnd(self, found: Session, body: dict[str, Any]) -> None:
        if not body.get("reason"):
            raise HTTPException(400, "reason is missing")
        self.service.reached_desk(found, "end", reason=body["reason"])
        self.service.end(found, str(body["reason"]))

    # -- files ------------------------------------------------------------------------------------------

    async def upload(self, request: Request) -> Response:
        """Only when the agent asked, with the token that came with it."""
        query, body = request.query_params, await request.body()
        chat_key = query.get("chatKey", "")
        found = next((each for each in self.service.sessions.values() if each.chat_key == chat_key), None)
        self._note(request, found)
        if found is None or found.is_dead or query.get("orgId") != ORG_ID:
            raise HTTPException(403, "no such chat")
        if not found.file_token or query.get("fileToken") != found.file_token or query.get("encoding") != "UTF-8":
            raise HTTPException(403, "the agent did not ask for a file")
        if request.headers.get("referer") != f"{self.service.url}/_cdm" or "Mozilla" not in request.headers.get(
            "user-agent", ""
        ):
            raise HTTPException(403, "not from the page of the chat")
        try:
            part = parse(request.headers.get("content-type", ""), body)["file"]
        except (KeyError, ValueError) as exc:
            raise HTTPException(400, "file is missing") from exc
        token, found.file_token = found.file_token, ""
        if len(part.data) > MAX_FILE_BYTES:
            found.push("FileTransfer", type="Failure", fileToken=token)
            raise HTTPException(413, "the file is larger than 5 MB")
        self.service.files[token] = (part.filename, part.media_type, part.data)
        self.service.reached_desk(found, "file", name=part.filename, size=len(part.data))
        found.push("FileTransfer", type="Success", fileToken=token)
        return PlainTextResponse("OK")

    # -- visitor resources ------------------------------------------------------------------------------

    async def visitor(self, request: Request) -> Response:
        self._version(request)
        self._note(request, None)
        kind, query, options = request.path_params["noun"], request.query_params, self.service.options
        if options.switch_to:
            moved = {"type": "SwitchServer", "message": {"newUrl": options.switch_to}}
            return JSONResponse({"messages": [moved]})
        if kind == "VisitorId":
            return JSONResponse({"sessionId": str(uuid.uuid4())})
        if kind == "Breadcrumb":
            return PlainTextResponse("OK")
        if query.get("org_id") != ORG_ID or query.get("deployment_id") != DEPLOYMENT_ID:
            raise HTTPException(400, "unknown org_id or deployment_id")
        wants = query.get(f"{kind}.needEstimatedWaitTime") == "1"
        asked = query.get("Availability.ids" if kind == "Availability" else "Settings.buttonIds", "")
        results = []
        for each in [each for each in asked.split(",") if each]:
            # absent means false (reference 1.12)
            is_there = options.online and each not in options.offline
            found: dict[str, Any] = {"id": each} | ({"isAvailable": True} if is_there else {})
            results.append(found | ({"estimatedWaitTime": 30} if wants else {}))
        if kind == "Availability":
            return JSONResponse({"messages": [{"type": "Availability", "message": {"results": results}}]})
        if kind != "Settings":
            raise HTTPException(404, "no such resource")
        buttons = [{"type": "Standard", "language": "en_US", **each} for each in results]
        settings = {"pingRate": 50000, "contentServerUrl": self.service.url, "buttons": buttons}
        return JSONResponse({"messages": [{"type": "Settings", "message": settings}]})

    # -- what they share --------------------------------------------------------------------------------

    def _note(self, request: Request, found: Session | None) -> None:
        path = request.url.path if "key" not in request.path_params else "/chat/rest/System/SessionId/…"
        self.calls.append(
            {
                "n": len(self.calls),
                "at": self.service.clock.now_ms(),
                "method": request.method,
                "path": path,
                "session": found.id if found else None,
                "sequence": request.headers.get("x-liveagent-sequence"),
                "ack": request.query_params.get("ack"),
            }
        )

    def _version(self, request: Request) -> None:
        version = request.headers.get("x-liveagent-api-version", "")
        if not version.isdigit() or int(version) < 29:
            raise HTTPException(400, "X-LIVEAGENT-API-VERSION is missing or too old")

    def _session(self, request: Request, affinity: str = "") -> Session:
        self._version(request)
        found = self.service.find(request.headers.get("x-liveagent-session-key", ""))
        self._note(request, found)
        if found is None:
            raise HTTPException(403, "the session is invalid or expired")
        if request.headers.get("x-liveagent-affinity") != (affinity or found.affinity):
            raise HTTPException(503, "the affinity has changed")
        return found
