"""A visitor's file on its way to either chat, from a real server."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.salesforce.calls import fetched
from omnibridge.connector import DeliveryError, DeliveryRejected, DeliveryRetryable
from omnibridge.http import create_client
from omnibridge.sandbox.server import Socket


async def stored(request: Request) -> Response:
    return Response(b"a file", request.path_params["status"])


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (404, DeliveryRejected, "file-gone"),
        (410, DeliveryRejected, "file-gone"),
        (429, DeliveryRetryable, "file-unread"),
        (503, DeliveryRetryable, "file-unread"),
        (0, DeliveryRetryable, "file-unread"),
    ],
)
async def test_file_that_cannot_be_had(status: int, kind: type[DeliveryError], code: str) -> None:
    """Nothing was sent: our own store is down for a moment (0 = refuses), or has it no more."""
    socket = Socket(Starlette(routes=[Route("/{status:int}", stored)]), "127.0.0.1", 0)
    await socket.start()
    client = create_client(timeout_s=5)
    try:
        assert await fetched(client, f"{socket.url}/200") == b"a file"
        with pytest.raises(kind) as caught:
            await fetched(client, f"{socket.url}/{status}" if status else "http://127.0.0.1:9/")
    finally:
        await client.aclose()
        await socket.stop()

    assert (type(caught.value), caught.value.code) == (kind, code)
