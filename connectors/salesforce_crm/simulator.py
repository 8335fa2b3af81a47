"""A stand-in for an org: OAuth tokens and the REST API for records, with faults to switch on and a ledger.

simple-salesforce itself talks to it; the connector lets its https addresses of this machine be answered by http.
Refuses as the platform does (reference 3.6); what it answers with which status is in `org.py`.
"""

from __future__ import annotations

import asyncio
import base64
import random
import secrets
import time
from collections import Counter
from typing import Any
from urllib.parse import parse_qs, quote, unquote

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.salesforce_crm.omni.events.simulator import PubSub
from connectors.salesforce_crm.omni.org import OmniOrg
from connectors.salesforce_crm.org import FIELDS, ORG, READ_ONLY, READ_ONLY_OF, Refused
from connectors.salesforce_crm.soql import Malformed, Query, parse

CLIENT_ID = "sandbox-crm-client"
CLIENT_SECRET = "sandbox-crm-secret"  # noqa: S105 - published: for the sandbox alone
USERNAME = "integration@sandbox.invalid"
DATA = "/services/data/v{version}"
LONGEST_URI = 16_000
"""Reference 3.4."""


class Simulator:
    """State and handlers. page: rows per page of a query. limit: calls that are left, None = as many as you like."""

    def __init__(self) -> None:
        self.org = OmniOrg()
        self.events = PubSub(self)
        self.calls: Counter[str] = Counter()
        self.logins: list[str] = []
        self.failures: Counter[str] = Counter()
        self.jwt_key: Any = None
        self.reset()

    def reset(self) -> None:
        self.org.__init__()  # type: ignore[misc]
        self.org.listeners.append(self.events.publish)
        self.events.reset()
        for each in (self.calls, self.logins, self.failures):
            each.clear()
        self.tokens: dict[str, float] = {}
        self.fail_next: list[dict[str, Any]] = []
        self.down, self.delay_ms, self.page, self.token_s = False, 0, 2000, 7200.0
        self.revoked = False
        self.limit: int | None = None
        self.lock_rate, self.cut_rate = 0.0, 0.0
        self.random = random.Random(7)  # noqa: S311 - seeded, for faults
        self.locators: dict[str, tuple[Query, list[dict[str, Any]], int]] = {}
        self.used = 0

    def app(self) -> Starlette:
        one = f"{DATA}/sobjects/{{name}}/{{id}}"
        app = Starlette(
            lifespan=self.events.lifespan,
            routes=[
                Route("/services/oauth2/token", self.token, methods=["POST"]),
                Route(f"{DATA}/query/", self._endpoint(self.query)),
                Route(f"{DATA}/query/{{locator}}", self._endpoint(self.more)),
                Route(f"{DATA}/limits", self._endpoint(self.limits)),
                Route(f"{DATA}/limits/", self._endpoint(self.limits)),
                Route(f"{DATA}/sobjects/{{name}}/", self._endpoint(self.create), methods=["POST"]),
                Route(f"{DATA}/sobjects/{{name}}", self._endpoint(self.create), methods=["POST"]),
                Route(f"{DATA}/sobjects/{{name}}/describe", self._endpoint(self.describe)),
                Route(f"{one}/VersionData", self._endpoint(self.download)),
                Route(f"{one}/{{value:path}}", self._endpoint(self.by_key), methods=["GET", "PATCH"]),
                Route(one, self._endpoint(self.one), methods=["GET", "PATCH", "DELETE"]),
                Route("/_sandbox/ledger", self.show_ledger),
                Route("/_sandbox/control", self.control, methods=["POST"]),
                Route("/_sandbox/reset", self.start_again, methods=["POST"]),
            ],
        )
        app.state.connection_settings = f'client_id = "{CLIENT_ID}"\nclient_secret = "{CLIENT_SECRET}"'
        app.state.simulator = self
        return app

    # -- OAuth ------------------------------------------------------------------------------------------

    async def token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        grant = form.get("grant_type", "")
        self.logins.append(grant)
        if self.down:
            return Response("<html>down for maintenance</html>", 503, media_type="text/html")
        if failure := self._failure("login", ""):
            return _error(failure)
        if grant == "client_credentials":
            wanted = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
            if request.headers.get("authorization") != f"Basic {wanted}":
                return _oauth("invalid_client", "invalid client credentials", 401)
        elif grant == "urn:ietf:params:oauth:grant-type:jwt-bearer":
            problem = self._jwt_problem(form.get("assertion", ""))
            if problem:
                return _oauth("invalid_grant", problem, 400)
        else:
            return _oauth("unsupported_grant_type", "grant type not supported", 400)
        if self.revoked:
            return _oauth("invalid_grant", "user hasn't approved this consumer", 400)
        token = f"{ORG}!{secrets.token_urlsafe(24)}"
        self.tokens[token] = time.monotonic() + self.token_s
        return JSONResponse(
            {
                "access_token": token,
                "instance_url": f"http://{request.headers['host']}",
                "id": f"http://{request.headers['host']}/id/{ORG}/0055g00000SandboxAAA",
                "token_type": "Bearer",
                "issued_at": str(time.time_ns() // 1_000_000),
            }
        )

    def _jwt_problem(self, assertion: str) -> str:
        import jwt

        if self.jwt_key is None:
            return "no certificate"
        try:
            claims = jwt.decode(assertion, self.jwt_key, ["RS256"], options={"verify_aud": False})
        except jwt.InvalidTokenError as exc:
            return f"invalid assertion: {type(exc).__name__}"
        if claims.get("iss") != CLIENT_ID or claims.get("sub") != USERNAME:
            return "user hasn't approved this consumer"
        return "" if str(claims.get("aud", "")).startswith("http") else "audience is invalid"

    # -- records ----------------------------------------------------------------------------------------

    def _endpoint(self, handle: Any) -> Any:
        async def endpoint(request: Request) -> Response:
            try:
                body = await request.body()
            except ClientDisconnect:  # its process was killed while it wrote
                return Response(status_code=499)
            kind = f"{request.method} {request.path_params.get('name') or request.url.path.split('/')[4]}"
            self.calls[kind] += 1
            before, after = self._refusal(request, kind), None
            if before is not None and not before.get("after_effect"):
                return self._send(_error(before))
            if self.delay_ms:
                await asyncio.sleep(self.delay_ms / 1000)
            self.org.advance()
            try:
                answer: Response = await handle(request, body)
            except Refused as exc:
                answer = JSONResponse(exc.body, exc.status)
            if before is not None:
                after = _error(before)
            return self._send(after or answer)

        return endpoint

    def _refusal(self, request: Request, kind: str) -> dict[str, Any] | None:
        """What stands in the way of a call; counted by its code."""
        if self.down:
            return {"status": 503, "html": True}
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self.tokens.get(token, 0) < time.monotonic():
            return {"status": 401, "code": "INVALID_SESSION_ID", "message": "Session expired or invalid"}
        self.used += 1
        if self.limit is not None:
            if self.limit <= 0:
                self.failures["REQUEST_LIMIT_EXCEEDED"] += 1
                return {"status": 403, "code": "REQUEST_LIMIT_EXCEEDED", "message": "TotalRequests Limit exceeded."}
            self.limit -= 1
        found = self._failure(request.method, kind)
        writes = request.method in ("POST", "PATCH", "DELETE")
        if found is None and writes and self.random.random() < self.lock_rate:
            found = {"status": 400, "code": "UNABLE_TO_LOCK_ROW", "message": "unable to obtain exclusive access"}
        if found is None and writes and self.random.random() < self.cut_rate:
            found = {"status": 502, "html": True, "code": "cut", "after_effect": True}
        if found is not None:
            self.failures[str(found.get("code", found.get("status")))] += 1
        return found

    def _failure(self, method: str, kind: str) -> dict[str, Any] | None:
        for each in self.fail_next:
            if each.get("count", 1) > 0 and each.get("match", "") in f"{method} {kind}":
                each["count"] = each.get("count", 1) - 1
                return each
        return None

    def _send(self, answer: Response) -> Response:
        answer.headers["Sforce-Limit-Info"] = f"api-usage={self.used}/100000"
        return answer

    async def create(self, request: Request, body: bytes) -> Response:
        data, save = self._wanted(request, body)
        record_id = self.org.create(request.path_params["name"], data, allow_duplicates=save)
        return JSONResponse({"id": record_id, "success": True, "errors": []}, 201)

    async def one(self, request: Request, body: bytes) -> Response:
        name, record_id = request.path_params["name"], request.path_params["id"]
        if request.method == "GET":
            return JSONResponse(_shown(name, self.org.get(name, record_id)))
        if request.method == "DELETE":
            self.org.delete(name, record_id)
        else:
            data, save = self._wanted(request, body)
            self.org.update(name, record_id, data, allow_duplicates=save)
        return Response(status_code=204)

    def _wanted(self, request: Request, body: bytes) -> tuple[dict[str, Any], bool]:
        """(fields, whether duplicates may be made). Assignment rules work at each call that does not forbid it."""
        data = _json(body)
        may = request.headers.get("sforce-auto-assign", "true").lower() != "false"
        if may and self.org.assignee and request.path_params["name"] in ("Case", "Lead", "Account"):
            data["OwnerId"] = self.org.assignee
        return data, "allowsave=true" in request.headers.get("sforce-duplicate-rule-header", "").lower()

    async def by_key(self, request: Request, body: bytes) -> Response:
        name, field, value = (request.path_params[each] for each in ("name", "id", "value"))
        value = unquote(value)
        if request.method == "GET":
            found = self.org.by_key(name, field, value)
            if not found:
                raise Refused("NOT_FOUND", "The requested resource does not exist", 404)
            return JSONResponse(_shown(name, found[0]))
        data, save = self._wanted(request, body)
        record_id, created = self.org.upsert(name, field, value, data, allow_duplicates=save)
        return JSONResponse(
            {"id": record_id, "success": True, "errors": [], "created": created}, 201 if created else 200
        )

    async def download(self, request: Request, _: bytes) -> Response:
        record_id = self.org.get(request.path_params["name"], request.path_params["id"])["Id"]
        return Response(self.org.uploads[record_id], media_type="application/octet-stream")

    async def describe(self, request: Request, _: bytes) -> Response:
        name = request.path_params["name"]
        self.org.of(name)
        known = FIELDS.get(name, set()) | {"Id", "CreatedDate", "LastModifiedDate"} | self.org.custom
        known |= {"IsPersonAccount", "PersonContactId"} if name == "Account" else set()
        closed = READ_ONLY | READ_ONLY_OF.get(name, set())
        fields = [
            {"name": each, "createable": each not in closed, "updateable": each not in closed,
             "externalId": each.endswith("_Key__c")}
            for each in sorted(known)
        ]  # fmt: skip
        return JSONResponse({"name": name, "fields": fields})

    async def query(self, request: Request, _: bytes) -> Response:
        if len(request.url.query) > LONGEST_URI:
            raise Refused("URI_TOO_LONG", "URI Too Long", 414)
        try:
            asked = parse(request.query_params.get("q", ""))
            found = asked.run(self.org.of(asked.source).values())
        except Malformed as exc:
            raise Refused("MALFORMED_QUERY", str(exc)) from exc
        if asked.counts:
            return JSONResponse({"totalSize": len(found), "done": True, "records": []})
        return self._page(request, asked, found, len(found))

    async def more(self, request: Request, _: bytes) -> Response:
        known = self.locators.pop(request.path_params["locator"], None)
        if known is None:
            raise Refused("INVALID_QUERY_LOCATOR", "invalid query locator")
        return self._page(request, *known)

    def _page(self, request: Request, asked: Query, found: list[dict[str, Any]], total: int) -> Response:
        here, rest = found[: self.page], found[self.page :]
        records = [
            {"attributes": {"type": asked.source}, **{field: each.get(field) for field in asked.fields}}
            for each in here
        ]
        answer = {"totalSize": total, "done": not rest, "records": records}
        if rest:
            locator = secrets.token_hex(9)
            self.locators[locator] = (asked, rest, total)
            answer["nextRecordsUrl"] = f"{request.url.path.split('/query')[0]}/query/{quote(locator)}"
        return JSONResponse(answer)

    async def limits(self, _: Request, __: bytes) -> Response:
        return JSONResponse({"DailyApiRequests": {"Max": 100_000, "Remaining": 100_000 - self.used}})

    # -- for tests and people ---------------------------------------------------------------------------

    async def show_ledger(self, _: Request) -> Response:
        self.org.advance()
        records = {name: list(each.values()) for name, each in self.org.records.items() if each}
        return JSONResponse(
            {
                "records": records,
                "changes": self.org.changes,
                "calls": dict(self.calls),
                "logins": self.logins,
                "failures": dict(self.failures),
                "omni": self.org.ledger(),
                "events": self.events.ledger(),
                "texts": {
                    key: data.decode("utf-8", "replace") for key, data in self.org.uploads.items() if len(data) < 10_000
                },
            }
        )

    async def control(self, request: Request) -> Response:
        """down, delay_ms, page, token_s, revoked, limit, lock_rate, cut_rate, duplicate_rule, expire_tokens,
        fail_next [{status, code, message, count, match, html, body, after_effect}], create [[object, fields]], omni,
        events: see PubSub.control."""
        wish = await request.json()
        for name in ("down", "delay_ms", "page", "token_s", "revoked", "limit", "lock_rate", "cut_rate"):
            if name in wish:
                setattr(self, name, wish[name])
        self.org.duplicate_rule = bool(wish.get("duplicate_rule", self.org.duplicate_rule))
        self.fail_next += wish.get("fail_next", [])
        if wish.get("expire_tokens"):
            self.tokens.clear()
        made = self.org.control(wish.get("omni", {}))
        if "events" in wish:
            made |= await self.events.control(wish["events"])
        return JSONResponse({"ids": [self.org.create(name, data) for name, data in wish.get("create", [])], **made})

    async def start_again(self, _: Request) -> Response:
        self.reset()
        return JSONResponse({"ok": True})


def create_simulator() -> Starlette:
    """Entry point of `omnibridge.simulators`."""
    return Simulator().app()


def _json(body: bytes) -> dict[str, Any]:
    import json

    try:
        found = json.loads(body)
    except ValueError:
        raise Refused("JSON_PARSER_ERROR", "The HTTP entity body is required, but this request has none") from None
    if not isinstance(found, dict):
        raise Refused("JSON_PARSER_ERROR", "an object was expected")
    return found


def _shown(name: str, record: dict[str, Any]) -> dict[str, Any]:
    return {"attributes": {"type": name, "url": f"/sobjects/{name}/{record['Id']}"}, **record}


def _error(failure: dict[str, Any]) -> Response:
    status = int(failure.get("status", 500))
    if failure.get("html"):
        return Response("<html>Service unavailable: vera@example.com</html>", status, media_type="text/html")
    if "body" in failure:
        return Response(failure["body"], status, media_type="application/json")
    code = failure.get("code", "UNKNOWN_EXCEPTION")
    return JSONResponse([{"message": failure.get("message", code), "errorCode": code}], status)


def _oauth(error: str, description: str, status: int) -> Response:
    return JSONResponse({"error": error, "error_description": description}, status)
