"""Making a user, in steps that are written down: whatever dies in between, the next use goes on.

    reserved ──users.create──▶ created ──login──▶ tokened ──users.setAvatar──▶ ready
    (a seat, a name, an encrypted password: before the hub is asked for anything)

Each step may be done again. A user of the reserved name is ours only if we had asked for it before; that we can log in
with the password that we reserved proves it. The role livechat-agent is none of these steps: see serving.py.
"""

from __future__ import annotations

import re
import secrets
from functools import partial
from typing import Any

import structlog

from omnibridge.domain.agents import ExternalAgent
from omnibridge.errors import DeliveryRejected, DeliveryRetryable, DeliveryUncertain
from omnibridge.identity.avatars import NoPicture
from omnibridge.identity.names import claim, display_name, username
from omnibridge.identity.world import Key, World
from omnibridge.identity.writing import write
from omnibridge.rocketchat.provisioning import NewUser, Profile, Provisioner
from omnibridge.storage import directory, seats
from omnibridge.storage.directory import CONFLICT, READY, AgentRow
from omnibridge.storage.seats import Creation, Proxy, Token

RESERVED, CREATED, TOKENED = "reserved", "created", "tokened"
NAMES = 5
"""Names that are tried when others have them."""

PASSWORD_IS_RIGHT = ("totp-required", "error-invalid-email")
"""Answers to a log-in that prove the user to be ours, and still keep us out."""

UNNAMED = "Agent"
"""What visitors read when an external system tells no name."""

_log = structlog.get_logger("omnibridge.identity")


def new_user(world: World, name: str, key: Key, agent: ExternalAgent) -> NewUser:
    """Exactly what the hub will be told: dry runs and approvals show the same."""
    policy = world.policy
    return NewUser(
        username=name,
        name=display_name(agent.name) or UNNAMED,
        email=f"{name}@{policy.email_domain}",
        roles=policy.roles,
        fields={policy.custom_field: claim(key[1], key[2])},
    )


def free_name(world: World, key: Key) -> str:
    """The first of our names for an id that was not given before."""
    for n in range(1000):
        name = username(world.database.secret, world.policy.username_prefix, *key, n)
        if not world.database.reader.execute(
            "SELECT 1 FROM creations WHERE workspace = ? AND username = ?", (key[0], name)
        ).fetchone():
            return name
    raise DeliveryRejected("an agent was unlinked a thousand times", code="no-name")


def begin(cursor: Any, world: World, key: Key, name: str, mode: str, agent: ExternalAgent, cause: str) -> str:
    """Take the seat; or say in words which limit does not allow it: then nothing is written."""
    at = world.clock.now_ms()
    full = seats.reserve(cursor, world.policy.budget, key, name, cause, at)
    if full:
        return full
    row = directory.find(cursor, *key) or AgentRow(*key)
    departments = agent.departments or row.departments
    directory.put(cursor, [AgentRow(*key, "", "", mode, RESERVED, departments, row.capacity, "",
                                    agent.name, agent.avatar_url, agent.language)], at)  # fmt: skip
    seats.put_token(cursor, key[0], name, Token("", world.sealing().encrypt(password()), "", 0))
    directory.note(cursor, at, key, "reserve", cause=cause, detail=name)
    return ""


def password() -> str:
    """Random; meets the hub's policy: each kind of character, none four times in a row."""
    while True:
        found = "aA1!" + secrets.token_urlsafe(24)
        if not re.search(r"(.)\1\1", found):
            return found


async def finish(world: World, hub: Provisioner, key: Key, agent: ExternalAgent, *, pooled: bool) -> Proxy:
    """Go on from whatever step was reached. Raises DeliveryError; then the next call goes on."""
    creation = seats.creation_of(world.database.reader, key)
    row = directory.find(world.database.reader, *key)
    if creation is None or row is None:
        raise DeliveryRetryable("the seat was given up meanwhile", code="no-seat")
    if row.step == RESERVED:
        await _create(world, hub, key, agent, creation, pooled)
        row = directory.find(world.database.reader, *key)
    if row and row.step == CREATED:
        await _log_in(world, hub, row)
        row = directory.find(world.database.reader, *key)
    proxy = seats.proxy(world.database.reader, key[0], row.user_id) if row else None
    if row is None or proxy is None:
        raise DeliveryRetryable("the user was unlinked meanwhile", code="no-seat")
    if row.step == TOKENED:
        await show_picture(world, hub, proxy, agent)
        await write(world.database.writer, partial(_ready, key=key, user_id=row.user_id, at=world.clock.now_ms()))
        world.count("created")
        _log.info("agent_created", workspace=key[0], username=row.username, system=key[1])
    return seats.proxy(world.database.reader, key[0], row.user_id) or proxy


def _ready(cursor: Any, key: Key, user_id: str, at: int) -> None:
    directory.set_step(cursor, key, READY, at)
    directory.note(cursor, at, key, "ready", user_id)


async def _create(
    world: World, hub: Provisioner, key: Key, agent: ExternalAgent, creation: Creation, pooled: bool
) -> None:
    writer, workspace = world.database.writer, key[0]
    for _ in range(NAMES):
        user = new_user(world, creation.username, key, agent)
        found = await hub.find(username=creation.username)
        if found and not creation.attempts:
            creation = await _next_name(world, key, creation)
            continue
        if found:
            await _repair(hub, found, user)
            user_id = found.user_id
        else:
            token = seats.token(world.database.reader, workspace, creation.username)
            if token is None:
                raise DeliveryRejected("the password of this user is lost: `agents unlink` it", code="no-token")
            secret = world.sealing().decrypt(token.password)
            await write(writer, partial(seats.attempt, workspace=workspace, username=creation.username))
            creation = _again(world, key)
            try:
                user_id = await hub.create(user, secret)
            except DeliveryUncertain:
                continue  # it may be there now: look
            except DeliveryRejected as exc:
                if exc.code == "error-field-unavailable":
                    continue
                raise
        await write(writer, partial(_created, key=key, name=creation.username, user_id=user_id, shown=user.name,
                                    pooled=pooled, cause=creation.cause, at=world.clock.now_ms()))  # fmt: skip
        return
    raise DeliveryRetryable("nobody could say whether the user was made", code="uncertain")


