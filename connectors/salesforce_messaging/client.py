"""The calls of the custom-client API v2, one attempt each (reference 2.2 to 2.7). Retries are the outbox's.

Ids of conversations and messages are made by the caller, lower-case UUID v4, and the same for each attempt.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal
from urllib.parse import quote, urlsplit

import msgspec

from connectors.salesforce.calls import is_safe, json_object
from connectors.salesforce.ids import short_id
from connectors.salesforce_messaging.entries import Entry, read_listing
from connectors.salesforce_messaging.errors import from_exception, from_status
from connectors.salesforce_messaging.tokens import Access, checked, read_access
from omnibridge.connector import (
    Answer,
    ClientFactory,
    ConfigError,
    DeliveryRejected,
    DeliveryUncertain,
    LineStream,
)
from omnibridge.connector.form_data import Part, encode

ROOT = "/iamessage/api/v2"
MAX_ANSWER_BYTES, MAX_FILE_BYTES = 4 << 20, 32 << 20
SILENCE_S = 90.0
"""The official sample takes a stream for dead that says nothing, not even a ping, for so long."""
FILE_HOSTS = (".salesforce-scrt.com", ".salesforce.com", ".force.com", ".documentforce.com")
"""Where else files of agents may lie; without our token."""


class NewSession(msgspec.Struct, frozen=True):
    """For the first message of a messaging session. Without these routing may fail silently: both are always sent."""

    attributes: dict[str, str] = {}
    language: str = "en_US"


class OrgClient:
    """One org's deployment. Raises ConfigError for settings that cannot work; its calls raise DeliveryError."""

    def __init__(
        self,
        create_client: ClientFactory,
        now_s: Callable[[], float],
        *,
        scrt_url: str,
        org_id: str,
        developer_name: str,
        timeout_s: float = 20.0,
        max_connections: int = 64,
        streams: Literal["http1", "http2"] = "http1",
    ) -> None:
        try:
            self.org_id = short_id(org_id)
        except ValueError as exc:
            raise ConfigError(f"org_id: {exc}") from None
        parts = urlsplit(scrt_url)
        if not is_safe(parts):
            raise ConfigError("url must begin with https:// (as Setup shows it, https://….my.salesforce-scrt.com)")
        if not developer_name:
            raise ConfigError("es_developer_name is missing")
        self._name, self.now_s, self._timeout_s = developer_name, now_s, timeout_s
        self._origin = (parts.scheme, parts.netloc)
        base = f"{parts.scheme}://{parts.netloc}"
        self._client = create_client(
            base_url=base,
            timeout_s=timeout_s,
            max_connections=max_connections,
            max_answer_bytes=MAX_ANSWER_BYTES,
            streams=streams,
        )
        self._files = create_client(timeout_s=timeout_s * 3, max_connections=4, max_answer_bytes=MAX_FILE_BYTES)

    async def aclose(self) -> None:
        await self._client.aclose()
        await self._files.aclose()

    # -- tokens -----------------------------------------------------------------------------------------

    async def guest(self, device_id: str = "") -> Access:
        """Each is another user, who cannot see what was before."""
        body = self._who(device_id)
        answer = await self._call("POST", "/authorization/unauthenticated/access-token", None, body)
        return read_access(answer.body, self.org_id, self.now_s())

    async def verified(self, identity_token: str, subject: str, device_id: str = "") -> Access:
        """subject: who the identity token is for. Raises NotVerified when a guest comes back."""
        body = self._who(device_id) | {"authorizationType": "JWT", "customerIdentityToken": identity_token}
        answer = await self._call("POST", "/authorization/authenticated/access-token", None, body)
        return checked(read_access(answer.body, self.org_id, self.now_s()), subject)

    async def continuation(self, access: Access) -> Access:
        """The same subject for another client; it ends no later."""
        answer = await self._call("GET", "/authorization/continuation-access-token", access)
        found = read_access(answer.body, self.org_id, self.now_s())
        if found.subject != access.subject:
            raise DeliveryUncertain("Salesforce gave the token of somebody else", code="bad-answer")
        return found

    async def revoke(self, access: Access) -> None:
        """Of a verified user only."""
        await self._call("DELETE", "/authorization/authenticated/access-token", access)

    def _who(self, device_id: str) -> dict[str, Any]:
        given = {
            "orgId": self.org_id,
            "esDeveloperName": self._name,
            "capabilitiesVersion": "1",
            "platform": "Web",
            "context": {"appName": "omnibridge", "clientVersion": "1"},
        }
        return given | ({"deviceId": device_id} if device_id else {})

    # -- conversations ----------------------------------------------------------------------------------

    async def create(self, access: Access, conversation: str, session: NewSession) -> None:
        """Made if it is not there."""
        body = {
            "conversationId": conversation,
            "esDeveloperName": self._name,
            "routingAttributes": session.attributes,
            "language": session.language,
        }
        await self._call("POST", "/conversation", access, body)

    async def routing_status(self, access: Access, conversation: str) -> str:
        """ROUTED, NEEDS_ROUTING, INITIAL or TRANSFER."""
        answer = await self._call("GET", _path(conversation), access)
        return str(json_object(answer.body, "Salesforce").get("routingStatus") or "")

    async def conversations(self, access: Access, *, closed_too: bool = False) -> list[str]:
        """Ids of the first fifty, oldest first."""
        query = {"limit": "50", "inclClosedConvs": "true" if closed_too else "false"}
        answer = await self._call("GET", "/conversation/list", access, query=query)
        rows = json_object(answer.body, "Salesforce").get("conversations")
        return [str(each["conversationId"]) for each in rows or () if isinstance(each, dict)]

    async def entries(self, access: Access, conversation: str, since_ms: int, limit: int = 50) -> list[Entry]:
        """From then on, oldest first, and that millisecond too."""
        query = {"limit": str(limit), "startTimestamp": str(since_ms), "direction": "FromStart"}
        answer = await self._call("GET", f"{_path(conversation)}/entries", access, query=query)
        try:
            return sorted(read_listing(answer.body), key=lambda each: each.at)  # ours, whichever way they came
        except ValueError as exc:
            raise DeliveryUncertain("the entries cannot be read", code="bad-answer") from exc

    async def end_session(self, access: Access, conversation: str) -> None:
        """The desk's work is over; the conversation stays open."""
        await self._call("DELETE", f"{_path(conversation)}/session", access, query={"esDeveloperName": self._name})

    async def close(self, access: Access, conversation: str) -> None:
        """For good: a guest can write no more."""
        await self._call("DELETE", _path(conversation), access, query={"esDeveloperName": self._name})

    # -- what the visitor does --------------------------------------------------------------------------

    async def send(
        self, access: Access, conversation: str, message: Mapping[str, Any], session: NewSession | None = None
    ) -> None:
        """message: with its `id`, see `content.py`. session: the message begins one."""
        body = {"message": message, **self._of_session(session)}
        await self._call("POST", f"{_path(conversation)}/message", access, body)

    async def send_file(
        self,
        access: Access,
        conversation: str,
        message: Mapping[str, Any],
        data: bytes,
        filename: str,
        media_type: str,
        session: NewSession | None = None,
    ) -> None:
        """message: `id` and `fileId`, both fixed for all attempts, and `text`."""
        entry = msgspec.json.encode({"message": message, **self._of_session(session)})
        parts = (
            Part("messageEntry", "", "application/json", entry),
            Part("fileData", filename or "file", media_type, data),
        )
        content_type, body = encode(parts)
        await self._send("POST", f"{_path(conversation)}/file", access, body, content_type)

    async def typing(self, access: Access, conversation: str, is_typing: bool) -> None:
        kind = "TypingStartedIndicator" if is_typing else "TypingStoppedIndicator"
        body = {"entryType": kind, "id": str(uuid.uuid4())}
        await self._call("POST", f"{_path(conversation)}/entry", access, body)

    async def acknowledge(self, access: Access, conversation: str, entries: Sequence[str], *, is_read: bool) -> bool:
        """False: receipts are off here. It never fails a chat (reference 2.7)."""
        kind = "Read" if is_read else "Delivery"
        acks = [{"id": str(uuid.uuid4()), "entryType": kind, "conversationEntryId": each} for each in entries]
        try:
            await self._call("POST", f"{_path(conversation)}/acknowledge-entries", access, {"acks": acks})
        except DeliveryRejected as exc:
            if exc.code != "bad-request":
                raise
            return False
        return True

    def _of_session(self, session: NewSession | None) -> dict[str, Any]:
        given: dict[str, Any] = {"esDeveloperName": self._name, "isNewMessagingSession": session is not None}
        if session is not None:
            given |= {"routingAttributes": session.attributes, "language": session.language}
        return given

    # -- stream, files, business hours ------------------------------------------------------------------

    def stream(self, access: Access, last_event_id: str) -> AbstractAsyncContextManager[LineStream]:
        """The event stream; raises httpx2.TransportError. See `stream.py`."""
        headers = {
            "Accept": "text/event-stream",
            "Accept-Encoding": "identity",
            "Authorization": f"Bearer {access.token}",
            "X-Org-Id": access.org_id,
            "Last-Event-Id": last_event_id,
        }
        return self._client.lines("GET", "/eventrouter/v1/sse", headers=headers, idle_s=SILENCE_S)

    async def download(self, access: Access, url: str) -> bytes:
        """A file of an agent, from Salesforce's hosts only; the token goes to the org alone."""
        parts = urlsplit(url)
        is_own = (parts.scheme, parts.netloc) == self._origin
        host = parts.hostname or ""
        if not is_own and (parts.scheme != "https" or parts.username or not host.endswith(FILE_HOSTS)):
            raise DeliveryRejected("the file is not on a host of Salesforce: not fetched", code="foreign-host")
        headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {access.token}"} if is_own else {})
        try:
            async with asyncio.timeout(self._timeout_s * 3):
                answer = await self._files.request("GET", url, headers=headers)
        except Exception as exc:
            raise from_exception(exc) from exc
        if answer.status_code != 200:
            raise from_status(answer.status_code, answer.headers.get("retry-after", ""), self.now_s())
        return answer.content

    async def is_open(self, now_ms: int) -> bool:
        """Business hours. None configured: always. Open hours do not mean that an agent is there."""
        query = {"orgId": self.org_id, "esConfigName": self._name}
        answer = await self._call("GET", "/embeddedservice/v1/businesshours", None, query=query, root="")
        return is_open(json_object(answer.body, "Salesforce"), now_ms)

    # -- one call ---------------------------------------------------------------------------------------

    async def _call(
        self,
        method: str,
        path: str,
        access: Access | None,
        body: Any = None,
        query: Mapping[str, str] | None = None,
        root: str = ROOT,
    ) -> Answer:
        content = None if body is None else msgspec.json.encode(body)
        return await self._send(method, path, access, content, "application/json", query, root)

    async def _send(
        self,
        method: str,
        path: str,
        access: Access | None,
        content: bytes | None,
        content_type: str,
        query: Mapping[str, str] | None = None,
        root: str = ROOT,
    ) -> Answer:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "omnibridge"}
        if content is not None:
            headers["Content-Type"] = content_type
        if access is not None:
            headers["Authorization"] = f"Bearer {access.token}"
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._client.exchange(method, root + path, query=query, content=content, headers=headers)
        except Exception as exc:
            raise from_exception(exc) from exc
        if not 200 <= answer.status < 300:
            raise from_status(answer.status, answer.headers.get("retry-after", ""), self.now_s())
        return answer


def is_open(answer: Mapping[str, Any], now_ms: int) -> bool:
    """The answer about business hours. Missing, empty or not as agreed: always open (reference 2.10)."""
    try:
        info = msgspec.convert(answer.get("businessHoursInfo"), _Hours)
    except msgspec.ValidationError:
        return True
    if not info.is_active or not info.business_hours:
        return True
    return any(each.start_time <= now_ms < each.end_time for each in info.business_hours)


class _Interval(msgspec.Struct, rename="camel"):
    """Milliseconds of the epoch."""

    start_time: int | float
    end_time: int | float


class _Hours(msgspec.Struct, rename="camel"):
    is_active: bool = False
    business_hours: list[_Interval] = []


def _path(conversation: str) -> str:
    return f"/conversation/{quote(conversation, safe='')}"
