"""One conversation from bot to agents and back, at either desk: who speaks when. What follows from it is not said here.

A desk's side is driven through its simulator's `/_sandbox/agent`; each step waits for the hub's or the desk's ledger.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from connectors.salesforce.ids import long_id
from connectors.salesforce_messaging.story import cast
from connectors.salesforce_messaging.story.cast import ALEX, BEA, Customer
from connectors.salesforce_messaging.story.evidence import LIVE_AGENT, DeskSide, of_live_agent, of_messaging

if TYPE_CHECKING:
    from omnibridge.demo_stage import Stage
    from omnibridge.sandbox.visitor import SandboxClient, Visitor


class Chapter(ABC):
    """One visitor and one desk. chat: the desk's id of the conversation."""

    name = ""
    title = ""
    simulator = ""
    id_name = ""

    def __init__(self, stage: Stage, desk: SandboxClient, customer: Customer) -> None:
        self.stage, self.desk, self.customer = stage, desk, customer
        self.visitor: Visitor = stage.visitor(customer.name)
        self.chat = ""

    # -- the play ---------------------------------------------------------------------------------------------------

    async def play(self) -> None:
        """Raises TimeoutError when something does not happen."""
        self.stage.screen.begin()
        self.stage.screen.tell(f"== {self.title} ==")
        await self.stage.learn_names()
        await self._at_the_bot()
        await self._offered()
        await self._with_alex()
        await self.choices()
        await self.files()
        await self._with_bea()
        await self._back_at_the_bot()

    async def _at_the_bot(self) -> None:
        customer = self.customer
        fields = [{"key": "chat_key", "value": customer.chat_key, "overwrite": True}]
        department = {"department": customer.department} if customer.department else {}
        await self.visitor.open_room(email=customer.email, customFields=fields, **department)
        await self.reads("Hello, this is the test bot")
        await self.says("menu")
        await self.reads("Pick one of these:")
        await self.says("1")
        await self.reads("Here is the picture.")
        await self.says(cast.GIVES_WAY)
        await self.stage.until(f"{self.simulator}: no agent is offered the conversation", self._is_offered)

    async def _offered(self) -> None:
        await self.act("queue_position", position=2)
        await self.reads("You are number 2 in the queue.")
        await self.says(cast.WAITS)

    async def _with_alex(self) -> None:
        await self.act("accept", agent=ALEX.id, name=ALEX.name)
        self.tell(f"{ALEX.name} accepts, and reads:")
        await self.stage.until("the desk was not told what was said before", self._has_history)
        for line in self.of_desk(await self.desk.ledger()).history.split("\n"):
            self.tell(f"  {line}")
        await self.act("say", text=cast.HELLO)
        await self.reads(cast.HELLO)
        await self.says(cast.PROBLEM)
        await self.hears(cast.PROBLEM)

    @abstractmethod
    async def choices(self) -> None: ...

    @abstractmethod
    async def files(self) -> None: ...

    @abstractmethod
    def of_desk(self, ledger: dict[str, Any]) -> DeskSide:
        """What the desk's ledger tells of this conversation."""

    async def _with_bea(self) -> None:
        await self.act("say", text=cast.HANDS_ON)
        await self.act("transfer", agent=BEA.id, name=BEA.name)
        self.tell(f"{ALEX.name} transfers the chat to {BEA.name}")
        await self.act("say", text=cast.BEA_HERE)
        await self.reads(cast.BEA_HERE)
        await self.says(cast.THANKS)
        await self.hears(cast.THANKS)

    async def _back_at_the_bot(self) -> None:
        await self.act("end")
        self.tell(f"{BEA.name} ends the chat")
        await self.stage.until("no bot serves again", self._bot_serves)
        await self.says(cast.BACK_AT_BOT)
        await self.reads(cast.ORDER)
        await self.visitor.close()
        await self.visitor.wait_event("closed")
        await self.stage.screen.show(self.visitor)

    # -- hands and eyes ---------------------------------------------------------------------------------------------

    async def act(self, do: str, **more: Any) -> None:
        """What an agent does. Raises RuntimeError when the desk refuses it."""
        found = await self.desk.call("POST", "/_sandbox/agent", {"do": do, self.id_name: self.chat, **more})
        if found["_status"] != 200:
            raise RuntimeError(f"{self.simulator} refused {do}: {found.get('error')}")

    async def says(self, text: str) -> None:
        await self.visitor.say(text)
        await self.stage.screen.show(self.visitor)

    async def reads(self, text: str) -> None:
        """Until the visitor's room has a message that begins with the text."""

        async def is_there() -> bool:
            messages = (await self.stage.room(self.visitor))["messages"]
            return any(each["kind"] != "visitor" and each["text"].startswith(text) for each in messages)

        await self.stage.until(f"the visitor does not read {text!r}", is_there)
        await self.stage.learn_names()
        await self.stage.screen.show(self.visitor)

    async def hears(self, text: str) -> None:
        """Until the desk has a message with the text."""

        async def is_there() -> bool:
            return any(each.get("text") == text for each in await self.desk_rows())

        await self.stage.until(f"the desk does not read {text!r}", is_there)
        self.tell(f"{self.customer.name}: {text}")

    async def receives(self, rows: str, count: int = 1) -> None:
        """Until the desk has so many rows of a kind."""

        async def is_there() -> bool:
            return sum(rows in (each["kind"], each.get("type")) for each in await self.desk_rows()) >= count

        await self.stage.until(f"the desk has no {count} {rows}", is_there)
        row = [each for each in await self.desk_rows() if rows in (each["kind"], each.get("type"))][-1]
        self.tell(f"a file of {row['size']} bytes" if rows == "file" else f"the answer to the question: {row['text']}")

    async def sends_file(self) -> None:
        await self.visitor.upload(cast.BROKEN.name, cast.BROKEN.content, cast.BROKEN.media_type)
        await self.stage.screen.show(self.visitor)
        await self.receives("file")

    async def desk_rows(self) -> list[dict[str, Any]]:
        rows = (await self.desk.ledger())["desk"]
        return [each for each in rows if each[self.id_name] == self.chat]

    async def _is_offered(self) -> bool:
        waiting = (await self.desk.ledger())["waiting"]
        self.chat = waiting[0] if waiting else ""
        return bool(waiting)

    async def _has_history(self) -> bool:
        return bool(self.of_desk(await self.desk.ledger()).history)

    async def _bot_serves(self) -> bool:
        room = await self.stage.room(self.visitor)
        return room["served_by"] in ("assistant", "concierge")

    def tell(self, text: str) -> None:
        """Something at the desk."""
        self.stage.screen.tell(f"  [{self.title}] {text}")


