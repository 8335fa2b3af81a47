"""What a visitor does, on its way to the agent: one turn, perhaps several posts, each under an id of its own.

The server takes a number once, and the session keeps the ids of its last posts: a turn is given again as often as
needed and arrives once.
"""

from __future__ import annotations

import msgspec

from connectors.salesforce.calls import SOON_S, fetched, over
from connectors.salesforce.opening import plain
from connectors.salesforce_live_agent.errors import NotYet, SessionGone
from connectors.salesforce_live_agent.live import LiveChat
from connectors.salesforce_live_agent.opening import pieces
from connectors.salesforce_live_agent.poll import Post
from connectors.salesforce_live_agent.rules import Rule
from connectors.salesforce_live_agent.state import NOT_SENT, Upload
from connectors.salesforce_live_agent.told import Told, encode
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
NOT_READY_S = 2.0
MOST_FILES = 5
"""Of one turn, each by itself; those after them are one message."""
OUTCOME_S = 15.0
"""So long what became of an upload is waited for, on a line that works."""
MOST_UPLOADS, UPLOAD_AGAIN_S = 3, 5.0
"""Of one file; then it goes as a link, so that no other words wait for it."""


async def send(live: LiveChat, turn: Turn) -> Reply:
    """Raises as `Connector.on_message`."""
    settings = live.shared().settings
    await live.visitor_spoke()
    text, hits = await live.masked(plain(turn.text))
    nothing = "nothing that could be sent" if text is not None else "a rule for sensitive data could not be applied"
    if text is None:
        await _withhold(live, turn)
        text = ""
    found = pieces(text, max(settings.longest_text, -(-2 * len(text) // MOST_POSTS)))
    if not found and not turn.files and not hits:
        return Reply(accepted=True, declined=nothing)
    for at, each in enumerate(found):
        await post(live, Post(f"{turn.delivery_id}.{at}", "ChatMessage", {"text": each}))
    if hits:
        await _tell_rules(live, turn, hits)
    for file in turn.files[:MOST_FILES]:
        await _give_file(live, turn, file)
    if more := turn.files[MOST_FILES:]:
        await _give_links(live, f"{turn.delivery_id}.more", more)
    live.typed = 0
    return Reply(accepted=True)


async def _withhold(live: LiveChat, turn: Turn) -> None:
    """The visitor reads that his words went to nobody; once, however often the turn is given."""
    await live.session.tell(f"withheld-{turn.delivery_id}", encode(Told(notice="withheld")))


async def _tell_rules(live: LiveChat, turn: Turn, hits: tuple[Rule, ...]) -> None:
    """Supervisors see that a rule was triggered. What Salesforce does not take of it keeps no words back."""
    body = {"rules": [{"id": each.id, "name": each.name} for each in hits]}
    try:
        await post(live, Post(f"{turn.delivery_id}.rules", "SensitiveDataRuleTriggered", body))
    except DeliveryRejected as exc:
        live.shared().context.log("rules_not_told", room=live.session.room, code=exc.code)


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


def not_ready(*, is_coming: bool) -> DeliveryRetryable:
    """is_coming: an agent is there, and reads what was said before."""
    message = "the agent is told what was said before" if is_coming else "no agent is there yet"
    return DeliveryRetryable(message, code="not-ready", retry_after_s=SOON_S, answered=True, nobody=not is_coming)


def _later(exc: DeliveryError, seconds: float) -> DeliveryRetryable:
    nobody = exc.code == "not-established"
    return DeliveryRetryable(str(exc), code=exc.code, retry_after_s=seconds, answered=True, nobody=nobody)


# -- files ---------------------------------------------------------------------------------------------------


async def _give_file(live: LiveChat, turn: Turn, file: TurnFile) -> None:
    """To an agent who asked for one; else as a link, where that is wanted."""
    shared, name = live.shared(), f"{turn.delivery_id}.{file.id}"
    tries = await _tries(live, name)
    if tries is None:
        return
    wanted, session = live.kept.wanted, live.kept.session
    if wanted is not None and session is not None and tries < MOST_UPLOADS:
        data = await fetched(shared.files, file.url)
        kind = file.media_type or "application/octet-stream"
        upload = Upload(name, wanted.token, shared.now_ms(), times=tries + 1)
        await live.change(upload=upload)
        try:
            await shared.api.upload(session, wanted, file.name, kind, data)
        except DeliveryRejected as exc:  # cancelled, used up, or too large: a link still tells of it
            shared.context.log("file_refused", room=live.session.room, code=exc.code)
            shared.context.count("files_refused", 1)
            await live.change(upload=None)
        except DeliveryRetryable as exc:  # where files are taken is another host, and says nothing of the chat's
            await live.change(upload=msgspec.structs.replace(upload, outcome=NOT_SENT))
            message, code = "the file could not be sent", "upload-not-sent"
            raise DeliveryRetryable(message, code=code, retry_after_s=UPLOAD_AGAIN_S, answered=True) from exc
        else:
            await _arrived(live, name)
            return
    await _give_links(live, name, (file,))


async def _give_links(live: LiveChat, name: str, files: tuple[TurnFile, ...]) -> None:
    if not live.shared().settings.file_links:
        raise DeliveryRejected("the agent did not ask for a file", code="file-not-asked")
    lines = []
    for each in files:
        shown, _ = await live.masked(plain(each.name))
        lines.append(f"{shown or 'file'}: {each.url}")
    await post(live, Post(name, "ChatMessage", {"text": "\n".join(lines)}))


async def _tries(live: LiveChat, name: str) -> int | None:
    """How often a file was given in vain; None: it arrived. What became of an upload that was cut off is told by the
    poll; where it is not for OUTCOME_S, it is sent once more. Raises DeliveryRetryable while that is waited for."""
    kept = live.kept
    if name in kept.uploaded:
        return None
    upload = kept.upload
    if upload is None or upload.name != name:
        return 0
    if upload.outcome == "Success":
        await _arrived(live, name)
        return None
    waited_ms = live.shared().now_ms() - max(upload.since_ms, live.heard_ms)
    if not upload.outcome and (not live.is_followed or not live.is_heard or waited_ms < OUTCOME_S * 1000):
        message = "what became of the file is not known yet"
        raise DeliveryRetryable(message, code="upload-unknown", retry_after_s=SOON_S, answered=True)
    return upload.times


async def _arrived(live: LiveChat, name: str) -> None:
    await live.change(wanted=None, upload=None, uploaded=(*live.kept.uploaded, name)[-MOST_POSTS:])
