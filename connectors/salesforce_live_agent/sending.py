"""What a visitor does, on its way to the agent: one turn, perhaps several posts, each under an id of its own.

The server takes a number once, and the session keeps the ids of its last posts: a turn is given again as often as
needed and arrives once.
"""

from __future__ import annotations

import httpx2

from connectors.salesforce_live_agent.errors import NotYet, SessionGone
from connectors.salesforce_live_agent.live import LiveChat
from connectors.salesforce_live_agent.opening import pieces, plain
from connectors.salesforce_live_agent.poll import Post
from omnibridge.connector import (
    DeliveryError,
    DeliveryRejected,
    DeliveryRetryable,
    DeliveryUncertain,
    Reply,
    Turn,
    TurnFile,
)

MOST_POSTS = 10
"""Of one turn: fewer than the posts that a session remembers."""
NOT_READY_S, SOON_S = 2.0, 1.0


async def send(live: LiveChat, turn: Turn) -> Reply:
    """Raises as `Connector.on_message`."""
    settings = live.shared().settings
    text = plain(turn.text)
    found = pieces(text, max(settings.longest_text, -(-2 * len(text) // MOST_POSTS)))
    if not found and not turn.files:
        return Reply(accepted=True, declined="nothing that could be sent")
    await live.visitor_spoke()
    for at, each in enumerate(found):
        await post(live, Post(f"{turn.delivery_id}.{at}", "ChatMessage", {"text": each}))
    for file in turn.files:
        await _give_file(live, turn, file)
    live.typed = 0
    return Reply(accepted=True)


async def post(live: LiveChat, given: Post) -> None:
    """Raises DeliveryError; what is over soon is told as such."""
    assert live.chat is not None
    try:
        await live.chat.post(given)
    except SessionGone as exc:
        raise over() from exc
    except NotYet as exc:
        raise _later(exc, NOT_READY_S) from exc
    except DeliveryUncertain as exc:
        if exc.code == "moved":  # it is reconnected at once
            raise DeliveryUncertain(str(exc), code="moved") from exc
        raise


def over() -> DeliveryRetryable:
    """The decision that follows from the end is under way, and takes the words elsewhere."""
    return DeliveryRetryable("the chat is over", code="over", retry_after_s=NOT_READY_S, answered=True, nobody=True)


def not_ready() -> DeliveryRetryable:
    return DeliveryRetryable(
        "no agent is there yet", code="not-ready", retry_after_s=SOON_S, answered=True, nobody=True
    )


def _later(exc: DeliveryError, seconds: float) -> DeliveryRetryable:
    nobody = exc.code == "not-established"
    return DeliveryRetryable(str(exc), code=exc.code, retry_after_s=seconds, answered=True, nobody=nobody)


# -- files ---------------------------------------------------------------------------------------------------


async def _give_file(live: LiveChat, turn: Turn, file: TurnFile) -> None:
    """To an agent who asked for one; else as a link, where that is wanted."""
    shared, wanted, name = live.shared(), live.kept.wanted, f"{turn.delivery_id}.{file.id}"
    if name in live.uploaded:
        return
    if wanted is not None and live.kept.session is not None:
        data = await _fetched(live, file)
        kind = file.media_type or "application/octet-stream"
        try:
            await shared.api.upload(live.kept.session, wanted, file.name, kind, data)
        except DeliveryRejected as exc:  # cancelled, used up, or too large: a link still tells of it
            shared.context.log("file_refused", room=live.session.room, code=exc.code)
            shared.context.count("files_refused", 1)
        else:
            live.uploaded.add(name)
            await live.change(wanted=None)
            return
    if not shared.settings.file_links:
        raise DeliveryRejected("the agent did not ask for a file", code="file-not-asked")
    await post(live, Post(name, "ChatMessage", {"text": f"{plain(file.name)}: {file.url}"}))


async def _fetched(live: LiveChat, file: TurnFile) -> bytes:
    try:
        answer = await live.shared().files.request("GET", file.url, headers={"Accept-Encoding": "identity"})
    except httpx2.HTTPError as exc:
        raise DeliveryRetryable("the visitor's file could not be read", code="file-unread", answered=True) from exc
    if answer.status_code == 200:
        return answer.content
    if answer.status_code >= 500 or answer.status_code == 429:
        raise DeliveryRetryable(
            f"the visitor's file: HTTP {answer.status_code}", code="file-unread", retry_after_s=SOON_S, answered=True
        )
    raise DeliveryRejected(f"the visitor's file is not there any more: HTTP {answer.status_code}", code="file-gone")
