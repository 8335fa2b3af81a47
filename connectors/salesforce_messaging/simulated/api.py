"""The custom-client API v2 of the simulated org, endpoint by endpoint (reference 2.2 to 2.7, 2.10, 2.11)."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from connectors.salesforce.simulator import json_body
from connectors.salesforce_messaging.simulated.feeds import EventStream
from connectors.salesforce_messaging.simulated.org import DEVELOPER_NAME, ORG_ID, Conversation, Org, Sender
from connectors.salesforce_messaging.simulated.tokens import Token
from omnibridge.connector.form_data import parse

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
MAX_FILE_BYTES = 5 * 1024 * 1024
TYPING = ("TypingStartedIndicator", "TypingStoppedIndicator")
ACKS = {
    "Delivery": "DeliveryAcknowledgement",
    "Read": "ReadAcknowledgement",
    "DeliveryAcknowledgement": "DeliveryAcknowledgement",
    "ReadAcknowledgement": "ReadAcknowledgement",
}
_Found = TypeVar("_Found")
_URL_AT_AN_END = re.compile(r"(?:^(https?://\S+)(?=\s))|(?:(?<=\s)(https?://\S+)$)")


class Api:
    """Handlers. calls: every request that got here, in order of arrival; tokens by number, never their text.
    limited: those that were over a limit (429)."""

    def __init__(self, org: Org) -> None:
        self.org = org
        self.calls: list[dict[str, Any]] = []
        self.issued: list[dict[str, Any]] = []
        self.limited: list[dict[str, Any]] = []

    # -- tokens -----------------------------------------------------------------------------------------

    async def guest_token(self, request: Request) -> Response:
        return self._token(await json_body(request), request, "guest")

    async def verified_token(self, request: Request) -> Response:
        return self._token(await json_body(request), request, "verified")

    def _token(self, body: dict[str, Any], request: Request, kind: str) -> Response:
        self._note(request)
        self._limit("tokens", ORG_ID, self.org.options.tokens_per_minute, 60)
        if str(body.get("orgId", ""))[:15] != ORG_ID or body.get("esDeveloperName") != DEVELOPER_NAME:
            raise HTTPException(400, "unknown orgId or esDeveloperName, or the deployment is not published")
        if body.get("capabilitiesVersion") != "1" or body.get("platform") != "Web":
            raise HTTPException(400, "capabilitiesVersion and platform are needed")
        if kind == "verified" and body.get("authorizationType") != "JWT":
            raise HTTPException(400, "authorizationType must be JWT")
        identity = str(body.get("customerIdentityToken", ""))
        text, token = self.org.tokens.guest() if kind == "guest" else self.org.tokens.verified(identity)
        return self._granted(text, token, kind, str(body.get("deviceId") or uuid.uuid4()))

    async def continuation(self, request: Request) -> Response:
        token = self._token_of(request)
        self._limit("renewals", ORG_ID, self.org.options.tokens_per_minute, 60)
        text, renewed = self.org.tokens.renewed(token)
        return self._granted(text, renewed, "continuation", str(uuid.uuid4()))

    async def revoke(self, request: Request) -> Response:
        token = self._token_of(request)
        if not token.is_verified:
            raise HTTPException(400, "only tokens of verified users can be revoked")
        self.org.tokens.revoke(token)
        self.org.feeds.wake_all()
        return Response(status_code=204)

    def _granted(self, text: str, token: Token, asked: str, device: str) -> Response:
        org = self.org
        self.issued.append({"n": token.n, "at": org.clock.now_ms(), "asked": asked, "subject": token.subject})
        context = "Session" if org.options.prechat_per_session else "Conversation"
        config = {
            "name": DEVELOPER_NAME,
            "deploymentType": "Api",
            "embeddedServiceMessagingChannel": {
                "channelAddressIdentifier": "c3b1a7de-0000-4000-8000-00000000add0",
                "authMode": "Auth" if token.is_verified else "UnAuth",
            },
            "forms": [{"displayContext": context, "formFields": []}],
            "choiceListConfig": {"choiceList": []},
        }
        found = {
            "accessToken": text,
            "lastEventId": str(org.feeds.last_id),
            "context": {
                "deviceId": device,
                "endUser": {"subject": token.subject},
                "configuration": {"embeddedServiceConfig": config},
            },
        }
        return JSONResponse(found)

    # -- conversations ----------------------------------------------------------------------------------

    async def create(self, request: Request) -> Response:
        token, body = self._token_of(request), await json_body(request)
        cid = self._uuid(body.get("conversationId"), "conversationId")
        self._deployment(body.get("esDeveloperName"))
        known = self.org.conversations.get(cid)
        if known is not None and known.subject != token.subject:
            raise HTTPException(404, "no such conversation of this user")
        if known is not None:
            return JSONResponse({"conversationId": cid})
        self._limit("starts", token.client, self.org.options.starts_per_30_s, 30)
        self.org.open(token, cid, body)
        return JSONResponse({"conversationId": cid}, 201)

    async def show(self, request: Request) -> Response:
        found = self._conversation(request, self._token_of(request))
        return JSONResponse({"conversationId": found.id, "routingStatus": found.routing_status})

    async def listing(self, request: Request) -> Response:
        token, query = self._token_of(request), request.query_params
        closed_too = query.get("inclClosedConvs", "false") == "true"
        own = [each for each in self.org.conversations.values() if each.subject == token.subject]
        found = [each for each in own if closed_too or not each.is_closed]
        begin, end = self._ms(query.get("startTimestamp"), 0), self._ms(query.get("endTimestamp"), 1 << 62)
        found = [each for each in found if begin <= each.created_ms <= end]
        found = found[: self._count(query.get("limit", "20"))]
        shown = [
            {
                "conversationId": each.id,
                "startTimestamp": each.created_ms,
                "endTimestamp": each.entries[-1]["transcriptedTimestamp"] if each.is_closed else 0,
                "conversationOwner": token.subject,
            }
            for each in found
        ]
        opened = sum(not each.is_closed for each in own)
        return JSONResponse({"openConversationsFound": opened, "conversations": shown})

    async def entries(self, request: Request) -> Response:
        """Newest first, but for direction FromStart; payloads are objects here."""
        found, query = self._conversation(request, self._token_of(request)), request.query_params
        wanted = {each for each in query.get("entryTypeFilter", "").split(",") if each}
        begin, end = self._ms(query.get("startTimestamp"), 0), self._ms(query.get("endTimestamp"), 1 << 62)
        rows = [
            each
            for each in found.entries
            if begin <= each["transcriptedTimestamp"] <= end and (not wanted or each["entryType"] in wanted)
        ]
        direction = query.get("direction", "FromEnd")
        if direction not in ("FromStart", "FromEnd"):
            raise HTTPException(400, "direction is FromStart or FromEnd")
        rows = rows if direction == "FromStart" else rows[::-1]
        return JSONResponse({"conversationEntries": rows[: self._count(query.get("limit", "20"))]})

    async def end_session(self, request: Request) -> Response:
        found = self._conversation(request, self._token_of(request))
        self._deployment(request.query_params.get("esDeveloperName"))
        self.org.end(found, "EndUser")
        return Response(status_code=204)

    async def close(self, request: Request) -> Response:
        token = self._token_of(request)
        found = self._conversation(request, token)
        self._deployment(request.query_params.get("esDeveloperName"))
        if not found.is_closed:
            self.org.close(found, token)
        return Response(status_code=204)

    # -- what the visitor sends -------------------------------------------------------------------------

    async def message(self, request: Request) -> Response:
        token, body = self._token_of(request), await json_body(request)
        said = body.get("message")
        return self._take(request, token, body, dict(said) if isinstance(said, dict) else {}, None)

    async def file(self, request: Request) -> Response:
        token = self._token_of(request)
        try:
            parts = parse(request.headers.get("content-type", ""), await request.body())
            body, data = json.loads(parts["messageEntry"].data), parts["fileData"]
        except (KeyError, ValueError, ClientDisconnect) as exc:
            raise HTTPException(400, "messageEntry or fileData is missing or malformed") from exc
        if len(data.data) > MAX_FILE_BYTES:
            raise HTTPException(400, "the file is larger than 5 MB")
        said = dict(body.get("message") or {})
        file_id = self._uuid(said.get("fileId"), "fileId")
        shown = {
            "id": file_id,
            "name": data.filename,
            "mimeType": data.media_type,
            "url": f"{self.org.url}/_files/{file_id}",
        }
        self.org.files.setdefault(file_id, (data.filename, data.media_type, data.data))
        content = {"formatType": "Attachments", "text": str(said.pop("text", "") or ""), "attachments": [shown]}
        said |= {"messageType": "StaticContentMessage", "staticContent": content}
        return self._take(request, token, body, said, len(data.data))

    def _take(
        self, request: Request, token: Token, body: dict[str, Any], said: dict[str, Any], size: int | None
    ) -> Response:
        """A message of the visitor: once for each id."""
        org, found = self.org, self._conversation(request, token)
        self._deployment(body.get("esDeveloperName"))
        message_id = self._uuid(said.get("id"), "message id")
        problem = problem_of(said)
        if problem:
            raise HTTPException(400, problem)
        if len(said_of(said).encode("utf-16-le", "surrogatepass")) > 2 * org.options.longest_text:
            raise HTTPException(400, "the text is too long")
        if message_id in found.taken:
            for each in org.desk:
                if each.get("id") == message_id:
                    each["repeats"] += 1
            return JSONResponse(found.taken[message_id], 202)
        if found.is_closed:
            raise HTTPException(400, "the conversation is closed")
        self._limit("messages", found.id, org.options.messages_per_minute, 60)
        if found.session is None:
            is_new = body.get("isNewMessagingSession") is True
            attributes = body.get("routingAttributes")
            if org.options.prechat_per_session and not (is_new and isinstance(attributes, dict)):
                raise HTTPException(417, "there is no messaging session, and pre-chat is per session")
            has_all = not is_new or (isinstance(attributes, dict) and bool(body.get("language")))
            org.begin(found, attributes, is_routed=has_all)
        elif found.session.status == "Inactive":
            org.status(found, "Active")
        answer = {"conversationEntries": [{"id": message_id, "clientTimestamp": org.clock.now_ms()}]}
        found.taken[message_id] = answer
        self._enter(found, token, said, size, is_new=body.get("isNewMessagingSession") is True)
        return JSONResponse(answer, 202)

    def _enter(
        self, found: Conversation, token: Token, said: dict[str, Any], size: int | None, *, is_new: bool
    ) -> None:
        """Into the desk's ledger first, then its echo: two of them, when a URL stands at an end of the text."""
        org = self.org
        sender = Sender("EndUser", token.subject, "Guest", "iamessage", token.client)
        text = said_of(said)
        facts = {"id": said["id"], "type": said["messageType"], "text": text, "token": token.n, "repeats": 0}
        org.reached_desk(found, "message" if size is None else "file", **facts, said=said, size=size, is_new=is_new)
        url = _URL_AT_AN_END.search(text) if said["messageType"] == "StaticContentMessage" and size is None else None
        abstract = {"references": [], "inReplyToMessageId": None, **said}
        if url:
            rest = (text[: url.start()] + text[url.end() :]).strip()
            abstract["staticContent"] = {**said["staticContent"], "text": rest}
        org.message(found, sender, abstract)
        if url:
            link = {"formatType": "RichLink", "linkItem": {"titleItem": {"title": url[0]}, "url": url[0]}}
            preview = {"id": str(uuid.uuid4()), "messageType": "StaticContentMessage", "staticContent": link}
            org.message(found, sender, {"references": [], "inReplyToMessageId": None, **preview})
        for each in org.said:
            each(found, said)

    async def entry(self, request: Request) -> Response:
        token, body = self._token_of(request), await json_body(request)
        found = self._conversation(request, token)
        self._uuid(body.get("id"), "id")
        if body.get("entryType") not in TYPING:
            raise HTTPException(400, "entryType is not one of those that can be sent")
        self.org.reached_desk(found, "typing", typing=body["entryType"] == TYPING[0])
        return Response(status_code=202)

    async def acknowledge(self, request: Request) -> Response:
        token, body = self._token_of(request), await json_body(request)
        found = self._conversation(request, token)
        acks = body.get("acks")
        if not self.org.options.receipts or not isinstance(acks, list) or not acks:
            raise HTTPException(400, "receipts are off, or acks is missing")
        for each in acks:
            if each.get("entryType") not in ACKS:
                raise HTTPException(400, "entryType of an acknowledgement is not known")
            self._uuid(each.get("id"), "id")
            of = each.get("conversationEntryId")
            self.org.reached_desk(found, "receipt", type=ACKS[each["entryType"]], of=of)
        return Response(status_code=202)

    # -- stream, files, business hours ------------------------------------------------------------------

    async def stream(self, request: Request) -> Response:
        token, headers = self._token_of(request), request.headers
        last = headers.get("last-event-id", "")
        if headers.get("x-org-id", "")[:15] != ORG_ID or not last.isdigit():
            raise HTTPException(400, "X-Org-Id or Last-Event-Id is missing")
        tokens = self.org.tokens
        return EventStream(self.org.feeds, token, int(last), lambda: tokens.is_alive(token))

    async def download(self, request: Request) -> Response:
        self._token_of(request)
        name, media_type, data = self._or_404(self.org.files.get(request.path_params["fid"]))
        del name
        return Response(data, media_type=media_type)

    async def business_hours(self, request: Request) -> Response:
        if request.query_params.get("esConfigName") != DEVELOPER_NAME:
            raise HTTPException(400, "unknown esConfigName")
        return JSONResponse(self.org.options.business_hours)

    # -- what they share --------------------------------------------------------------------------------

    def _note(self, request: Request, token: Token | None = None) -> None:
        self.calls.append(
            {
                "n": len(self.calls),
                "at": self.org.clock.now_ms(),
                "method": request.method,
                "path": request.url.path,
                "token": None if token is None else token.n,
                "last_event_id": request.headers.get("last-event-id"),
            }
        )

    def _token_of(self, request: Request) -> Token:
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        token = self.org.tokens.find(text) if scheme == "Bearer" else None
        self._note(request, token)
        if token is None:
            raise HTTPException(401, "the token is invalid or expired")
        return token

    def _conversation(self, request: Request, token: Token) -> Conversation:
        found = self.org.conversations.get(request.path_params["cid"])
        return self._or_404(found if found and found.subject == token.subject else None)

    def _limit(self, kind: str, key: str, most: int, seconds: float) -> None:
        wait = self.org.windows.take(kind, key, most, seconds)
        if wait > 0:
            self.limited.append({"at": self.org.clock.now_ms(), "limit": kind, "of": key})
            headers = {"Retry-After": str(int(wait) + 1)} if self.org.options.retry_after else None
            raise HTTPException(429, f"more than {most} in {seconds:.0f} s", headers)

    @staticmethod
    def _or_404(found: _Found | None) -> _Found:
        if found is None:
            raise HTTPException(404, "no such conversation or resource")
        return found

    @staticmethod
    def _uuid(value: object, name: str) -> str:
        if not isinstance(value, str) or not UUID4.fullmatch(value):
            raise HTTPException(400, f"{name} must be in the UUID v4 format, in lower case")
        return value

    @staticmethod
    def _deployment(name: object) -> None:
        if name != DEVELOPER_NAME:
            raise HTTPException(400, "unknown esDeveloperName")

    @staticmethod
    def _ms(text: str | None, missing: int) -> int:
        if text is not None and not text.isdigit():
            raise HTTPException(400, "a timestamp is in milliseconds")
        return missing if text is None else int(text)

    @staticmethod
    def _count(text: str) -> int:
        if not text.isdigit() or not 1 <= int(text) <= 50:
            raise HTTPException(400, "limit is 1 to 50")
        return int(text)


