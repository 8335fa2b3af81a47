"""Posting for people of an external system: as their own user, else by the relay account under their name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from omnibridge.domain.agent_events import PersonaShown
from omnibridge.domain.commands import Speaker
from omnibridge.engine.sender import Sent
from omnibridge.errors import DeliveryError, DeliveryRejected, DeliveryUncertain
from omnibridge.rocketchat.client import Credentials, RocketChatClient
from omnibridge.rocketchat.render import OutgoingMessage
from omnibridge.rocketchat.split import fits
from omnibridge.storage.outbox import Delivery

CredentialsOf = Callable[[str, str, Credentials | None], Awaitable[Credentials | None]]
"""(workspace, user id, what the hub does not take any more) -> how to post as a user of ours; None = one cannot."""

Renew = Callable[[Credentials], Awaitable[Credentials | None]]
"""What the hub does not take any more -> another log-in, None = there is none."""

NOT_LOGGED_IN = "not-logged-in"
REFUSED = ("error-not-allowed", "error-not-authorized", "unauthorized", NOT_LOGGED_IN)
"""He does not serve the room (5.4), or cannot log in."""


async def nobody(workspace: str, user_id: str, refused: Credentials | None = None) -> Credentials | None:
    """Where no users are made."""
    return None


async def post(
    client: RocketChatClient,
    room: str,
    row: Delivery,
    message: OutgoingMessage,
    account: Credentials | None,
    check_control: Callable[[], Awaitable[None]],
    renew: Renew,
    may_be_shown: Callable[[str], bool],
) -> Sent:
    """Raises DeliveryError. account: of the speaker's own user. A repeat is refused by the hub: it is read back.

    check_control: called when his own user may not post; raises if somebody else took the room. may_be_shown: whether
    staff's browsers may fetch a picture from this address.
    """
    assert message.speaker is not None and row.external_id is not None
    try:
        if account is not None:
            try:
                await _as_himself(client, room, row.external_id, message, account, renew)
                return _sent(row, message.speaker, account.user_id)
            except DeliveryRejected as exc:
                if exc.code not in REFUSED:
                    raise
                await check_control()
        url = message.speaker.avatar_url
        picture = url if url and may_be_shown(url) else None
        await _by_relay(client, room, row.external_id, message, message.speaker, picture)
    except DeliveryUncertain:
        sent = await find(client, room, row, message)
        if sent is None:
            raise
        return sent
    return _sent(row, message.speaker, "")


async def _as_himself(
    client: RocketChatClient, room: str, message_id: str, message: OutgoingMessage, account: Credentials, renew: Renew
) -> None:
    """A log-in that was revoked is renewed, once."""
    attachments, blocks = list(message.attachments) or None, list(message.blocks) or None
    text = message.text
    try:
        await client.send_message(room, message_id, text, attachments=attachments, as_user=account, blocks=blocks)
    except DeliveryRejected as exc:
        fresh = await renew(account) if exc.code == NOT_LOGGED_IN else None
        if fresh is None:
            raise
        await client.send_message(room, message_id, text, attachments=attachments, as_user=fresh, blocks=blocks)


async def find(client: RocketChatClient, room: str, row: Delivery, message: OutgoingMessage) -> Sent | None:
    """What became of an earlier attempt; None = it is not there. Raises DeliveryRejected `id-taken`."""
    assert message.speaker is not None and row.external_id is not None
    found = await client.get_message(row.external_id)
    if found is None:
        return None
    texts = (message.text.strip(), _prefixed(message, message.speaker).strip())
    is_ours = found.room == room and not found.from_visitor
    if not is_ours or (found.text.strip() not in texts and found.edited_at_ms is None):
        raise DeliveryRejected("the message id is taken by another message", code="id-taken")
    return _sent(row, message.speaker, found.author_id, resolved=True)


async def account_of(
    credentials: CredentialsOf, workspace: str, speaker: Speaker, refused: Credentials | None = None
) -> Credentials | None:
    """None also where it cannot be had now: words do not wait for a log-in."""
    if not speaker.user_id:
        return None
    try:
        return await credentials(workspace, speaker.user_id, refused)
    except DeliveryError:
        return None


async def _by_relay(
    client: RocketChatClient,
    room: str,
    message_id: str,
    message: OutgoingMessage,
    speaker: Speaker,
    picture: str | None,
) -> None:
    """Alias and picture are for staff and need `message-impersonate`; without it the prefix says it to everybody."""
    text, attachments = _prefixed(message, speaker), list(message.attachments) or None
    blocks = list(message.blocks) or None
    try:
        await client.send_message(
            room,
            message_id,
            text,
            attachments=attachments,
            alias=speaker.name or None,
            avatar=picture,
            blocks=blocks,
        )
    except DeliveryRejected:
        if not (speaker.name or picture):
            raise
        await client.send_message(room, message_id, text, attachments=attachments, blocks=blocks)


def _prefixed(message: OutgoingMessage, speaker: Speaker) -> str:
    """A piece that fills a message goes without: the hub would refuse it."""
    named = f"{speaker.prefix}{message.text}" if message.text else message.text
    return named if fits(named) else message.text


def _sent(row: Delivery, speaker: Speaker, author: str, *, resolved: bool = False) -> Sent:
    own = bool(author) and author == speaker.user_id
    assert row.external_id is not None
    event = PersonaShown(row.id, row.external_id, speaker.system, speaker.id, speaker.name, author, own)
    return Sent(event, resolved=resolved)
