"""The agents' side of the simulated org: from Python, and by name over the control API."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from connectors.salesforce_messaging.simulated.org import SYSTEM, Conversation, Org, Sender

AGENT = "005SM0000001AlxIAE"
BOT = Sender("Chatbot", "0XxSM0000000BotAAA", "Helper Bot", "chatbot")


class Desk:
    """Every call takes a conversation's id; ids of messages come back. Raises KeyError or ValueError.

    accepts: agents accept what is routed, at once. echoes: they answer each message of the visitor with `echo `.
    """

    def __init__(self, org: Org) -> None:
        self._org = org
        self.accepts = self.echoes = False
        self.agents: dict[str, str] = {AGENT: "Alex Agent"}
        org.routed.append(self._routed)
        org.said.append(self._said)

    def waiting(self) -> list[str]:
        """Conversations that an agent could accept now, oldest first."""
        return [
            each.id
            for each in self._org.conversations.values()
            if each.session and each.session.is_routed and each.session.agent is None
        ]

    def accept(self, conversation: str, agent: str = AGENT, name: str = "") -> None:
        found, session = self._live(conversation)
        if not session.is_routed:
            raise ValueError("no agent was ever offered it: the session was begun without routing attributes")
        if session.agent is not None:
            raise ValueError("an agent has it")
        session.agent = self._agent(agent, name)
        found.routing_status = "ROUTED"
        work = {"entryType": "RoutingWorkResult", "id": str(uuid.uuid4()), "workType": "Accepted"}
        self._org.enter(found, "RoutingWorkResult", work, SYSTEM)
        self._org.join(found, session.agent)
        self._org.status(found, "Active")

    def say(self, conversation: str, text: str, url: str = "") -> str:
        """url: a link with a preview, after the text."""
        content: dict[str, Any] = {"formatType": "Text", "text": text}
        if url:
            content = {"formatType": "RichLink", "linkItem": {"titleItem": {"title": text}, "url": url}}
            content["image"] = {"assetType": "Image", "id": "i", "mimeType": "image/png", "assetUrl": f"{url}/i.png"}
        return self._post(conversation, "StaticContentMessage", staticContent=content)

    def say_as_bot(self, conversation: str, text: str) -> str:
        found = self._of(conversation)
        content = {"formatType": "Text", "text": text}
        return self._org.message(found, BOT, _abstract("StaticContentMessage", staticContent=content))

    def say_as_system(self, conversation: str, text: str) -> str:
        """An automatic answer."""
        found = self._of(conversation)
        content = {"formatType": "Text", "text": text}
        return self._org.message(found, SYSTEM, _abstract("StaticContentMessage", staticContent=content))

    def ask(self, conversation: str, text: str, options: Iterable[str | dict[str, Any]], style: str = "Buttons") -> str:
        """style: Buttons, QuickReplies, ListPicker or Carousel. options: titles, or {title, id, subTitle, image}."""
        items, images = [], []
        for n, each in enumerate(options):
            option = {"title": each} if isinstance(each, str) else dict(each)
            identifier = option.get("id") or str(uuid.uuid4())
            title = {"title": option["title"], "subTitle": option.get("subTitle")}
            items.append(
                {
                    "itemType": "TitleOptionItem",
                    "optionIdentifier": identifier,
                    "optionId": f"option{n}",
                    "titleItem": title,
                }
            )
            if option.get("image"):
                images.append({"optionIdentifier": identifier, "assetUrl": option["image"], "mimeType": "image/png"})
        choices: dict[str, Any] = {"formatType": style, "text": text, "optionItems": items}
        if images:
            choices["images"] = images
        return self._post(conversation, "ChoicesMessage", choices=choices)

    def ask_form(self, conversation: str, title: str, inputs: list[dict[str, Any]]) -> str:
        """inputs: {id, inputType, label, required, options}. Their shape on the wire is a guess (reference 2.9)."""
        form = {"formatType": "Inputs", "title": title, "sections": [{"inputs": inputs}]}
        return self._post(conversation, "FormMessage", form=form)

    def send_file(self, conversation: str, name: str, media_type: str, text: str = "", content: str = "file") -> str:
        """content: the file's bytes, as text."""
        file_id = str(uuid.uuid4())
        self._org.files[file_id] = (name, media_type, content.encode())
        url = f"{self._org.url}/_files/{file_id}"
        shown = {"id": file_id, "name": name, "mimeType": media_type, "url": url}
        return self._post(
            conversation,
            "StaticContentMessage",
            staticContent={"formatType": "Attachments", "text": text, "attachments": [shown]},
        )

    def typing(self, conversation: str, is_typing: bool = True) -> None:
        found, session = self._live(conversation)
        kind = "TypingStartedIndicator" if is_typing else "TypingStoppedIndicator"
        who = self._served(session.agent)
        self._org.enter(found, kind, {"entryType": kind, "id": str(uuid.uuid4())}, who)

    def receipt(self, conversation: str, message: str, kind: str = "Read") -> None:
        """kind: Read or Delivery."""
        found, session = self._live(conversation)
        entry_type = f"{kind}Acknowledgement"
        payload = {
            "entryType": entry_type,
            "id": str(uuid.uuid4()),
            "acknowledgementTimestamp": self._org.clock.now_ms(),
            "acknowledgedConversationEntryIdentifier": message,
        }
        who = self._served(session.agent)
        self._org.enter(found, entry_type, payload, who, related=(message,))

    def transfer(self, conversation: str, agent: str = "", name: str = "") -> None:
        """To another agent, who accepts; agent empty: back to the queue."""
        found, session = self._live(conversation)
        self._org.leave(found, self._served(session.agent))
        session.agent = None
        found.routing_status = "TRANSFER"
        self._org.routing(found, "Transfer")
        if agent:
            self.accept(conversation, agent, name)
        else:
            self._org.status(found, "Waiting")

    def end(self, conversation: str) -> None:
        self._org.end(self._of(conversation), "Agent")

    def inactive(self, conversation: str) -> None:
        """The customer has not answered for the channel's minutes."""
        self._org.status(self._live(conversation)[0], "Inactive")

    def queue_position(self, conversation: str, position: int) -> None:
        payload = {"entryType": "QueuePosition", "id": str(uuid.uuid4()), "position": position}
        self._org.enter(self._of(conversation), "QueuePosition", payload, SYSTEM)

    def fail_routing(self, conversation: str, failure: str = "RoutingError", reason: str = "no agents") -> None:
        """Nobody can take it: told, and the session ends."""
        found = self._live(conversation)[0]
        self._org.routing(found, "Initial", failure, reason)
        self._org.end(found, "System")

    def _routed(self, conversation: Conversation) -> None:
        if self.accepts:
            self.accept(conversation.id)

    def _said(self, conversation: Conversation, said: dict[str, Any]) -> None:
        if self.echoes and conversation.session and conversation.session.agent:
            self.say(conversation.id, f"echo {said.get('staticContent', {}).get('text', '')}")

    def _post(self, conversation: str, kind: str, **content: Any) -> str:
        found, session = self._live(conversation)
        return self._org.message(found, self._served(session.agent), _abstract(kind, **content))

    def _agent(self, agent: str, name: str) -> Sender:
        self.agents[agent] = name or self.agents.get(agent, agent)
        return Sender("Agent", agent, self.agents[agent], "agent")

    def _of(self, conversation: str) -> Conversation:
        return self._org.conversations[conversation]

    def _live(self, conversation: str) -> tuple[Conversation, Any]:
        found = self._of(conversation)
        if found.session is None:
            raise ValueError("there is no messaging session")
        return found, found.session

    @staticmethod
    def _served(agent: Sender | None) -> Sender:
        if agent is None:
            raise ValueError("no agent has accepted")
        return agent


def _abstract(kind: str, **content: Any) -> dict[str, Any]:
    return {
        "messageType": kind,
        "id": str(uuid.uuid4()),
        "inReplyToMessageId": None,
        "references": [],
        **content,
    }
