"""Finding the user of an external agent, as a delivery: the port to the agent directory, and its smallest form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from omnibridge.assignment.capacity import Capacity
from omnibridge.domain import commands as cmd
from omnibridge.domain.agent_events import AgentEnsured, AgentNotEnsured
from omnibridge.domain.agents import AgentFound, AgentRefused, ExternalAgent
from omnibridge.domain.conversation import Conversation
from omnibridge.engine.sender import Sender, Sent
from omnibridge.errors import DeliveryError, DeliveryRejected, DeliveryRetryable, DeliveryUncertain
from omnibridge.rocketchat.client import RocketChatClient
from omnibridge.storage.outbox import Delivery

_ensure = msgspec.json.Decoder(cmd.EnsureAgent)
_release = msgspec.json.Decoder(cmd.ReleaseAgent)


class AgentService(Protocol):
    """Who knows which user serves for whom. Both may raise DeliveryError, and are repeated then."""

    async def ensure(
        self, workspace: str, agent: ExternalAgent, cause: str, visitor: str = ""
    ) -> AgentFound | AgentRefused:
        """Find or make the user of an external agent. visitor: who will see him, '' = not known."""
        ...

    async def release(self, workspace: str, user_id: str) -> None:
        """He does not serve a conversation (any more) that he was ensured for; unknown users are left alone."""
        ...


class MappedAgents:
    """A fixed table: system -> external id -> user name of somebody who is there already. Nobody is ever made.

    ids: of user names found before; a user who is deleted and made again is found after a restart.
    """

    def __init__(self, clients: Mapping[str, RocketChatClient], agents: Mapping[str, Mapping[str, str]]) -> None:
        self._clients, self._agents = clients, agents
        self._ids: dict[tuple[str, str], str] = {}

    def knows(self, agent: ExternalAgent) -> bool:
        return agent.id in self._agents.get(agent.system, {})

    async def ensure(
        self, workspace: str, agent: ExternalAgent, cause: str, visitor: str = ""
    ) -> AgentFound | AgentRefused:
        username = self._agents.get(agent.system, {}).get(agent.id)
        if username is None:
            text = f"[assignment] agents names no user for {agent.id!r} of {agent.system!r}"
            return AgentRefused(agent.system, agent.id, "unknown", text)
        user_id = self._ids.get((workspace, username), "")
        if not user_id:
            found = await self._clients[workspace].user_by_username(username)
            if found is None:
                text = f"there is no user {username!r} in the workspace"
                return AgentRefused(agent.system, agent.id, "unknown", text)
            user_id = self._ids[workspace, username] = found.id
        return AgentFound(agent.system, agent.id, user_id, username, "mapped", agent.name)

    async def release(self, workspace: str, user_id: str) -> None:
        """Nothing was taken."""


class MappedFirst:
    """Who stands in the configuration is that user; everybody else is looked up in the directory, or made there."""

    def __init__(self, mapped: MappedAgents, directory: AgentService) -> None:
        self._mapped, self._directory = mapped, directory

    async def ensure(
        self, workspace: str, agent: ExternalAgent, cause: str, visitor: str = ""
    ) -> AgentFound | AgentRefused:
        service = self._mapped if self._mapped.knows(agent) else self._directory
        return await service.ensure(workspace, agent, cause, visitor)

    async def release(self, workspace: str, user_id: str) -> None:
        await self._directory.release(workspace, user_id)


class AgentSender(Sender):
    """Deliveries to the agent directory. capacity: how many conversations each may have, None = any number."""

    def __init__(self, service: AgentService, capacity: Capacity | None = None) -> None:
        self._service, self._capacity = service, capacity

    async def find_arrived(self, row: Delivery, conversation: Conversation) -> Sent | None:
        """Ensuring twice changes nothing: it is simply sent again."""
        return None

    async def send(self, row: Delivery, workspace: str, conversation: Conversation, *, maybe_sent: bool) -> Sent:
        if row.command == "ReleaseAgent":
            user_id = _release.decode(row.body).user_id
            if self._capacity:
                self._capacity.released(workspace, conversation.room, user_id)
            await self._service.release(workspace, user_id)
            return Sent()
        wanted = _ensure.decode(row.body)
        cause = f"room {conversation.room}, event {row.event_id}{f': {wanted.cause}' if wanted.cause else ''}"
        try:
            found = await self._service.ensure(
                workspace, wanted.agent, cause, str(conversation.facts.get("visitor_id", ""))
            )
            if isinstance(found, AgentFound):
                found = await self._unless_full(workspace, wanted.agent, conversation, found)
        except DeliveryRejected as exc:
            agent = wanted.agent
            return Sent(AgentNotEnsured(AgentRefused(agent.system, agent.id, "hub_refused", f"{exc} ({exc.code})")))
        except DeliveryError:
            raise
        except (
            Exception
        ) as exc:  # a defect must end in the next step of the decision, not in a stream that stands still
            raise DeliveryUncertain(f"{type(exc).__name__} in the agent directory", code="agents-bug") from exc
        if isinstance(found, AgentRefused) and found.reason == "hub_error":
            raise DeliveryRetryable(found.text, code="hub_error")  # until the deadline of the row; then the next step
        return Sent(AgentEnsured(found) if isinstance(found, AgentFound) else AgentNotEnsured(found))

    async def _unless_full(
        self, workspace: str, wanted: ExternalAgent, conversation: Conversation, found: AgentFound
    ) -> AgentFound | AgentRefused:
        """Only where it is decided that he serves: who speaks already for a party was chosen by its own system."""
        agent = conversation.assignment.agent
        if self._capacity is None or agent is None or (agent.system, agent.id) != (wanted.system, wanted.id):
            return found
        refusal = await self._capacity.refusal(conversation, found)
        if refusal is None:
            return found
        await self._service.release(workspace, found.user_id)
        return refusal
