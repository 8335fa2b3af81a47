"""What `omnibridge doctor` is told about a Rasa server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.rasa.connector import RasaConnector
from connectors.rasa.settings import RasaSettings
from connectors.rasa.simulator import create_simulator
from omnibridge.clock import SystemClock
from omnibridge.connector import ConnectorContext, DeliveryRejected
from omnibridge.http import create_client
from omnibridge.sandbox.server import Socket


async def _version(_: Request) -> Response:
    return JSONResponse({"version": "3.6.21"})


async def _other(_: Request) -> Response:
    return JSONResponse({})


async def _refused(_: Request) -> Response:
    return JSONResponse({}, 401)


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


BARE = [Route("/version", _version)]
GUARDED = [*BARE, Route("/webhooks/rest/", _health), Route("/status", _refused)]


@pytest.fixture
async def asked() -> AsyncIterator[Any]:
    """`await asked(app, **settings)`: what `check` says of a server."""
    sockets: list[Socket] = []

    async def ask(app: Any, **settings: Any) -> str:
        rasa = Socket(app, "127.0.0.1", 0)
        await rasa.start()
        sockets.append(rasa)
        connector = RasaConnector()
        wish = RasaSettings(url=rasa.url, **settings)
        await connector.initialize(
            ConnectorContext("helper", wish, SystemClock(), create_client, lambda *_: None, lambda *_, **__: None)
        )
        try:
            return await connector.check()
        finally:
            await connector.aclose()

    yield ask
    for each in sockets:
        await each.stop()


async def test_sound_server_tells_version_and_model(asked: Any) -> None:
    assert await asked(create_simulator()) == "Rasa 3.6.21"
    assert await asked(create_simulator(), token="t") == "Rasa 3.6.21, model simulated.tar.gz"


@pytest.mark.parametrize(
    ("routes", "settings", "code"),
    [
        (BARE, {}, "not-found"),  # no `rest:` in credentials.yml
        (GUARDED, {"token": "wrong"}, "unauthorized"),
        ([Route("/{path:path}", _other)], {}, "not-found"),
    ],
)
async def test_what_is_wrong_is_named(asked: Any, routes: list[Route], settings: dict[str, Any], code: str) -> None:
    with pytest.raises(DeliveryRejected) as told:
        await asked(Starlette(routes=routes), **settings)

    assert told.value.code == code
