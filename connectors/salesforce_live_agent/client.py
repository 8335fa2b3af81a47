"""The calls of the Chat REST API, one attempt each (reference 1.1 to 1.6, 1.11, 1.12)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from connectors.salesforce.calls import is_safe, json_object
from connectors.salesforce.ids import short_id
from connectors.salesforce_live_agent.answers import number
from connectors.salesforce_live_agent.errors import Switched, from_exception, from_status
from connectors.salesforce_live_agent.messages import TOKEN, FileWanted, rows
from connectors.salesforce_live_agent.poll import Post, Request, Session
from omnibridge.connector import Client, ClientFactory, ConfigError, DeliveryRejected, DeliveryUncertain
from omnibridge.connector.form_data import Part, encode

MAX_ANSWER_BYTES = 4 << 20
POLL_MARGIN_S = 10.0
"""How much longer than the server said we wait for a poll: then the connection is broken."""
OTHER_HOSTS = (".salesforceliveagent.com", ".my.salesforce-scrt.com", ".salesforce.com", ".force.com")
"""Where an org may move to, and where its files are taken."""


class FieldMap(msgspec.Struct, frozen=True, rename="camel"):
    """label: that of the detail whose value is meant."""

    field_name: str
    label: str
    do_find: bool = False
    is_exact_match: bool = False
    do_create: bool = False


class Entity(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A record to find or make. A Case found by exact match attaches the chat to an old one: only make those."""

    entity_name: str
    entity_fields_maps: tuple[FieldMap, ...] = ()
    show_on_create: bool = False
    link_to_entity_name: str = ""
    link_to_entity_field: str = ""
    save_to_transcript: str = ""


class Detail(msgspec.Struct, frozen=True, rename="camel"):
    """Shown to the agent, and written to the transcript's fields. entity_maps: sent as they are, under both names that
    are about (reference 1.6)."""

    label: str
    value: str
    transcript_fields: tuple[str, ...] = ()
    display_to_agent: bool = True
    entity_maps: tuple[dict[str, Any], ...] = ()
    entity_field_maps: tuple[dict[str, Any], ...] = ()


class Visitor(msgspec.Struct, frozen=True):
    """Who asks for a chat. agent_id: straight to him, falls_back: or to the button. overrides: targets in order.
    button_id: another than that of the connection."""

    name: str
    language: str = "en-US"
    user_agent: str = "Mozilla/5.0 (omnibridge)"
    screen: str = "1900x1080"
    details: tuple[Detail, ...] = ()
    entities: tuple[Entity, ...] = ()
    agent_id: str = ""
    falls_back: bool = True
    overrides: tuple[str, ...] = ()
    button_id: str = ""


class Reply(NamedTuple):
    status: int
    body: bytes


class Availability(NamedTuple):
    """wait_s: None = not known."""

    is_available: bool
    wait_s: int | None


