"""The entries of a conversation, read apart from its stream: what arrived, and whether the session had ended before."""

from __future__ import annotations

from connectors.salesforce_messaging.chat import Chat, Shared
from connectors.salesforce_messaging.entries import Echo, Entry, events_of
from connectors.salesforce_messaging.stream import PAGE
from connectors.salesforce_messaging.told import is_end
from omnibridge.connector import DeliveryError


async def entries_of(chat: Chat, shared: Shared, begin: int = 0) -> list[Entry]:
    """All since then (milliseconds), oldest first. Raises DeliveryError."""
    found: dict[str, Entry] = {}
    while True:
        page = await shared.org.entries(chat.access, chat.kept.conversation, begin, PAGE)
        found |= {each.mark: each for each in page}
        if len(page) < PAGE:
            return list(found.values())
        begin = max(begin + 1, page[-2].at)  # the last may be of a clock that is wrong


async def look_again(chat: Chat, shared: Shared) -> bool:
    """Of words that no stream told of: which were entered, and whether before the session's end. Only that is taken
    from the entries here; all they tell comes with the next stream. False: they cannot be read."""
    conversation = chat.kept.conversation
    begin = chat.heard.place(conversation).since if chat.heard is not None else 0
    try:
        entries = await entries_of(chat, shared, begin)
    except DeliveryError:
        shared.context.count("lookups_failed", 1)
        return False
    for each in (event for entry in entries for event in events_of(conversation, entry)):
        if isinstance(each, Echo):
            chat.echoed(each.id)
        elif is_end(each):
            chat.ended()
            break
    if chat.deaf_since is None and all(each.done() for each in chat.awaited.values()):
        shared.context.count("streams_stale", 1)  # it is silent, or has lost them: the next one catches up
        chat.interrupt()
    return True