class Messaging(Chapter):
    name = "messaging"
    title = "Salesforce Messaging"
    simulator = "salesforce_messaging"
    id_name = "conversation"

    async def choices(self) -> None:
        """Buttons, answered by number; quick replies, answered by their words."""
        for n, (text, options, nth, style) in enumerate(QUESTIONS):
            shown = [{"title": title, "id": value} for title, value in options]
            await self.act("ask", text=text, options=shown, style=style)
            await self.reads(text)
            await self.says(str(nth + 1) if style == "Buttons" else options[nth][0])
            await self.receives("ChoicesResponseMessage", n + 1)

    async def files(self) -> None:
        await self.act("say", text=cast.SEND_PICTURE)
        await self.reads(cast.SEND_PICTURE)
        await self.sends_file()
        form = cast.FORM
        wish = {"name": form.name, "media_type": form.media_type, "content": form.content.decode()}
        await self.act("send_file", text=cast.LOOK_HERE, **wish)
        await self.reads(cast.LOOK_HERE)
        await self.stage.until("the agent's file is not in the room", self._has_file)
        await self.stage.screen.show(self.visitor)

    def of_desk(self, ledger: dict[str, Any]) -> DeskSide:
        return of_messaging(ledger, self.chat)

    async def _has_file(self) -> bool:
        files = (await self.stage.hub.ledger(self.visitor.rid))["files"]
        return any(each["name"] == cast.FORM.name and each["message"] for each in files)


QUESTIONS = (
    (cast.WHICH, cast.ANSWERS, cast.ANSWER, "Buttons"),
    (cast.HOW, cast.WAYS, cast.WAY, "QuickReplies"),
)


class LiveAgent(Chapter):
    """Its agents have no choices and no files to give: a menu is text, and a file is a link."""

    name = LIVE_AGENT
    title = "Live Agent"
    simulator = "salesforce_live_agent"
    id_name = "session"

    async def choices(self) -> None:
        menu = {"text": cast.WHICH, "items": [{"text": title} for title, _ in cast.ANSWERS]}
        await self.act("push", kind="RichMessage", **menu)
        await self.reads(cast.WHICH)
        answer = cast.ANSWERS[cast.ANSWER][0]
        await self.says(answer)
        await self.hears(answer)

    async def files(self) -> None:
        await self.act("say", text=cast.SEND_PICTURE)
        await self.act("request_file")
        await self.reads("The agent asks you to send a file.")
        await self.sends_file()
        await self.act("say", text=f"{cast.LOOK_HERE} {cast.FORM_URL}")
        await self.reads(cast.LOOK_HERE)

    def of_desk(self, ledger: dict[str, Any]) -> DeskSide:
        return of_live_agent(ledger, self.chat)


def agents_csv(face: Callable[[str], str]) -> str:
    """For `omnibridge agents import`. face: colour -> address of a picture."""
    rows = [f"salesforce,{long_id(each.id)},{each.name},{face(each.face)}" for each in cast.AGENTS]
    return "\n".join(["system,external_id,name,avatar_url", *rows, ""])
