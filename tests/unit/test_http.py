"""The HTTP client's limit on answers, over a socket."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from omnibridge.http import AnswerTooLarge, create_client
from omnibridge.sandbox.server import Socket


@pytest.mark.parametrize(("limit", "length", "fits"), [(0, 5000, True), (1000, 1000, True), (1000, 1001, False)])
async def test_answers_have_the_length_that_was_asked_for(limit: int, length: int, fits: bool) -> None:
    async def answer(request: Request) -> Response:
        assert request.headers["accept-encoding"] == "identity"
        return Response(b"x" * length)

    server = Socket(Starlette(routes=[Route("/", answer)]), "127.0.0.1", 0)
    await server.start()
    client = create_client(base_url=server.url, timeout_s=2, max_answer_bytes=limit)
    if fits:
        assert len((await client.get("/")).content) == length
    else:
        with pytest.raises(AnswerTooLarge):
            await client.get("/")
    await client.aclose()
    await server.stop()
