"""The floor: in through uvicorn, uvloop and Starlette, out through one pooled aiohttp client. No logic, nothing kept.

`python -m tests.bench.floor PORT BOT HUB`: what any relay in this stack has to pay.
"""

import sys

import aiohttp
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from omnibridge.listening import listen

PORT, BOT, HUB = int(sys.argv[1]), sys.argv[2], sys.argv[3]
LOG_IN = {"X-User-Id": "u", "X-Auth-Token": "t"}
sessions: list[aiohttp.ClientSession] = []


async def relay(request: Request) -> Response:
    body = await request.json()
    if not sessions:
        sessions.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=256)))
    turn = {"sender": body["_id"], "message": body["messages"][0]["msg"]}
    async with sessions[0].post(f"{BOT}/webhooks/rest/webhook", json=turn) as answer:
        said = await answer.json()
    post = {"message": {"_id": body["messages"][0]["_id"] + "a", "rid": body["_id"], "msg": said[0]["text"]}}
    async with sessions[0].post(f"{HUB}/api/v1/chat.sendMessage", json=post, headers=LOG_IN) as answer:
        await answer.read()
    return Response(b"ok")


async def ready(_: Request) -> Response:
    return Response(b"ok")


app = Starlette(routes=[Route("/webhooks/rocketchat/bench", relay, methods=["POST"]), Route("/readyz", ready)])

if __name__ == "__main__":
    config = uvicorn.Config(app, loop="uvloop", http="httptools", lifespan="off", log_level="error", access_log=False)
    uvicorn.Server(config).run([listen("127.0.0.1", PORT)])
