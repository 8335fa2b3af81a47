"""Users that setup makes: created, given a token, reduced to exactly their roles, made agents. Source: 1.4, 3.2, 3.6.

In this order: only holders of the role `user` may make a token, so an account holds it until it has one; a bot becomes
an agent last, for as an agent it is given visitors.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable

from omnibridge.config_values import Secret
from omnibridge.rocketchat.leaves import table_of, text_of
from omnibridge.setup.admin import SetupFailed
from omnibridge.setup.judge import is_ours
from omnibridge.setup.look import AccountView, Seen
from omnibridge.setup.record import Record
from omnibridge.setup.step import Step, Work, may_write
from omnibridge.setup.wish import PROVISIONER_ROLE, Account, Wish

TOKEN = "omnibridge"  # noqa: S105 - its name
MAKER = "user"
"""The role that may make tokens."""

Do = Callable[[Work], Awaitable[None]]


def steps(wish: Wish, seen: Seen, record: Record, *, write: bool, new_tokens: bool) -> list[Step]:
    """Of all accounts. Empty for those that setup did not make."""
    return [step for view in seen.accounts for step in _of_one(wish, seen, view, record, write, new_tokens)]


def _of_one(wish: Wish, seen: Seen, view: AccountView, record: Record, write: bool, new_tokens: bool) -> list[Step]:
    account, name, found = view.wish, view.username, []
    change = record.find("user", name)
    if view.is_there and not (change and is_ours(view, change.after)):
        return []
    if not view.is_there:
        found.append(Step(f"user {name}", f"make the user {name} ({account.title})", CREATE, _create(account, seen)))
    is_new = not view.is_there
    needs_token = account.needs_token and (is_new or new_tokens or _lacks_token(wish, view, record, write))
    if needs_token:
        if write:
            may_write(wish, record, account.file)
        where = f"keep it in {account.file}" if write else "show it once"
        text = f"make a personal access token of {name} that needs no second factor, and {where}"
        needs = RESET if view.is_there else {}
        found.append(Step(f"token of {name}", text, {**needs, **ROLES}, _token(view)))
    base = account.roles - {"livechat-agent"}
    is_agent = view.is_there and "livechat-agent" in view.roles and view.is_available
    if needs_token or (view.is_there and (_names(view, seen) - {"livechat-agent"}) != base):
        text = f"leave {name} the roles {' and '.join(sorted(base))}, nothing more"
        found.append(Step(f"roles of {name}", text, ROLES, _reduce(account, view)))
    if account.is_agent and not is_agent:
        needs = {"view-livechat-manager": "makes agents", "manage-livechat-agents": "sets them available"}
        found.append(Step(f"agent {name}", f"make {name} an agent, and available", needs, _agent(view)))
    return found


CREATE = {"create-user": "makes the accounts"}
ROLES = {"access-permissions": "gives and takes roles"}
RESET = {
    "edit-other-user-info": "gives an account of ours a new password, to make its token",
    "edit-other-user-password": "gives an account of ours a new password, to make its token",
}


def _lacks_token(wish: Wish, view: AccountView, record: Record, write: bool) -> bool:
    """Of a user that is there and ours. What was shown once is taken to be kept, till the configuration has another."""
    if view.wish.token:
        return not view.has_token
    change = record.find("token", view.username)
    if change is None or not change.is_done or change.after.get("id") != view.id:
        return True
    return write and not (wish.config.parent / view.wish.file).exists()


def _create(account: Account, seen: Seen) -> Do:
    async def do(work: Work) -> None:
        name, password = account.username, new_password()
        change = work.record.find("user", name)
        # A random address: a user who has it is the one that we made, even if we died before we learned his id.
        email = f"{name}.{secrets.token_hex(8)}@omnibridge.invalid"
        if change is None or change.after.get("id"):
            change = work.record.begin("user", name, {}, {"email": email, "id": ""})
        email = str(change.after["email"])
        work.passwords[name] = Secret(password)
        roles = {"bot", *([MAKER] if account.needs_token else []), *(account.roles - {"livechat-agent"})}
        wish = {
            "username": name,
            "name": name,
            "email": email,
            "password": password,
            "roles": sorted(await _role_ids(work, roles)),
            "joinDefaultChannels": False,
            "requirePasswordChange": False,
            "sendWelcomeEmail": False,
            # A verified address would make the log-in ask for a mailed code (opt-in of all new users).
            "verified": seen.setting("Accounts_EmailVerification") is True,
        }
        try:
            body = await work.admin.post("users.create", wish, *CREATE)
            user_id = text_of(table_of(body.get("user")).get("_id"))
        except SetupFailed as exc:
            if exc.code not in ("no-answer", "http-500", "error-field-unavailable"):
                raise
            user_id = await _find(work, name, email)  # it may have been made all the same
            if not user_id:
                raise
        work.record.done(change, id=user_id)
        work.user_ids[name] = user_id

    return do


def _token(view: AccountView) -> Do:
    async def do(work: Work) -> None:
        name = view.username
        user_id = work.user_ids.get(name) or view.id
        file = view.wish.file if work.write else ""
        _learn_id(work, name, user_id)
        change = work.record.begin("token", name, {}, {"id": user_id, "file": file})
        password = work.passwords.get(name)
        if password is None:
            password = Secret(new_password())
            data = {"userId": user_id, "data": {"password": password.reveal()}}
            await work.admin.post("users.update", data, *RESET)
        if view.is_there and MAKER not in view.roles:
            await _give(work, name, MAKER)
        made = await work.admin.make_token(name, password.reveal(), TOKEN)
        if made.user_id != user_id:
            raise SetupFailed(f"the log-in of {name} gave another user", "look who else administers this workspace now")
        work.tokens[name] = made
        if work.write:
            work.keep(file, made.auth_token)
            work.record.done(change)

    return do


def _reduce(account: Account, view: AccountView) -> Do:
    async def do(work: Work) -> None:
        name = view.username
        body = await work.admin.get("users.info", {"username": name})
        found = {each for each in table_of(body.get("user")).get("roles", []) if isinstance(each, str)}
        wanted = await _role_ids(work, account.roles)
        for role in sorted(wanted - found - {"livechat-agent"}):
            await _give(work, name, role)
        for role in sorted(found - wanted):
            await work.admin.post("roles.removeUserFromRole", {"username": name, "roleId": role}, *ROLES)

    return do


def _agent(view: AccountView) -> Do:
    async def do(work: Work) -> None:
        name = view.username
        user_id = work.user_ids.get(name) or view.id
        _learn_id(work, name, user_id)
        await work.admin.post("livechat/users/agent", {"username": name}, "view-livechat-manager")
        row = table_of((await work.admin.get(f"livechat/users/agent/{user_id}")).get("user"))
        if row.get("statusLivechat") != "available":
            wish = {"status": "available", "agentId": user_id}
            await work.admin.post("livechat/agent.status", wish, "manage-livechat-agents")

    return do


def _learn_id(work: Work, name: str, user_id: str) -> None:
    """We may have died before we knew it."""
    made_user = work.record.find("user", name)
    if made_user and not made_user.after.get("id"):
        work.record.done(made_user, id=user_id)


async def _give(work: Work, name: str, role: str) -> None:
    try:
        await work.admin.post("roles.addUserToRole", {"username": name, "roleId": role}, *ROLES)
    except SetupFailed as exc:
        if exc.code != "error-user-already-in-role":
            raise


async def _find(work: Work, name: str, email: str) -> str:
    """Id of the user of this name and address; empty when there is none."""
    try:
        user = table_of((await work.admin.get("users.info", {"username": name})).get("user"))
    except SetupFailed:
        return ""
    addresses = [text_of(table_of(each).get("address")) for each in user.get("emails") or []]
    return text_of(user.get("_id")) if email in addresses else ""


async def _role_ids(work: Work, names: set[str]) -> set[str]:
    """The id of a role of ours is not its name, and is known only once it is made."""
    if PROVISIONER_ROLE not in names:
        return names
    rows = [table_of(each) for each in (await work.admin.get("roles.list")).get("roles", [])]
    found = {text_of(each.get("_id")) for each in rows if each.get("name") == PROVISIONER_ROLE}
    return (names - {PROVISIONER_ROLE}) | found


def _names(view: AccountView, seen: Seen) -> set[str]:
    """Of his roles; those that came with the server have their names as ids."""
    by_id = {identity: name for name, identity in seen.roles.items()}
    return {by_id.get(each, each) for each in view.roles}


def new_password() -> str:
    """Meets the policy that a workspace may have: long, all kinds of characters, none thrice in a row."""
    while True:
        password = f"{secrets.token_urlsafe(33)}-aA1!"
        if not re.search(r"(.)\1\1", password):
            return password
