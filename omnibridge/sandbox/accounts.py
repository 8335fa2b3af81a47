"""Users and their log-ins: names and addresses that nobody shares, tokens, and a record of every change."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from omnibridge.sandbox.state import HubError, Role, Rules, User, new_id, now_ms

MAX_TOKENS = 50
"""`MAX_RESUME_LOGIN_TOKENS`: of the log-ins of one user the oldest are dropped (1.3)."""

OLD_MS = 30 * 86_400_000
"""Age of the accounts that are there from the start: they have no grace of a new account (1.5)."""


@dataclass
class AccessToken:
    """A personal access token: does not expire, and may skip the second factor (1.4)."""

    token: str
    user: User
    name: str
    bypasses_two_factor: bool
    created_at: int


class Accounts:
    """users: by id. by_name: by the exact name; `find` looks without regard to case, as the hub mostly does.

    audit: what was done to accounts, roles, permissions and settings, and by whom; listeners hear each entry.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.users: dict[str, User] = {}
        self.by_name: dict[str, User] = {}
        self.by_token: dict[str, User] = {}
        self.access_tokens: dict[str, AccessToken] = {}
        self.audit: list[dict[str, Any]] = []
        self.listeners: list[Callable[[dict[str, Any]], None]] = []
        self._lower: dict[str, User] = {}
        self._emails: dict[str, User] = {}
        self._import_ids: dict[str, list[User]] = {}
        self._made = 0

    # -- who is there -----------------------------------------------------------------------------------

    def add(self, user: User) -> User:
        """Raises HubError as the unique indexes of the data base do: for who lost a race, not for who asked first."""
        if user.username.lower() in self._lower:
            raise HubError("403", "Username already exists.")
        if user.email and user.email.lower() in self._emails:
            raise HubError("403", "Email already exists.")
        self._made += 1
        user.rules, user.updated_at, user.number = self.rules, now_ms(), self._made
        self.users[user.id] = self.by_name[user.username] = self._lower[user.username.lower()] = user
        if user.email:
            self._emails[user.email.lower()] = user
        return user

    def seed(self, username: str, password: str, roles: set[str], name: str) -> User:
        """An account that is there from the start; ids follow from the names, so that configurations outlive a run."""
        user = User(f"{username.replace('.', '')}Id", username, name or username.title(), password, roles)
        user.email, user.created_at = f"{username}@example.test", now_ms() - OLD_MS
        user.status_livechat = "available" if user.is_agent else ""
        return self.add(user)

    def find(self, username: str) -> User | None:
        return self._lower.get(username.lower())

    def with_email(self, email: str) -> User | None:
        return self._emails.get(email.lower())

    def with_import_id(self, import_id: str) -> User | None:
        """The oldest account of those that have it, whoever claimed it first: the data base finds records in the
        order of their making, and any user may write his own fields."""
        return min(self._import_ids.get(import_id, ()), key=lambda each: each.number, default=None)

    def add_import_id(self, user: User, import_id: str) -> None:
        """Old ones stay when the value changes (3.1)."""
        if import_id not in user.import_ids:
            user.import_ids.append(import_id)
            self._import_ids.setdefault(import_id, []).append(user)

    def rename(self, user: User, username: str) -> None:
        del self.by_name[user.username], self._lower[user.username.lower()]
        user.username = username
        self.by_name[username] = self._lower[username.lower()] = user

    def change_email(self, user: User, email: str) -> None:
        self._emails.pop(user.email.lower(), None)
        user.email = email
        self._emails[email.lower()] = user

    def remove(self, user: User) -> None:
        self.drop_tokens(user)
        del self.users[user.id], self.by_name[user.username], self._lower[user.username.lower()]
        self._emails.pop(user.email.lower(), None)
        for each in user.import_ids:
            self._import_ids[each].remove(user)
        user.active = False

    # -- log-ins ----------------------------------------------------------------------------------------

    def authenticate(self, name: str, password: Any) -> User | None:
        """By name or e-mail; password plain or `{digest, algorithm}`. Says nothing of whether the user is active."""
        user = self.by_name.get(name) or self.with_email(name)
        return user if user and is_password(user, password) else None

    def issue(self, user: User) -> str:
        token = secrets.token_urlsafe(32)
        self.by_token[token] = user
        user.tokens.append(token)
        logins = [each for each in user.tokens if each not in self.access_tokens]
        for each in logins[:-MAX_TOKENS]:
            self.drop(each)
        return token

    def issue_access_token(self, user: User, name: str, *, bypasses_two_factor: bool) -> AccessToken:
        token = AccessToken(secrets.token_urlsafe(32), user, name, bypasses_two_factor, now_ms())
        self.access_tokens[token.token] = token
        self.by_token[token.token] = user
        user.tokens.append(token.token)
        return token

    def drop(self, token: str) -> None:
        user = self.by_token.pop(token, None)
        self.access_tokens.pop(token, None)
        if user and token in user.tokens:
            user.tokens.remove(token)

    def drop_tokens(self, user: User) -> None:
        """All of them, personal ones too: so deactivation does."""
        for each in list(user.tokens):
            self.drop(each)

    # -- what was done ----------------------------------------------------------------------------------

    def note(self, what: str, by: User | None, user: User | None = None, **details: Any) -> None:
        entry = {
            "n": len(self.audit),
            "what": what,
            "by": by.username if by else "",
            "user": user.username if user else "",
            "user_id": user.id if user else "",
            "at": now_ms(),
            **details,
        }
        self.audit.append(entry)
        for each in self.listeners:
            each(entry)

    def new_role(self, name: str, description: str, scope: str) -> Role:
        role = Role(new_id(), name, description, scope)
        self.rules.roles[role.id] = role
        return role


def is_password(user: User, given: Any) -> bool:
    if isinstance(given, dict):
        return given.get("digest") == digest_of(user.password)
    return bool(given == user.password)


def digest_of(password: str) -> str:
    """As clients send it instead of the password: SHA-256, lower-case hex."""
    return hashlib.sha256(password.encode()).hexdigest()
