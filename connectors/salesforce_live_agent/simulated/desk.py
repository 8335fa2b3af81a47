"""The agents' side of the simulated Live Agent: from Python, and by name over the control API."""

from __future__ import annotations

import secrets
import uuid
from typing import Any

from connectors.salesforce_live_agent.simulated.service import END_REASONS, FAIL_REASONS, Service, Session

AGENT = ("005SM0000001Alx", "Alex Agent")


class Desk:
    """Every call takes a session's id. Raises KeyError or ValueError. accepts, echoes: by themselves."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.accepts = self.echoes = False
        service.requested.append(self._requested)
        service.said.append(self._said)

    def waiting(self) -> list[str]:
        return [each.id for each in self._service.sessions.values() if each.state == "waiting"]

    def accept(self, session: str, agent: str = AGENT[0], name: str = AGENT[1]) -> None:
        found = self._in(session, "waiting")
        found.state, found.agent = "established", (agent, name)
        found.push("ChatEstablished", **self._who(found), items=[])

    def say(self, session: str, text: str) -> None:
        found = self._in(session, "established")
        agent, name = found.agent
        self._service.line(found, "Agent", name, text)
        found.push("ChatMessage", text=text, name=name, agentId=agent, schedule={"responseDelayMilliseconds": 0})

    def typing(self, session: str, is_typing: bool = True) -> None:
        """agentId is no user id here (reference 1.8)."""
        found = self._in(session, "established")
        kind = "AgentTyping" if is_typing else "AgentNotTyping"
        found.push(kind, name=found.agent[1], agentId=str(uuid.uuid4()))

    def transfer(self, session: str, agent: str, name: str) -> None:
        found = self._in(session, "established")
        found.agent = (agent, name)
        self._service.line(found, "OperatorTransferred", name, "")
        found.push("ChatTransferred", **self._who(found))

    def transfer_to_button(self, session: str) -> None:
        """Back to a queue, until somebody accepts."""
        found = self._in(session, "established")
        found.state = "waiting"
        found.push("TransferToButtonInitiated")

    def confer(self, session: str, name: str, joins: bool = True) -> None:
        found = self._in(session, "established")
        found.push("AgentJoinedConference" if joins else "AgentLeftConference", name=name)

    def disconnect(self, session: str) -> None:
        """The agent dropped; another one may accept."""
        found = self._in(session, "established")
        found.state = "waiting"
        found.push("AgentDisconnect")

    def end(self, session: str, reason: str = "agent") -> None:
        found = self._service.sessions[session]
        if found.state not in ("waiting", "established") or reason not in END_REASONS:
            raise ValueError("the chat is over, or no such reason")
        self._service.end(found, reason)

    def fail(self, session: str, reason: str = "Unavailable") -> None:
        """The request is refused after it was queued."""
        found = self._in(session, "waiting")
        if reason not in FAIL_REASONS:
            raise ValueError(f"reason is one of {', '.join(FAIL_REASONS)}")
        found.state = "ended"
        found.push("ChatRequestFail", reason=reason, postChatUrl="")

    def queue_position(self, session: str, position: int, wait_s: int = -1) -> None:
        found = self._in(session, "waiting")
        if found.init.get("receiveQueueUpdates"):
            found.push("QueueUpdate", position=position, estimatedWaitTime=wait_s)

    def custom_event(self, session: str, kind: str, data: str) -> None:
        self._in(session, "established").push("CustomEvent", type=kind, data=data)

    def request_file(self, session: str) -> str:
        """A token for one upload."""
        found = self._in(session, "established")
        found.file_token = secrets.token_hex(8)
        url = self._service.url
        found.push(
            "FileTransfer",
            type="Requested",
            uploadServletUrl=f"{url}/_upload",
            cdmServletUrl=f"{url}/_cdm",
            fileToken=found.file_token,
        )
        return found.file_token

    def cancel_file(self, session: str) -> None:
        found = self._in(session, "established")
        token, found.file_token = found.file_token, ""
        found.push("FileTransfer", type="Canceled", fileToken=token)

    def push(self, session: str, kind: str, **message: Any) -> None:
        """Any other message: NewVisitorBreadcrumb, RichMessage, SensitiveDataRules, SwitchServer, or a novel one."""
        self._service.sessions[session].push(kind, **message)

    def move(self, session: str) -> None:
        """To another server."""
        self._service.move(self._service.sessions[session])

    def kill(self, session: str) -> None:
        """The session expires."""
        self._service.kill(self._service.sessions[session], "expired")

    def _who(self, found: Session) -> dict[str, Any]:
        agent, name = found.agent
        options = self._service.options
        idle = options.idle or {"isEnabled": False}
        return {
            "name": name,
            "userId": agent,
            "sneakPeekEnabled": options.sneak_peek,
            "chasitorIdleTimeout": idle,
        }

    def _requested(self, session: Session) -> None:
        if self.accepts:
            self.accept(session.id)

    def _said(self, session: Session, text: str) -> None:
        if self.echoes and session.state == "established":
            self.say(session.id, f"echo {text}")

    def _in(self, session: str, state: str) -> Session:
        found = self._service.sessions[session]
        if found.state != state or found.is_dead:
            raise ValueError(f"the chat is {'dead' if found.is_dead else found.state}")
        return found
