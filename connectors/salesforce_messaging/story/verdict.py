"""Whether the story is in the ledgers: what each side wrote down is compared, what we believe is not asked. Pure."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

from connectors.salesforce.ids import long_id
from connectors.salesforce_messaging.story import cast
from connectors.salesforce_messaging.story.evidence import BOTS, LIVE_AGENT, Evidence, user_of

Check = Callable[[Evidence], bool]
COUNTS = ("lost", "doubled", "out_of_order")
LINE = re.compile(r"\[\d{4}-\d\d-\d\d [\d:]{8}\] ([^:]+): (.*)")
"""Of the transcript; what does not match goes on with the line before."""

SPEAKERS = ("Visitor: ", "Bot: ", "Agent: ")


def judge(evidence: Evidence) -> dict[str, Any]:
    """Each step, true or false, and the counts of both directions and of the bot."""
    found: dict[str, Any] = {name: check(evidence) for name, check in CHECKS.items()}
    return found | dict(zip(COUNTS, counted(evidence), strict=True))


def summed(parts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """parts: by protocol. ok: everything holds, and nothing was lost, doubled or out of order."""
    counts = {name: sum(each[name] for each in parts.values()) for name in COUNTS}
    holds = all(each[name] for each in parts.values() for name in CHECKS)
    return {**parts, **counts, "ok": holds and not sum(counts.values()) and bool(parts)}


# -- from bot to desk -----------------------------------------------------------------------------------------


def _bot_answered(evidence: Evidence) -> bool:
    return any(each.startswith("Here is the picture.") for each in _texts(evidence, "bot"))


def _handed_over(evidence: Evidence) -> bool:
    """Somebody of the desk has it, and reads whose conversation it is."""
    facts = set(evidence.desk.facts.values())
    return bool(evidence.desk.served) and evidence.room["rid"] in facts


def _history_shown(evidence: Evidence) -> bool:
    """All that the room has from before, in its order, and nothing else."""
    lines = [each.split(" [chose: ")[0] for each in evidence.desk.history.split("\n") if each.startswith(SPEAKERS)]
    before = []
    for each in _said(evidence):
        if each["author"] == evidence.protocol:
            break
        if each["text"]:
            who = "Visitor" if each["kind"] == "visitor" else "Bot"
            before.append(f"{who}: {each['text']}".split("\n")[0])
    return lines == before and f"Visitor: {cast.GIVES_WAY}" in lines


def _earlier_choice_shown(evidence: Evidence) -> bool:
    """What the visitor chose at the bot stands in his own line."""
    lines = evidence.desk.history.split("\n")
    return any(each.startswith("Visitor: ") and cast.CHOSEN in each for each in lines)


def _queue_told(evidence: Evidence) -> bool:
    return any("number 2 in the queue" in each["text"] for each in _said(evidence))


def _waited(evidence: Evidence) -> bool:
    """What was written before anybody accepted is the first that the agent got after the history."""
    return evidence.desk.heard[:1] == [cast.WAITS]


# -- with agents ----------------------------------------------------------------------------------------------


def _shown(evidence: Evidence, agent: cast.Agent, words: str) -> bool:
    """A user of the hub with his name and his picture has the room, and says the words."""
    username, user = user_of(evidence, agent, long_id(agent.id))
    served = any(each["what"] == "assigned" and each["who"] == username for each in evidence.room["log"])
    spoke = any(each["author"] == username and each["text"] == words for each in _said(evidence))
    has_face = bool(user) and user["avatar_sha256"] == evidence.faces[agent.name]
    return served and spoke and has_face and user["name"] == agent.name


def _agent_shown(evidence: Evidence) -> bool:
    return _shown(evidence, cast.ALEX, cast.HELLO)


def _transferred(evidence: Evidence) -> bool:
    """At the desk from one to the other, and so shown here."""
    names = [each.name for each in cast.AGENTS]
    users = [user_of(evidence, each, long_id(each.id))[0] for each in cast.AGENTS]
    served = [each for each in _since_offered(evidence) if each in users]
    return evidence.desk.served == names and served == users and _shown(evidence, cast.BEA, cast.BEA_HERE)


def _choices(evidence: Evidence) -> bool:
    """Messaging: the options were shown, and the API's own answers name question and option. Live Agent has no choices
    for agents: a menu is text, and so is the answer."""
    shown = [each["text"] for each in _said(evidence)]
    which = next((each for each in shown if each.startswith(cast.WHICH)), "")
    options = all(title in which for title, _ in cast.ANSWERS)
    if evidence.protocol == LIVE_AGENT:
        return options and len(evidence.desk.asked) == 1 and cast.ANSWERS[cast.ANSWER][0] in evidence.desk.heard
    values = [cast.ANSWERS[cast.ANSWER][1], cast.WAYS[cast.WAY][1]]
    asked = evidence.desk.asked
    return options and len(asked) == 2 and evidence.desk.answered == list(zip(asked, values, strict=True))


def _file_to_agent(evidence: Evidence) -> bool:
    """Byte by byte."""
    return (cast.BROKEN.name, _digest(cast.BROKEN.content)) in evidence.desk.files


def _file_to_visitor(evidence: Evidence) -> bool:
    """Messaging: byte by byte, in the agent's name. Live Agent: a link."""
    username, _ = user_of(evidence, cast.ALEX, long_id(cast.ALEX.id))
    if evidence.protocol == LIVE_AGENT:
        return any(each["author"] == username and cast.FORM_URL in each["text"] for each in _said(evidence))
    wanted = (cast.FORM.name, _digest(cast.FORM.content), username)
    return wanted in [(each["name"], each["sha256"], each["owner"]) for each in evidence.files if each["message"]]


