"""Facts: flat, typed values with origin and trust. What a visitor can write is marked as such."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from omnibridge.domain.conversation import Conversation
from omnibridge.domain.events import ConversationStarted, Event, MessagePosted
from omnibridge.routing.decision import Fact
from omnibridge.routing.rules import plain

PLAIN_FACTS = (
    "workspace",
    "room",
    "department",
    "department_name",
    "source",
    "visitor_id",
    "visitor_name",
    "visitor_username",
    "visitor_email",
    "text",
)
"""Names a rule may use besides `room.<field>`, `visitor.<field>`, `bot.<what its last answer told>`, and
`crm.<what a system of records knows>`."""

DEPARTMENT, DEPARTMENT_NAME = "department", "department_name"
BOT = "bot."
CRM = "crm."
AGE = "crm.age_s"
MOST_TOLD, LONGEST_TOLD, LONGEST_ALL = 20, 2_000, 5_120
"""Of a bot's answer: how many, and characters of one and of all. A summary for the people who take over is one."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


def start_facts(event: ConversationStarted) -> dict[str, Any]:
    """What a conversation remembers of its start. Field values that are not plain JSON scalars are left out."""
    facts: dict[str, Any] = {
        "visitor_id": event.visitor_id,
        "visitor_name": event.visitor_name,
        "visitor_username": event.visitor_username,
        "visitor_email": event.visitor_email,
        "source": event.source,
    }
    for prefix, fields in (("room", event.room_fields), ("visitor", event.visitor_fields)):
        facts |= {f"{prefix}.{key}": value for key, value in fields.items() if _is_scalar(value)}
    return {name: value for name, value in facts.items() if value not in ("", None)}


class Facts:
    """What a rule can read for one event, found when it is read. `read`: what was, and what it was then.

    Room custom fields count as the visitor's word: he may write them (rocketchat-api, custom.field).
    The department too: he chooses it in the widget's form. The hub tells its id; its name is of the directory.
    """

    __slots__ = ("_conversation", "_departments", "_event", "_instead", "_now_ms", "_plain", "read")

    def __init__(
        self,
        conversation: Conversation,
        event: Event | None,
        instead: Mapping[str, Fact] = MappingProxyType({}),
        now_ms: int = 0,
        departments: Mapping[str, str] | None = None,
    ) -> None:
        """instead: facts that shall be other than found: what a replay asks "what if" with. now_ms: for ages.
        event: none = what is known of the conversation alone. departments: id -> name; None = nobody asks for names."""
        self._conversation, self._event, self._instead, self._now_ms = conversation, event, instead, now_ms
        self._departments = departments
        self.read: dict[str, Fact | None] = {}
        self._plain: dict[str, Any] = {}

    def of(self, conversation: Conversation, event: Event | None = None) -> Facts:
        """The same for another state of the conversation, or event; nothing of it is read yet."""
        return Facts(conversation, event or self._event, self._instead, self._now_ms, self._departments)

    def plain(self, name: str) -> Any:
        """As it is compared; None when there is no such fact. Noted as read."""
        if name not in self._plain:
            found = self.read[name] = self._find(name)
            self._plain[name] = plain(found.value) if found else None
        return self._plain[name]

    def other(self, name: str) -> Any:
        """What is compared besides: of a department its name, where it is known. None for all other facts."""
        if name != DEPARTMENT or self._departments is None or self.plain(name) is None:
            return None
        return self.plain(DEPARTMENT_NAME)

    def gap(self, name: str) -> str:
        """What was not known when this fact was compared, in words; empty = nothing."""
        if name not in (DEPARTMENT, DEPARTMENT_NAME) or self._departments is None:
            return ""
        found = self._find(DEPARTMENT)
        is_nameless = found is not None and self.plain(DEPARTMENT_NAME) is None
        return f"; the hub has not told the name of department {found.value!r}" if found and is_nameless else ""

    def _find(self, name: str) -> Fact | None:
        if name in self._instead:
            return self._instead[name]
        conversation, event = self._conversation, self._event
        match name:
            case "workspace":
                return Fact(conversation.workspace, "configuration", "ours")
            case "room":
                return Fact(conversation.room, "hub", "staff")
            case "department":
                return Fact(conversation.department, "hub room", "visitor") if conversation.department else None
            case "department_name":
                return self._department_name()
            case "text" if isinstance(event, MessagePosted):
                return Fact(event.text, "message", "visitor" if event.author == "visitor" else "staff")
        if name.startswith(CRM):
            return self._learned(name)
        if name.startswith(BOT):
            told = conversation.bot_facts.get(name.removeprefix(BOT))
            return Fact(told, "bot's last answer", "ours") if told is not None else None
        if name not in conversation.facts:
            return None
        return Fact(conversation.facts[name], "start of the conversation", "visitor")

    def _department_name(self) -> Fact | None:
        """He chooses which, so it is trusted as little as the id."""
        found = self._find(DEPARTMENT)
        known = (self._departments or {}).get(str(found.value)) if found else None
        return Fact(known, "hub's departments", "visitor") if known else None

    def _learned(self, name: str) -> Fact | None:
        """Of a system of records; `crm.age_s` since when it is known."""
        conversation = self._conversation
        if not conversation.crm_at:
            return None
        if name == AGE:
            return Fact(max(0, self._now_ms - conversation.crm_at) // 1000, "system of records", "crm")
        known = conversation.crm_facts.get(name.removeprefix(CRM))
        return Fact(known, "system of records", "crm") if known is not None else None


NameOf = Callable[[str, str], str]
"""Name of a department: (workspace, id); empty = not known."""


def no_name(workspace: str, department: str) -> str:
    return ""


def known_facts(workspace: str, conversation: Conversation, name_of: NameOf) -> dict[str, Any]:
    """What may be told of a conversation; each of those who are told gets what `allowed_facts` leaves."""
    facts = {"workspace": workspace, "room": conversation.room, **conversation.facts}
    if conversation.department:
        facts[DEPARTMENT] = conversation.department
        if name := name_of(workspace, conversation.department):
            facts[DEPARTMENT_NAME] = name
    return facts


def told_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a bot's answer that are plain and not too many: they are journalled with each of its answers."""
    found = {
        name: value[:LONGEST_TOLD] if isinstance(value, str) else value
        for name, value in facts.items()
        if _NAME.fullmatch(name) and _is_scalar(value) and (isinstance(value, str) or abs(value) < 2**53)
    }
    left, kept = LONGEST_ALL, dict[str, Any]()
    for name, value in list(found.items())[:MOST_TOLD]:
        kept[name] = value[:left] if isinstance(value, str) else value
        left -= len(kept[name]) if isinstance(value, str) else 0
    return kept


def allowed_facts(facts: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    """The subset that a connection may be told. `room.*`, `visitor.*`, `bot.*` and `crm.*` allow a whole group."""
    return {name: value for name, value in facts.items() if name in names or f"{name.split('.', 1)[0]}.*" in names}


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | int | float | bool)