def problem_of(said: dict[str, Any]) -> str:
    """What is wrong with a message of the visitor; empty = nothing."""
    kind = said.get("messageType")
    if kind == "StaticContentMessage":
        content = said.get("staticContent")
        if not isinstance(content, dict) or content.get("formatType") not in ("Text", "Attachments"):
            return "staticContent of formatType Text is missing"
        if content["formatType"] == "Text" and not (isinstance(content.get("text"), str) and content["text"]):
            return "text is missing"
        return ""
    if kind == "ChoicesResponseMessage":
        answer = said.get("choicesResponse")
        options = answer.get("selectedOptions") if isinstance(answer, dict) else None
        if not isinstance(options, list) or not options or not said.get("inReplyToMessageId"):
            return "selectedOptions or inReplyToMessageId is missing"
        return "" if all(each.get("optionIdentifier") for each in options) else "optionIdentifier is missing"
    if kind == "FormResponseMessage":
        return "" if isinstance(said.get("formResponse"), dict) else "formResponse is missing"
    return "messageType is not one that can be sent"


def said_of(said: dict[str, Any]) -> str:
    """A message of the visitor in words, for the ledger."""
    if "choicesResponse" in said:
        return ",".join(each["optionIdentifier"] for each in said["choicesResponse"]["selectedOptions"])
    if "formResponse" in said:
        return json.dumps(said["formResponse"], sort_keys=True)
    return str(said["staticContent"].get("text") or "")
