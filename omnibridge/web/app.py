"""The whole route table in one list."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from omnibridge.engine.counters import Counters
from omnibridge.web.errors import problem
from omnibridge.web.webhooks import PREFIX


def create_app(
    webhooks: ASGIApp,
    callbacks: ASGIApp,
    counters: Counters,
    why_not_ready: Callable[[], str],
    more: Sequence[Route] = (),
    degraded: Callable[[], list[str]] = list,
) -> ASGIApp:
    """webhooks: gets its requests before Starlette's middleware, which would cost more than all that it does.

    more: routes of other parts. why_not_ready: empty when the service takes and relays messages, else the reason
    for `/readyz`. degraded: what does not work beside the relay, in words; messages are relayed all the same."""

    async def live(_: Request) -> Response:
        return Response(b"ok\n", media_type="text/plain")

    async def ready(_: Request) -> Response:
        reason = why_not_ready()
        if reason:
            return Response(problem(503, "Not ready", reason), 503, media_type="application/problem+json")
        if wrong := degraded():
            return Response("\n".join(["ok, degraded", *wrong, ""]), media_type="text/plain")
        return Response(b"ok\n", media_type="text/plain")

    async def metrics(_: Request) -> Response:
        return Response(counters.exposition(), media_type="text/plain; version=0.0.4")

    async def refused(_: Request, exc: Exception) -> Response:
        status = exc.status_code if isinstance(exc, HTTPException) else 500
        detail = "See README for the addresses of this service." if status == 404 else "The request was not taken."
        return Response(problem(status, "Request refused", detail), status, media_type="application/problem+json")

    rest = Starlette(
        routes=[
            Route("/connections/{connection}/callback", callbacks),
            Route("/livez", live),
            Route("/readyz", ready),
            Route("/metrics", metrics),
            *more,
        ],
        exception_handlers={HTTPException: refused, Exception: refused},
    )

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        is_hook = scope["type"] == "http" and scope["path"].startswith(PREFIX)
        await (webhooks if is_hook else rest)(scope, receive, send)

    return app