def _again(world: World, key: Key) -> Creation:
    found = seats.creation_of(world.database.reader, key)
    if found is None:
        raise DeliveryRetryable("the seat was given up meanwhile", code="no-seat")
    return found


def _created(cursor: Any, key: Key, name: str, user_id: str, shown: str, pooled: bool, cause: str, at: int) -> None:
    mode = "pooled" if pooled else "provisioned"
    seats.made(cursor, key[0], name, user_id, at)
    directory.set_user(cursor, key, user_id, name, mode, CREATED, at)
    carried = ("", "") if pooled else key[1:]
    seats.put_proxy(cursor, Proxy(key[0], user_id, name, pooled, *carried, "" if pooled else shown, used_at=at))
    directory.note(cursor, at, key, "create", user_id, cause, name)


async def _next_name(world: World, key: Key, creation: Creation) -> Creation:
    """Somebody has the name, and it was not us."""
    old, new = creation.username, free_name(world, key)

    def unit(cursor: Any) -> None:
        seats.rename(cursor, key[0], old, new)
        token = seats.token(cursor, key[0], old)
        if token:
            seats.put_token(cursor, key[0], new, token)

    await write(world.database.writer, unit)
    _log.warning("agent_username_taken", workspace=key[0], username=old)
    return _again(world, key)


async def _repair(hub: Provisioner, found: Profile, user: NewUser) -> None:
    """The hub died while it made the user: what is missing is added."""
    wrong: dict[str, Any] = {}
    if found.name != user.name:
        wrong["name"] = user.name
    if not set(user.roles) <= set(found.roles):
        wrong["roles"] = list(user.roles)
    if any(found.fields.get(name) != value for name, value in user.fields.items()):
        wrong["customFields"] = user.fields
    if wrong:
        await hub.update(found.user_id, wrong)


async def _log_in(world: World, hub: Provisioner, row: AgentRow) -> None:
    """The proof that it is ours.

    Up to 7.x the hub takes ten log-ins a minute from one address, whoever calls (1.6): who comes after them serves all
    the same, and logs in when it is his turn, or when he first posts.
    """
    try:
        await renew(world, hub, row.workspace, row.username)
    except DeliveryRetryable as exc:
        if exc.code != "rate-limited":
            raise
        world.count("login_later")
    except DeliveryRejected as exc:
        if exc.code in PASSWORD_IS_RIGHT:
            world.alarm("token", row.workspace, username=row.username, reason=str(exc))
            at = world.clock.now_ms()
            await write(world.database.writer, partial(directory.set_step, key=row.key, step=TOKENED, at=at))
            return
        if exc.code != "not-logged-in":
            raise
        world.alarm("not_ours", row.workspace, username=row.username)
        await write(world.database.writer, partial(_not_ours, row=row, at=world.clock.now_ms()))
        raise
    at = world.clock.now_ms()
    await write(world.database.writer, partial(directory.set_step, key=row.key, step=TOKENED, at=at))


def _not_ours(cursor: Any, row: AgentRow, at: int) -> None:
    directory.set_user(cursor, row.key, "", "", "", CONFLICT, at)
    seats.release(cursor, row.workspace, row.username, at)
    seats.forget_proxy(cursor, row.workspace, row.user_id)
    directory.note(cursor, at, row.key, "not-ours", row.user_id)


async def renew(world: World, hub: Provisioner, workspace: str, name: str, stale: str = "") -> Token:
    """Log in with the password that we keep. Raises DeliveryError.

    stale: the sealed token that is no good any more. One at a time for each user: who waited takes what came meanwhile.
    """
    async with world.locks.hold((workspace, "login", name)):
        kept = seats.token(world.database.reader, workspace, name)
        if kept is None:
            raise DeliveryRejected("we have no log-in of this user", code="no-token")
        if stale and kept.token and kept.token != stale:
            return kept
        vault = world.sealing()
        secret = vault.decrypt(kept.password)
        try:
            found = await hub.log_in(name, secret)
        except DeliveryRejected as exc:
            if exc.code != "error-invalid-email":
                raise
            user = await hub.find(username=name)
            if user is None:
                raise
            await hub.verify(user.user_id)
            world.count("verified")
            found = await hub.log_in(name, secret)
        token = Token(found.user_id, vault.encrypt(secret), vault.encrypt(found.auth_token), world.clock.now_ms())
        await write(world.database.writer, partial(seats.put_token, workspace=workspace, username=name, token=token))
        return token


async def show_picture(world: World, hub: Provisioner, proxy: Proxy, agent: ExternalAgent) -> None:
    """Upload the picture if it is another than the hub has. A picture that cannot be had stops nothing."""
    if not agent.avatar_url:
        return
    try:
        picture = await world.avatars.fetch(agent.avatar_url)
    except NoPicture as exc:
        world.count("no_picture")
        _log.warning("agent_without_picture", workspace=proxy.workspace, username=proxy.username, reason=str(exc))
        return
    if picture.digest != proxy.shown_avatar:
        await hub.set_avatar(proxy.user_id, picture.content, picture.media_type)
        unit = partial(seats.change_proxy, workspace=proxy.workspace, user_id=proxy.user_id,
                       shown_avatar=picture.digest)  # fmt: skip
        await write(world.database.writer, unit)
