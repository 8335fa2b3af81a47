"""What these tests share: the simulated org on a socket, and a browser's calls to it by a client that is not ours."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.requests import Request
from starlette.responses import Response

from connectors.salesforce_messaging.simulated.org import DEVELOPER_NAME, ORG_ID
from connectors.salesforce_messaging.simulator import ROOT, Simulator
from tests.connectors.salesforce.running import Running, running

GUEST = {"orgId": ORG_ID, "esDeveloperName": DEVELOPER_NAME, "capabilitiesVersion": "1", "platform": "Web"}


class RunningOrg(Simulator, Running):
    """before: is told each call before it is carried out, with the subject of its token, empty where it has none; a
    status is its answer then."""

    def __init__(self) -> None:
        super().__init__()
        self.before: Callable[[str, str], int | None] = lambda name, subject: None

    def _call(self, name: str) -> Callable[[Request], Any]:
        call = super()._call(name)

        async def noted(request: Request) -> Response:
            bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
            token = self.org.tokens._issued.get(bearer)
            status = self.before(name, token.subject if token else "")
            if status:
                return Response(status_code=status, headers={"Retry-After": "1"} if status == 429 else None)
            answer: Response = await call(request)
            return answer

        return noted

    def kill_tokens(self, subject: str) -> None:
        """Of one user."""
        tokens = self.org.tokens
        for each in tokens._issued.values():
            if each.subject == subject:
                tokens.revoke(each)
        self.org.feeds.wake_all()

    async def hang_up(self) -> None:
        self.org.feeds.cut_all()
        await super().hang_up()


@asynccontextmanager
async def org() -> AsyncIterator[RunningOrg]:
    async with running(RunningOrg()) as found:
        yield found


def new_id() -> str:
    return str(uuid.uuid4())


def key_pair() -> tuple[str, str]:
    """Private and public PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


class Browser:
    """One visitor. last: headers of the last answer."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url, self.session = url, session
        self.token = self.last_event_id = self.subject = ""
        self.cid = new_id()
        self.last: Any = {}

    async def call(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, **query: Any
    ) -> tuple[int, Any]:
        root = "" if path.startswith(("/_", "/eventrouter", "/embedded")) else ROOT
        given = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        async with self.session.request(
            method, f"{self.url}{root}{path}", json=body, headers={**given, **(headers or {})}, params=query
        ) as answer:
            self.last = answer.headers
            text = await answer.text()
            return answer.status, json.loads(text) if "json" in answer.content_type and text else text

    async def come(self, kind: str = "unauthenticated", **more: Any) -> dict[str, Any]:
        status, found = await self.call("POST", f"/authorization/{kind}/access-token", {**GUEST, **more})
        assert status == 200, found
        self.token, self.last_event_id = found["accessToken"], found["lastEventId"]
        self.subject = found["context"]["endUser"]["subject"]
        return dict(found)

    async def open(self, **more: Any) -> tuple[int, Any]:
        body = {"conversationId": self.cid, "esDeveloperName": DEVELOPER_NAME, "routingAttributes": {}, **more}
        return await self.call("POST", "/conversation", body)

    async def say(self, text: str, message_id: str = "", **more: Any) -> tuple[int, Any]:
        content = {"formatType": "Text", "text": text}
        said = {"id": message_id or new_id(), "messageType": "StaticContentMessage", "staticContent": content}
        body = {"message": said, "esDeveloperName": DEVELOPER_NAME, "isNewMessagingSession": False, **more}
        return await self.call("POST", f"/conversation/{self.cid}/message", body)

    @asynccontextmanager
    async def stream(self, last_event_id: str = "") -> AsyncIterator[asyncio.Queue[Any]]:
        """Events as (name, id, data); None at the end, the exception when it broke."""
        queue: asyncio.Queue[Any] = asyncio.Queue()
        headers = {
            "Authorization": f"Bearer {self.token}",
            "X-Org-Id": ORG_ID,
            "Last-Event-Id": last_event_id or self.last_event_id,
            "Accept": "text/event-stream",
        }
        answer = await self.session.get(f"{self.url}/eventrouter/v1/sse", headers=headers)
        assert answer.status == 200, await answer.text()

        async def read() -> None:
            event: dict[str, str] = {}
            try:
                async for line in answer.content:
                    key, _, value = line.decode().rstrip("\n").partition(": ")
                    if key:
                        event[key] = value
                    else:
                        queue.put_nowait((event["event"], event.get("id"), json.loads(event["data"])))
                        event = {}
                queue.put_nowait(None)
            except aiohttp.ClientError as exc:
                queue.put_nowait(exc)

        reading = asyncio.create_task(read())
        try:
            yield queue
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            answer.close()


@asynccontextmanager
async def browser(found: RunningOrg, *, opened: bool = True) -> AsyncIterator[Browser]:
    async with aiohttp.ClientSession() as session:
        visitor = Browser(found.url, session)
        if opened:
            await visitor.come()
            assert (await visitor.open())[0] == 201
        yield visitor


async def events(queue: asyncio.Queue[Any], until: str) -> list[tuple[str, str, Any]]:
    """Up to the first event of this name."""
    found: list[Any] = []
    async with asyncio.timeout(30):
        while not found or found[-1][0] != until:
            found.append(await queue.get())
            assert isinstance(found[-1], tuple), found
    return found


def payload(event: tuple[str, str, Any]) -> dict[str, Any]:
    return dict(json.loads(event[2]["conversationEntry"]["entryPayload"]))