class LiveAgent:
    """One deployment. Raises ConfigError for settings that cannot work; its calls raise DeliveryError.

    endpoint: as Setup shows it. Long polls have a client of their own: each holds a connection for a minute.
    """

    def __init__(
        self,
        create_client: ClientFactory,
        *,
        endpoint: str,
        org_id: str,
        deployment_id: str,
        button_id: str,
        api_version: int = 49,
        timeout_s: float = 20.0,
        most_polls: int = 20_000,
    ) -> None:
        try:
            self.org_id, self.deployment_id = short_id(org_id), short_id(deployment_id)
            self.button_id = short_id(button_id)
        except ValueError as exc:
            raise ConfigError(f"org_id, deployment_id, button_id: {exc}") from None
        self.base = normalised(endpoint)
        self._host = urlsplit(self.base).netloc
        self._version, self._timeout_s = str(api_version), timeout_s
        self._create, self._most_polls = create_client, most_polls
        self._clients: dict[tuple[str, bool], Client] = {}
        self._files = create_client(timeout_s=timeout_s * 3, max_answer_bytes=MAX_ANSWER_BYTES, max_connections=4)

    async def aclose(self) -> None:
        for each in (self._files, *self._clients.values()):
            await each.aclose()

    def _client(self, base: str, *, polls: bool = False) -> Client:
        """One for each address that the org has had."""
        found = self._clients.get((base, polls))
        if found is None:
            most = self._most_polls if polls else 64
            found = self._clients[base, polls] = self._create(
                base_url=base, timeout_s=self._timeout_s, max_answer_bytes=MAX_ANSWER_BYTES, max_connections=most
            )
        return found

    # -- before a session -------------------------------------------------------------------------------

    async def availability(self, base: str, ids: Sequence[str]) -> dict[str, Availability]:
        """Of buttons and agents. Raises Switched when the org has moved."""
        query = {
            "org_id": self.org_id,
            "deployment_id": self.deployment_id,
            "Availability.ids": ",".join(ids),
            "Availability.needEstimatedWaitTime": "1",
        }
        message = await self._resource(base, "Availability", query)
        found = {}
        results = message.get("results")
        for each in results if isinstance(results, list) else ():
            if not isinstance(each, dict):
                continue
            wait = each.get("estimatedWaitTime", -1)
            is_known = isinstance(wait, int | float) and wait >= 0
            found[str(each.get("id"))] = Availability(each.get("isAvailable") is True, int(wait) if is_known else None)
        return found

    async def settings(self, base: str) -> dict[str, Any]:
        """pingRate, contentServerUrl, buttons. Raises Switched when the org has moved."""
        query = {
            "org_id": self.org_id,
            "deployment_id": self.deployment_id,
            "Settings.buttonIds": self.button_id,
            "Settings.needEstimatedWaitTime": "1",
        }
        return await self._resource(base, "Settings", query)

    async def _resource(self, base: str, name: str, query: Mapping[str, str]) -> dict[str, Any]:
        found = await self._call(base, "GET", f"/Visitor/{name}", {}, query)
        for kind, message in self._rows(json_object(found.body, "Live Agent")):
            if kind == name:
                return message
        raise DeliveryUncertain(f"the answer of Live Agent is no {name}", code="bad-answer")

    def _rows(self, answer: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
        """Raises Switched."""
        try:
            found = rows(answer)
        except ValueError:
            raise DeliveryUncertain("the answer of Live Agent cannot be read", code="bad-answer") from None
        for kind, message in found:
            if kind == "SwitchServer":
                raise Switched(self.judged(str(message.get("newUrl") or "")))
        return [(each.type, each.message) for each in found]

    def judged(self, new_url: str) -> str:
        """An address that the org says it moved to. Raises DeliveryRejected for one that is none of Salesforce's."""
        try:
            parts = urlsplit(new_url)
        except ValueError:
            parts = urlsplit("")
        host = parts.hostname or ""
        is_own = parts.netloc == self._host and self.base.startswith(f"{parts.scheme}:")
        if not is_own and (parts.scheme != "https" or parts.username or not host.endswith(OTHER_HOSTS)):
            raise DeliveryRejected(
                "the org says that it moved to a host that is none of Salesforce's", code="foreign-host"
            )
        return normalised(new_url)

    # -- a session --------------------------------------------------------------------------------------

    async def begin(self, base: str) -> Session:
        """A session without a chat; post `init` next."""
        answer = await self._call(base, "GET", "/System/SessionId", {"X-LIVEAGENT-AFFINITY": "null"})
        found = json_object(answer.body, "Live Agent")
        self._rows(found)
        poll_s = min(number(found.get("clientPollTimeout")) or 40.0, 300.0)  # a string or a number
        name, key, affinity = (str(found.get(each) or "") for each in ("id", "key", "affinityToken"))
        if not all(map(TOKEN.fullmatch, (name, key, affinity))):
            raise DeliveryUncertain("Live Agent gave no session that can be read", code="bad-answer")
        return Session(base, name, key, affinity, poll_s)

    def init(self, session: Session, visitor: Visitor) -> Post:
        """The first post of a session."""
        details = [
            {
                **msgspec.to_builtins(each),
                "entityMaps": list(each.entity_maps),
                "entityFieldMaps": list(each.entity_field_maps),
            }
            for each in visitor.details
        ]
        body: dict[str, Any] = {
            "organizationId": self.org_id,
            "deploymentId": self.deployment_id,
            "buttonId": visitor.button_id or self.button_id,
            "sessionId": session.id,
            "userAgent": visitor.user_agent,
            "language": visitor.language,
            "screenResolution": visitor.screen,
            "visitorName": visitor.name,
            "prechatDetails": details,
            "prechatEntities": msgspec.to_builtins(visitor.entities),
            "receiveQueueUpdates": True,
            "isPost": True,
        }
        if visitor.agent_id:
            body |= {"agentId": visitor.agent_id, "doFallback": visitor.falls_back}
        if visitor.overrides:
            body["buttonOverrides"] = list(visitor.overrides)
        return Post(f"{session.id}-init", "ChasitorInit", body)

    async def read(self, session: Session, request: Request) -> Reply:
        """One of `poll.next_request`, whatever the status. Cancelled: its connection is closed before this returns."""
        headers = self._headers(session, request.affinity)
        is_poll = request.kind == "poll"
        limit_s = session.poll_s + POLL_MARGIN_S if is_poll else self._timeout_s
        content = msgspec.json.encode({"organizationId": self.org_id}) if request.kind == "resync" else None
        client = self._client(session.base, polls=is_poll)
        path = f"/{request.path}"
        return await self._exchange(client, request.method, path, headers, content, limit_s, request.query)

    async def post(self, session: Session, post: Post) -> int:
        """Under the session's sequence: the status."""
        headers = self._headers(session, session.affinity) | {"X-LIVEAGENT-SEQUENCE": str(session.sequence)}
        client, content = self._client(session.base), msgspec.json.encode(post.body)
        path = f"/Chasitor/{post.noun}"
        return (await self._exchange(client, "POST", path, headers, content, self._timeout_s)).status

    async def delete(self, session: Session) -> None:
        """The session ends at once. Its key is in the path: never log it."""
        path = f"/System/SessionId/{quote(session.key, safe='')}"
        await self._call(session.base, "DELETE", path, self._headers(session, session.affinity))

    async def upload(self, session: Session, wanted: FileWanted, filename: str, media_type: str, data: bytes) -> None:
        """A file that the agent asked for; what became of it is told by the poll."""
        parts = urlsplit(wanted.url)
        is_own = parts.netloc == self._host and self.base.startswith(f"{parts.scheme}:")
        is_theirs = parts.scheme == "https" and (parts.hostname or "").endswith(OTHER_HOSTS) and not parts.username
        if not is_own and not is_theirs:
            raise DeliveryRejected("the file is wanted by a host that is none of Salesforce's", code="foreign-host")
        query = urlencode(
            {
                "orgId": self.org_id,
                "chatKey": session.key.split("!")[0],
                "fileToken": wanted.token,
                "encoding": "UTF-8",
            }
        )
        content_type, body = encode([Part("file", filename or "file", media_type, data)])
        headers = {"Content-Type": content_type, "Referer": wanted.referer, "User-Agent": "Mozilla/5.0 (omnibridge)"}
        url = f"{wanted.url}{'&' if parts.query else '?'}{query}"
        try:
            async with asyncio.timeout(self._timeout_s * 3):
                answer = await self._files.request("POST", url, headers=headers, content=body)
        except Exception as exc:
            raise from_exception(exc) from exc
        if not 200 <= answer.status_code < 300:
            raise from_status(answer.status_code)

    # -- one call ---------------------------------------------------------------------------------------

    def _headers(self, session: Session, affinity: str) -> dict[str, str]:
        return {"X-LIVEAGENT-AFFINITY": affinity, "X-LIVEAGENT-SESSION-KEY": session.key}

    async def _call(
        self, base: str, method: str, path: str, headers: dict[str, str], query: Mapping[str, str] | None = None
    ) -> Reply:
        answer = await self._exchange(self._client(base), method, path, headers, None, self._timeout_s, query)
        if not 200 <= answer.status < 300:
            raise from_status(answer.status)
        return answer

    async def _exchange(
        self,
        client: Client,
        method: str,
        path: str,
        headers: dict[str, str],
        content: bytes | None,
        limit_s: float,
        query: Mapping[str, str] | None = None,
    ) -> Reply:
        given = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "omnibridge"}
        given |= {"X-LIVEAGENT-API-VERSION": self._version}
        if content is not None:
            given["Content-Type"] = "application/json; charset=utf-8"
        try:
            async with asyncio.timeout(limit_s):
                answer = await client.exchange(method, path, query=query, content=content, headers=given | headers)
        except Exception as exc:
            raise from_exception(exc) from exc
        return Reply(answer.status, answer.body)


def normalised(endpoint: str) -> str:
    """With and without `/chat`, `/rest` and slashes -> `https://host/chat/rest/`. Raises ConfigError."""
    parts = urlsplit(endpoint)
    if not is_safe(parts):
        raise ConfigError("endpoint must begin with https:// (Setup > Chat Settings > Chat API Endpoint)")
    if parts.path.strip("/") not in ("", "chat", "chat/rest"):
        raise ConfigError("endpoint ends with the host, or with /chat/rest/")
    return f"{parts.scheme}://{parts.netloc}/chat/rest/"
