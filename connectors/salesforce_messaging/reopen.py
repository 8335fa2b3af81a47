"""A guest's token ends: his chat goes on in another conversation, as another guest, before the first one ends.

Nobody else may see the old conversation (reference 2.3), so who takes the new one reads what was said first. Nothing is
sent meanwhile, and the old entries tell which messages had arrived there: none is given to both.
"""

from __future__ import annotations

from typing import Any

from connectors.salesforce.opening import MOST_PIECES, plain
from connectors.salesforce_messaging.chat import Chat, Shared
from connectors.salesforce_messaging.content import as_text, carried, contents_of
from connectors.salesforce_messaging.entries import Echo, Entry, Said, events_of
from connectors.salesforce_messaging.opening import with_title
from connectors.salesforce_messaging.reading import entries_of
from connectors.salesforce_messaging.settings import SalesforceMessagingSettings
from connectors.salesforce_messaging.state import Kept, Old, uuid4_of
from connectors.salesforce_messaging.stream import Position
from connectors.salesforce_messaging.told import Told
from omnibridge.connector import Carousel, Choices, Content, DeliveryError, Option, Select

PEOPLE = ("Agent", "Supervisor", "Chatbot")
REMEMBERED = 64
"""Messages of which it is known that they arrived: of the turn under way, not more."""


async def reopen(chat: Chat, shared: Shared) -> None:
    """Durable on return: the next stream is the other guest's. Raises DeliveryError: nothing has changed."""
    async with chat.talking:
        kept = chat.kept
        entries = await entries_of(chat, shared)
        access = await shared.org.guest()
        lines, taken = so_far(shared.settings, kept, entries)
        conversation = uuid4_of(kept.conversation, "again")
        await chat.change(
            f"reopened:{conversation}",
            Told(notice="reopened"),
            conversation=conversation,
            access=access,
            position=Position(access.last_event_id),
            history=lines,
            taken=taken,
            old=Old(kept.conversation, chat.access),
            form=None,
            is_begun=False,
            is_accepted=False,
            is_requeued=True,
        )
        chat.ready.clear()
        chat.heard = chat.kept.position
        shared.pacer.forget(kept.conversation)
    shared.context.count("guests_reopened", 1)


async def end_old(chat: Chat, shared: Shared) -> None:
    """It ends by itself where that cannot be told."""
    old = chat.kept.old
    if old is None:
        return
    try:
        await shared.org.close(old.access, old.conversation)
    except DeliveryError as exc:
        shared.context.log("conversation_not_closed", room=chat.session.room, code=exc.code)


def so_far(
    settings: SalesforceMessagingSettings, kept: Kept, entries: list[Entry]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What who comes next reads first, and the visitor's messages that had arrived."""
    before = {uuid4_of(kept.conversation, "history", str(at)) for at in range(MOST_PIECES)}
    lines, taken, labels = list[str](), list[str](), dict[str, str]()
    for each in (event for entry in entries for event in events_of(kept.conversation, entry)):
        if not isinstance(each, Echo | Said):
            continue
        parts = contents_of(each.abstract) if each.abstract else ()
        text = "\n".join(filter(None, map(as_text, parts)))
        name = ""
        if isinstance(each, Echo):
            taken.append(each.id)
            text = text or _answer(each.abstract, labels)
            name = "" if each.id in before else settings.visitor_label
        elif each.sender.role in PEOPLE:
            labels |= {carried(option.value or "")[1]: option.label for part in parts for option in _options(part)}
            name = each.sender.name or settings.agent_label
        else:
            continue
        if text.strip():
            lines.append(plain(f"{name}: {text}" if name else text))
    title = "" if lines and lines[0].startswith(settings.history_title) else settings.history_title
    return with_title(settings, title, lines) if settings.history != "none" else (), tuple(taken[-REMEMBERED:])


def _options(part: Content) -> tuple[Option, ...]:
    match part:
        case Choices(options=options) | Select(options=options):
            return options
        case Carousel(cards=cards):
            return tuple(option for card in cards for option in card.options)
        case _:
            return ()


def _answer(abstract: dict[str, Any], labels: dict[str, str]) -> str:
    """To a question or a form."""
    chosen = (abstract.get("choicesResponse") or {}).get("selectedOptions") or ()
    filled = (abstract.get("formResponse") or {}).get("inputs") or ()
    names = [str(each.get("optionIdentifier") or "") for each in chosen]
    return ", ".join([*(labels.get(each, each) for each in names), *(str(each.get("value") or "") for each in filled)])
