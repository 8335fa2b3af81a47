"""What the ledgers of hub, desk and CRM tell of one conversation, in one shape for both desks."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

from connectors.salesforce_messaging.story import cast
from connectors.salesforce_messaging.story.cast import Agent

if TYPE_CHECKING:
    from connectors.salesforce_messaging.story.chapters import Chapter

HISTORY = "Conversation so far:"
LIVE_AGENT = "live_agent"
BOTS = ("assistant", "concierge")
"""User names."""

NO_SESSION: dict[str, Any] = {"attributes": {}}


class Words(NamedTuple):
    """agent: his name at the desk."""

    agent: str
    text: str


class DeskSide(NamedTuple):
    """history: what the agent read before all else. heard: the visitor's words that came after it, in order.

    said: of agents. asked: ids of questions, in order; answered: (question, value) by the API's own messages.
    served: names of agents, in order. files: (name, sha256) of visitor and agents. is_over: the agent ended it.
    is_left: the conversation is closed there.
    """

    history: str
    facts: dict[str, str]
    heard: list[str]
    said: list[Words]
    asked: list[str]
    answered: list[tuple[str, str]]
    served: list[str]
    files: list[tuple[str, str]]
    is_over: bool
    is_left: bool


class Evidence(NamedTuple):
    """room, files, users: of the hub. faces: sha256 of the agents' pictures where those are published, by name.

    crm: the whole ledger. contact: the customer's id there before the chat. bot: (lost, doubled, out of order).
    """

    protocol: str
    room: dict[str, Any]
    files: list[dict[str, Any]]
    users: dict[str, dict[str, Any]]
    faces: dict[str, str]
    desk: DeskSide
    crm: dict[str, Any]
    contact: str
    bot: tuple[int, int, int]


async def gathered(chapter: Chapter, contact: str) -> Evidence:
    """After the chapter. Waits until the CRM has transcript and files, which are written later than the close."""
    stage = chapter.stage
    crm = stage.simulator("salesforce_crm")
    shared = sum(bool(each["message"]) for each in (await stage.hub.ledger(chapter.visitor.rid))["files"])

    async def is_written() -> bool:
        records = (await crm.ledger())["records"]
        cases = {each["Id"] for each in records.get("Case", []) if each.get("ContactId") == contact}
        tasks = [each for each in records.get("Task", []) if each.get("WhatId") in cases]
        files = [each for each in records.get("ContentVersion", []) if each.get("FirstPublishLocationId") in cases]
        return cast.ORDER in _whole(tasks) and len(files) >= shared

    async def is_left() -> bool:
        return chapter.of_desk(await chapter.desk.ledger()).is_left

    for what, look in (("the transcript is not in the CRM", is_written), ("the desk still has it", is_left)):
        try:
            await stage.until(what, look)
        except TimeoutError as exc:
            stage.screen.tell(f"!! {exc}")
    hub = await stage.hub.ledger(chapter.visitor.rid)
    users = (await stage.hub.call("GET", "/_sandbox/workspace"))["users"]
    faces = {each.name: hashlib.sha256(await stage.download(stage.face(each.face))).hexdigest() for each in cast.AGENTS}
    (room,) = hub["rooms"]
    side = chapter.of_desk(await chapter.desk.ledger())
    with_bots = [each for each in room["messages"] if each["kind"] == "visitor" or each["author"] in BOTS]
    bot = stage.bot_answers({**room, "messages": with_bots})
    return Evidence(chapter.name, room, hub["files"], users, faces, side, await crm.ledger(), contact, bot)


def of_messaging(ledger: dict[str, Any], chat: str) -> DeskSide:
    """chat: the conversation's id."""
    rows = [each for each in ledger["desk"] if each["conversation"] == chat and each["kind"] in ("message", "file")]
    plain = [each["text"] for each in rows if each["type"] == "StaticContentMessage" and each["kind"] == "message"]
    conversation = ledger["conversations"].get(chat, {"entries": [], "sessions": [], "is_closed": False})
    messages = [
        (each["senderDisplayName"], each["entryPayload"]["abstractMessage"])
        for each in conversation["entries"]
        if each["entryType"] == "Message" and each["sender"]["role"] == "Agent"
    ]
    joined = [
        entry["displayName"]
        for each in conversation["entries"]
        if each["entryType"] == "ParticipantChanged"
        for entry in each["entryPayload"]["entries"]
        if entry["operation"] == "add" and entry["participant"]["role"] == "Agent"
    ]
    session: dict[str, Any] = conversation["sessions"][-1] if conversation["sessions"] else NO_SESSION
    return DeskSide(
        history=next((each for each in plain if each.startswith(HISTORY)), ""),
        facts=session["attributes"],
        heard=[each for each in plain if not each.startswith(HISTORY)],
        said=[Words(name, text) for name, each in messages if (text := _text(each))],
        asked=[each["id"] for _, each in messages if each["messageType"] == "ChoicesMessage"],
        answered=[
            (each["said"]["inReplyToMessageId"], each["text"])
            for each in rows
            if each["type"] == "ChoicesResponseMessage"
        ],
        served=joined,
        files=[(each["name"], each["sha256"]) for each in ledger["files"]],
        is_over=any(
            each["entryPayload"].get("sessionStatus") == "Ended"
            and each["entryPayload"].get("sessionEndedByRole") == "Agent"
            for each in conversation["entries"]
        ),
        is_left=conversation["is_closed"],
    )


def of_live_agent(ledger: dict[str, Any], chat: str) -> DeskSide:
    """chat: the session's id. Its agents' menus are in no record: `asked` has one entry for each batch with some."""
    rows = [each for each in ledger["desk"] if each["session"] == chat]
    plain = [each["text"] for each in rows if each["kind"] == "message"]
    session = ledger["sessions"].get(chat, {"lines": [], "state": "", "init": {}})
    lines = session["lines"]
    given = {
        each["sequence"] for each in ledger["visitor"] if each["session"] == chat and "RichMessage" in each["types"]
    }
    spoke = [each["name"] for each in lines if each["type"] in ("Agent", "OperatorTransferred")]
    return DeskSide(
        history=next((each for each in plain if each.startswith(HISTORY)), ""),
        facts={each["label"]: each["value"] for each in session["init"].get("prechatDetails", [])},
        heard=[each for each in plain if not each.startswith(HISTORY)],
        said=[Words(each["name"], each["content"]) for each in lines if each["type"] == "Agent"],
        asked=["RichMessage" for _ in given],
        answered=[],
        served=[name for at, name in enumerate(spoke) if at == 0 or spoke[at - 1] != name],
        files=[(each["name"], each["sha256"]) for each in ledger["files"]],
        is_over=session["state"] == "ended" and not any(each["kind"] in ("end", "left") for each in rows),
        is_left=session["state"] == "ended",
    )


def user_of(evidence: Evidence, agent: Agent, external_id: str) -> tuple[str, dict[str, Any]]:
    """(user name, user) of the hub's user who says that he is this agent; ('', {}) for nobody."""
    for username, user in evidence.users.items():
        if user["custom_fields"].get("externalAgentId") == f"salesforce:{external_id}":
            return username, user
    return "", {}


def _text(abstract: dict[str, Any]) -> str:
    content = abstract.get("staticContent") or abstract.get("choices") or {}
    return str(content.get("text", ""))


def _whole(tasks: list[dict[str, Any]]) -> str:
    return "\n".join(str(each.get("Description", "")) for each in tasks)
