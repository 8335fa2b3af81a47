"""Errors as RFC 9457 problem documents: what is wrong and what to do, never a stack trace."""

from __future__ import annotations

import msgspec
from starlette.types import Send

from omnibridge.errors import IntakeError


async def send_problem(send: Send, error: IntakeError) -> None:
    """Answer with the error's status."""
    body = problem(error.status, error.title, error.detail)
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    if error.status == 503:
        headers.append((b"retry-after", b"5"))
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def problem(status: int, title: str, detail: str) -> bytes:
    """The document."""
    return msgspec.json.encode({"type": "about:blank", "status": status, "title": title, "detail": detail})
