"""A simulated org in a process of its own, plain or with TLS: `python -m tests.bench.chats_org --protocol messaging`.

Prints its address, then serves until SIGTERM. Agents accept at once and say nothing. `/_bench` tells in a few numbers
what the ledger would tell in megabytes.
"""

from __future__ import annotations

import argparse
import json
import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from connectors.salesforce_live_agent.simulator import Simulator as LiveAgent
from connectors.salesforce_messaging.simulator import Simulator as Messaging
from tests.http2_front import Front, speaks_http2

Figures = Callable[[], dict[str, int]]


def messaging() -> tuple[ASGIApp, Figures]:
    found = Messaging()
    options = {"tokens_per_minute": 0, "starts_per_30_s": 0}  # per address of visitors; here all come from one
    found.wish({"accepts": True, "guest_ttl_s": 21_600, "options": options})

    def figures() -> dict[str, int]:
        feeds = found.org.feeds.by_subject.values()
        chats = found.org.conversations.values()
        return {
            "chats": sum(each.session is not None and each.session.agent is not None for each in chats),
            "followed": sum(each.open > 0 for each in feeds),
            "double": sum(each.most_open > 1 for each in feeds),
        }

    return found.app(), figures


def live_agent() -> tuple[ASGIApp, Figures]:
    found = LiveAgent()
    found.wish({"accepts": True})

    def figures() -> dict[str, int]:
        sessions = found.service.sessions.values()
        return {
            "chats": sum(each.state == "established" and not each.is_dead for each in sessions),
            "followed": sum(each.poll is not None for each in sessions),
            "double": found.service.counts["duplicate_polls"],
        }

    return found.app(), figures


KINDS = {"messaging": messaging, "live_agent": live_agent}


def with_figures(app: ASGIApp, figures: Figures) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/_bench":
            await app(scope, receive, send)
            return
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(figures()).encode()})

    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--protocol", choices=tuple(KINDS), required=True)
    parser.add_argument("--certificate", help="PEM with key and certificate: serve TLS, in HTTP/1.1 and HTTP/2")
    wish = parser.parse_args()
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen(4096)
    options: dict[str, Any] = {"ssl_certfile": wish.certificate, "http": Front} if wish.certificate else {}
    app = with_figures(*KINDS[wish.protocol]())
    config = uvicorn.Config(app, log_level="error", access_log=False, timeout_graceful_shutdown=1, **options)
    if wish.certificate:
        config.load()
        speaks_http2(config)
    server = uvicorn.Server(config)
    scheme = "https" if wish.certificate else "http"
    print(json.dumps({"url": f"{scheme}://127.0.0.1:{listening.getsockname()[1]}"}), flush=True)
    server.run(sockets=[listening])


if __name__ == "__main__":
    main()