# -- back, and to the records ---------------------------------------------------------------------------------


def _agent_ended(evidence: Evidence) -> bool:
    return evidence.desk.is_over


def _back_at_the_bot(evidence: Evidence) -> bool:
    """It has the room again, and answers; the desk did not hear the question."""
    answers = [each for each in _said(evidence) if each["text"] == cast.ORDER]
    bea, _ = user_of(evidence, cast.BEA, long_id(cast.BEA.id))
    is_same = bool(answers) and _since_offered(evidence)[-2:] == [bea, answers[0]["author"]]
    return is_same and answers[0]["author"] in BOTS and cast.BACK_AT_BOT not in evidence.desk.heard


def _closed(evidence: Evidence) -> bool:
    """In Rocket.Chat and at the desk."""
    return not evidence.room["open"] and evidence.desk.is_left


def _contact_found(evidence: Evidence) -> bool:
    """The one that was there before, and no other was made."""
    made = [each for each in evidence.crm["changes"] if (each["how"], each["object"]) == ("create", "Contact")]
    cases = _cases(evidence)
    return len(made) == 2 and len(cases) == 1 and cases[0]["ContactId"] == evidence.contact


def _case_made(evidence: Evidence) -> bool:
    """One, and closed with the conversation."""
    cases = _cases(evidence)
    return len(cases) == 1 and bool(cases[0]["IsClosed"]) and cases[0]["Origin"] == "Chat"


def _transcript_attached(evidence: Evidence) -> bool:
    """Every word and file of the room is in the tasks of the case, once; each side's in its own order: what visitor
    and agent wrote in the same moment may be told in either order."""
    cases = _cases(evidence)
    tasks = [each for each in evidence.crm["records"].get("Task", []) if cases and each.get("WhatId") == cases[0]["Id"]]
    lines = [found for each in tasks for line in str(each["Description"]).split("\n") if (found := LINE.match(line))]
    kept: dict[str, list[str]] = {"visitor": [], "other": []}
    for name, text in (each.groups() for each in lines):
        kept["visitor" if name == "Visitor" else "other"].append(text.replace("[file: ", "["))
    said: dict[str, list[str]] = {"visitor": [], "other": []}
    for each in _said(evidence):
        titles = "".join(f"[{file['title']}]" for file in each["attachments"])
        said["visitor" if each["kind"] == "visitor" else "other"].append(each["text"].split("\n")[0] or titles)
    return bool(tasks) and kept == said


def _files_on_case(evidence: Evidence) -> bool:
    """Those of the room, byte by byte as far as the CRM's ledger tells: name, length and its own digest."""
    cases, wanted = _cases(evidence), [cast.BROKEN]
    if evidence.protocol != LIVE_AGENT:
        wanted.append(cast.FORM)
    versions = evidence.crm["records"].get("ContentVersion", [])
    found = Counter(
        (each["PathOnClient"], each["Checksum"])
        for each in versions
        if cases and each.get("FirstPublishLocationId") == cases[0]["Id"]
    )
    return found == Counter((each.name, _md5(each.content)) for each in wanted)


