"""A stand-in for Dialogflow ES and CX over gRPC, with faults to switch on, and a ledger of its own under `/_sandbox/`.

As the real service: a query that began is worked on to its end even if the caller hangs up; nothing is idempotent;
ES refuses more than 256 characters; contexts are forgotten (here when told to). The words are those of `dialogue`.
"""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.dialogflow.cable import Cable
from connectors.dialogflow.dialogue import Said, answer, answer_event
from omnibridge.connector.simulating import next_failure, now_ms

AGENT = "5b0cb5a6-5c1c-4b7e-9a7e-0d6f1f3f6a11"
"""The CX agent."""

_ES = re.compile(r"projects/[^/]+(/locations/[^/]+)?/agent(/environments/[^/]+/users/[^/]+)?/sessions/([^/]+)")
_CX = re.compile(r"projects/[^/]+/locations/[^/]+/agents/[^/]+(/environments/[^/]+)?/sessions/([^/]+)")
_BY_HTTP = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL"}


class Simulator:
    """State and handlers. ledger: one entry per query that arrived, in order of arrival."""

    def __init__(self) -> None:
        self.ledger: list[dict[str, Any]] = []
        self.contexts: defaultdict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        self.parameters: defaultdict[str, dict[str, Any]] = defaultdict(dict)
        self.fail_next: list[dict[str, Any]] = []
        self.delay_ms = 0
        self.public_key = self.project = ""
        self.reads = 0
        self.is_unreadable = False
        self.work: set[asyncio.Task[Any]] = set()
        self._server: Any = None
        self._starting = asyncio.Lock()

    def app(self) -> Starlette:
        """Raises ImportError without Google's libraries; they are loaded when somebody connects: it takes long."""
        for module in ("grpc", "google.cloud"):
            if find_spec(module) is None:
                raise ImportError(f"{module} is missing: pip install 'omnibridge[dialogflow]'")
        return Starlette(
            lifespan=self._run,
            routes=[
                Route("/_sandbox/ledger", self.show_ledger),
                Route("/_sandbox/control", self.control, methods=["POST"]),
                Route("/_sandbox/reset", self.reset, methods=["POST"]),
            ],
        )

    @asynccontextmanager
    async def _run(self, app: Starlette) -> AsyncIterator[None]:
        self.cable = Cable(self._far_end)
        await self.cable.plug()
        app.state.connection_settings = (
            f'url = "grpc://127.0.0.1:{self.cable.port}"\nproject = "simulated"\nfields = {{ ticket = "ticket" }}'
        )
        yield
        await self.cable.aclose()
        for each in self.work:
            each.cancel()
        if self._server is not None:
            await self._server.stop(None)

    async def _far_end(self) -> int:
        """The port of the gRPC server, which is started when it is needed."""
        async with self._starting:
            if self._server is None:
                self._types: Any = await asyncio.to_thread(import_module, "connectors.dialogflow.simulated")
                self._grpc: Any = import_module("grpc")
                self._server = self._grpc.aio.server()
                self._server.add_generic_rpc_handlers(
                    self._types.handlers(self.detect_es, self.detect_cx, self.read_context)
                )
                self._port = int(self._server.add_insecure_port("127.0.0.1:0"))
                await self._server.start()
            return self._port

    async def detect_es(self, request: Any, context: Any) -> Any:
        text = request.query_input.text
        wrong = "" if _ES.fullmatch(request.session) else "Invalid session"
        if len(text.text) > 256:
            wrong = "Input text exceeds 256 characters."
        if not (text.language_code or request.query_input.event.language_code):
            wrong = "No language"
        return await self._detect("es", request, context, wrong, self._turn_es)

    async def detect_cx(self, request: Any, context: Any) -> Any:
        wrong = "" if _CX.fullmatch(request.session) else "Invalid session"
        if not request.query_input.language_code:
            wrong = "No language"
        return await self._detect("cx", request, context, wrong, self._turn_cx)

    async def _detect(self, edition: str, request: Any, context: Any, wrong: str, turn: Any) -> Any:
        codes = self._grpc.StatusCode
        metadata = {key: value for key, value in context.invocation_metadata()}
        if not wrong and len(request.session.rpartition("/")[2]) > 36:
            wrong = "Session id is longer than 36"
        if not wrong and f"session={request.session}" not in metadata.get("x-goog-request-params", "").replace(
            "%2F", "/"
        ):
            wrong = "No routing header"
        entry = self._enter(edition, request)
        if self.public_key and not self._is_genuine(metadata.get("authorization", "")):
            entry["outcome"] = "failed"
            await context.abort(codes.UNAUTHENTICATED, "Request had invalid authentication credentials.")
        if self.project and not request.session.startswith(f"projects/{self.project}/"):
            entry["outcome"] = "refused"
            await context.abort(codes.PERMISSION_DENIED, f"IAM permission denied on {request.session}.")
        if wrong:
            entry["outcome"] = "refused"
            await context.abort(codes.INVALID_ARGUMENT, wrong)
        failure = next_failure(self.fail_next)
        code = str(failure.get("code") or _BY_HTTP.get(failure.get("status", 0), "UNAVAILABLE")) if failure else ""
        if failure and not failure.get("after_effect"):
            entry["outcome"] = "failed"
            await self._fail(context, code, failure)
        # As the real one: that the caller hangs up ends nothing.
        working = asyncio.create_task(turn(request, entry))
        self.work.add(working)
        working.add_done_callback(self.work.discard)
        found = await asyncio.shield(working)
        if failure:
            await self._fail(context, code, failure)
        return found

    async def read_context(self, request: Any, context: Any) -> Any:
        """One context of a session, as the Contexts service has it."""
        self.reads += 1
        session, _, name = request.name.partition("/contexts/")
        metadata = {key: value for key, value in context.invocation_metadata()}
        if self.public_key and not self._is_genuine(metadata.get("authorization", "")):
            await context.abort(self._grpc.StatusCode.UNAUTHENTICATED, "Request had invalid credentials.")
        if name not in self.contexts[session]:
            await context.abort(self._grpc.StatusCode.NOT_FOUND, "Context not found.")
        return self._types.es_context(request.name, self.contexts[session][name])

    async def _turn_es(self, request: Any, entry: dict[str, Any]) -> Any:
        """When a query's contexts can be read is not documented: here at its end, which is the worst for a reader."""
        active = {name: dict(parameters) for name, parameters in self.contexts[request.session].items()}
        for each in request.query_params.contexts:
            if each.lifespan_count > 1:
                active[each.name.rpartition("/")[2]] = dict(each.parameters or {})
        memo = str(active.get(self._types.MEMO, {}).get("text", ""))
        said = await self._say(request, entry, memo, dict(request.query_input.event.parameters or {}))
        if said.memo:
            active[self._types.MEMO] = {"text": said.memo}
        if not self.is_unreadable:
            self.contexts[request.session] = active
        return self._types.es_answer(request, said, active)

    async def _turn_cx(self, request: Any, entry: dict[str, Any]) -> Any:
        known = self.parameters[request.session]
        given = dict(request.query_params.parameters or {})
        known |= given
        said = await self._say(request, entry, str(known.get("memo", "")), given)
        known |= said.parameters | ({"memo": said.memo} if said.memo else {})
        return self._types.cx_answer(request, said, known)

    async def _say(self, request: Any, entry: dict[str, Any], memo: str, parameters: dict[str, Any]) -> Said:
        """Effects first, as an agent's webhook has them; then the delay."""
        said = answer_event(entry["event"], parameters) if entry["event"] else answer(entry["message"], memo)
        entry["side_effects"] = True
        if self.delay_ms:
            await asyncio.sleep(self.delay_ms / 1000)
        entry.update(outcome="answered", finished_at=now_ms())
        return said

    def _enter(self, edition: str, request: Any) -> dict[str, Any]:
        query, payload = request.query_input, dict(request.query_params.payload or {})
        language = query.language_code if edition == "cx" else query.text.language_code or query.event.language_code
        contexts = [] if edition == "cx" else [each.name.rpartition("/")[2] for each in request.query_params.contexts]
        entry: dict[str, Any] = {
            "n": len(self.ledger),
            "edition": edition,
            "session": request.session,
            "message": query.text.text,
            "event": query.event.event if edition == "cx" else query.event.name,
            "language": language,
            "delivery_id": payload.get("delivery_id"),
            "late": bool(payload.get("late")),
            "interaction": str((payload.get("interaction") or {}).get("id", "")),
            "contexts": contexts,
            "started_at": now_ms(),
            "outcome": "started",
        }
        self.ledger.append(entry)
        return entry

    async def _fail(self, context: Any, code: str, failure: dict[str, Any]) -> None:
        if code == "cut":
            self.cable.cut()
        if code in ("cut", "hang"):
            await asyncio.Event().wait()
        pause = self._types.retry_info(failure["retry_s"], "simulated") if "retry_s" in failure else ()
        await context.abort(self._grpc.StatusCode[code], "simulated", pause)

    def _is_genuine(self, authorization: str) -> bool:
        """A token that the key signed, and that is not too old. Nothing is fetched."""
        from google.auth import exceptions, jwt

        decode: Any = jwt.decode
        try:
            decode(authorization.removeprefix("Bearer "), certs=self.public_key)
        except (ValueError, exceptions.GoogleAuthError):
            return False
        return True

    async def show_ledger(self, _: Request) -> Response:
        return JSONResponse({"turns": self.ledger, "reads": self.reads})

    async def control(self, request: Request) -> Response:
        """delay_ms, connect_ms, down (connections are refused), dead (nothing passes), cut (once, now), public_key
        (tokens are looked at), project (others are denied), forget (contexts, as after half an hour), unreadable
        (contexts are not kept), clear_failures, goaway (the next connection takes one call and says that it was not
        looked at), fail_next [{code, status, count, after, after_effect, retry_s}]; code: gRPC's name, `hang`, or
        `cut`; after: so many calls.
        """
        wish = await request.json()
        self.delay_ms = int(wish.get("delay_ms", self.delay_ms))
        self.public_key = str(wish.get("public_key", self.public_key))
        self.project = str(wish.get("project", self.project))
        self.is_unreadable = bool(wish.get("unreadable", self.is_unreadable))
        self.cable.goaways += int(wish.get("goaway", 0))
        if wish.get("clear_failures"):
            self.fail_next.clear()
        if wish.get("forget"):
            self.contexts.clear()
            self.parameters.clear()
        self.fail_next += wish.get("fail_next", [])
        self.cable.connect_s = float(wish.get("connect_ms", self.cable.connect_s * 1000)) / 1000
        self.cable.is_dead = bool(wish.get("dead", self.cable.is_dead))
        if "down" in wish:
            await (self.cable.unplug() if wish["down"] else self.cable.plug())
        if wish.get("cut"):
            self.cable.cut()
        return JSONResponse({"ok": True})

    async def reset(self, _: Request) -> Response:
        for each in (self.ledger, self.contexts, self.parameters, self.fail_next):
            each.clear()
        self.delay_ms, self.public_key, self.cable.is_dead = 0, "", False
        self.project, self.is_unreadable, self.reads = "", False, 0
        self.cable.connect_s, self.cable.goaways = 0.0, 0
        await self.cable.plug()
        return JSONResponse({"ok": True})


def create_simulator() -> Starlette:
    """Entry point of `omnibridge.simulators`. ES and CX at one address; the CX agent's id is `AGENT`."""
    return Simulator().app()