CHECKS: dict[str, Check] = {
    "bot_answered": _bot_answered,
    "handed_over": _handed_over,
    "history_shown_to_agent": _history_shown,
    "earlier_choice_shown_to_agent": _earlier_choice_shown,
    "queue_position_told": _queue_told,
    "words_waited_for_agent": _waited,
    "agent_shown_with_name_and_avatar": _agent_shown,
    "choices_both_ways": _choices,
    "file_to_agent": _file_to_agent,
    "file_to_visitor": _file_to_visitor,
    "transferred": _transferred,
    "agent_ended": _agent_ended,
    "back_at_the_bot": _back_at_the_bot,
    "closed": _closed,
    "contact_found": _contact_found,
    "case_made": _case_made,
    "transcript_attached": _transcript_attached,
    "files_on_case": _files_on_case,
}


def kept(evidence: Evidence) -> list[str]:
    """The CRM's records of the conversation, for people."""
    records, cases = evidence.crm["records"], _cases(evidence)
    ids = [each["Id"] for each in cases]
    tasks = [each for each in records.get("Task", []) if each.get("WhatId") in ids]
    files = [each for each in records.get("ContentVersion", []) if each.get("FirstPublishLocationId") in ids]
    found = [f"Case {each['Id']} of Contact {each['ContactId']}, {each['Status']}: {each['Subject']}" for each in cases]
    names = ", ".join(each["PathOnClient"] for each in files)
    return [*found, f"{len(tasks)} tasks with the transcript; files: {names}"]


# -- counts ---------------------------------------------------------------------------------------------------


def counted(evidence: Evidence) -> tuple[int, int, int]:
    """(lost, doubled, out of order): visitor to desk, desk to visitor, and what the bot answered."""
    agents = {user_of(evidence, each, long_id(each.id))[0]: each.name for each in cast.AGENTS}
    shown = [
        (agents[each["author"]], each["text"].split("\n")[0])
        for each in _said(evidence)
        if each["author"] in agents and each["text"]
    ]
    said = [(each.agent, each.text.split("\n")[0]) for each in evidence.desk.said]
    pairs = [compared(_for_desk(evidence), evidence.desk.heard), compared(said, shown), evidence.bot]
    lost, doubled, disordered = (sum(column) for column in zip(*pairs, strict=True))
    return lost, doubled + _twice(evidence), disordered


def compared(wanted: list[Any], found: list[Any]) -> tuple[int, int, int]:
    """(lost, doubled, out of order)."""
    missing, extra = Counter(wanted) - Counter(found), Counter(found) - Counter(wanted)
    disordered = 0 if missing or extra else sum(a != b for a, b in zip(wanted, found, strict=True))
    return missing.total(), extra.total(), disordered


def _for_desk(evidence: Evidence) -> list[str]:
    """The visitor's words between the bots, without answers that have a message of their own in the API."""
    said = [each["text"] for each in evidence.room["messages"] if each["kind"] == "visitor" and each["text"]]
    if cast.GIVES_WAY not in said:
        return []
    begin = said.index(cast.GIVES_WAY) + 1
    end = said.index(cast.BACK_AT_BOT) if cast.BACK_AT_BOT in said else len(said)
    answers = [] if evidence.protocol == LIVE_AGENT else [str(cast.ANSWER + 1), cast.WAYS[cast.WAY][0]]
    return [each for each in said[begin:end] if each not in answers]


def _twice(evidence: Evidence) -> int:
    return sum(n - 1 for n in Counter(each["id"] for each in evidence.room["messages"]).values())


# -- what is read often ---------------------------------------------------------------------------------------


def _said(evidence: Evidence) -> list[dict[str, Any]]:
    return [each for each in evidence.room["messages"] if not each["t"]]


def _since_offered(evidence: Evidence) -> list[str]:
    """Who got the room, from the desk's own user on, who is called as the protocol. Before that the hub may give a new
    room to whom it likes, such as the user of an agent who was just left by another visitor: the bridge moves it."""
    served = [each["who"] for each in evidence.room["log"] if each["what"] == "assigned"]
    return served[served.index(evidence.protocol) :] if evidence.protocol in served else []


def _texts(evidence: Evidence, kind: str) -> list[str]:
    return [each["text"] for each in _said(evidence) if each["kind"] == kind]


def _cases(evidence: Evidence) -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = evidence.crm["records"].get("Case", [])
    return [each for each in cases if each.get("SuppliedEmail") == _email(evidence)]


def _email(evidence: Evidence) -> str:
    return (cast.WALTER if evidence.protocol == LIVE_AGENT else cast.VERA).email


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
