"""REST calls that find, make and change users. Source: rocketchat-api 1.3, 3.1 to 3.7, 7.1.

Two accounts: the provisioner makes and edits users; the relay account (livechat-manager) does what is about
agents, departments and rooms. Every failure is a DeliveryError.
"""

from __future__ import annotations

import json
import secrets
from typing import Any

import msgspec

from omnibridge.errors import DeliveryRejected, DeliveryRetryable
from omnibridge.http import Client
from omnibridge.rocketchat.calls import Calls, Credentials, checked, encode
from omnibridge.rocketchat.errors import code_of, from_answer, unreadable
from omnibridge.rocketchat.leaves import list_of, table_of, text_of
from omnibridge.rocketchat.versions import Version, read_version

PAGE = 100
NOT_FOUND = ("http-400", "http-404", "error-invalid-user")
LOGIN_PROBLEMS = {
    "not-logged-in": "the log-in was refused",
    "totp-required": "the log-in asks for a mailed code, and users that we make have no mailbox: set "
    "Accounts_TwoFactorAuthentication_By_Email_Auto_Opt_In off",
    "error-invalid-email": "the log-in asks for a verified address: Accounts_EmailVerification",
}
QUERIES_USERS = Version(7, 0)
"""Before this, `users.list` takes `query` and `fields` (3.4)."""


class Profile(msgspec.Struct, frozen=True):
    """A user as the hub has it. fields: custom fields that we may see."""

    user_id: str
    username: str
    name: str = ""
    roles: tuple[str, ...] = ()
    active: bool = True
    fields: dict[str, Any] = {}
    import_ids: tuple[str, ...] = ()
    available: bool = False


class NewUser(msgspec.Struct, frozen=True):
    """What `users.create` is told, but for the password."""

    username: str
    name: str
    email: str
    roles: tuple[str, ...]
    fields: dict[str, str]

    def body(self, password: str) -> dict[str, Any]:
        """Never with livechat-agent: given here it leaves the agent invisible to routing (3.6).

        Never with a verified address: new users are opted in to mailed codes by default, and a log-in asks for one
        as soon as there is a verified address to mail it to; ours have no mailbox. Where Accounts_EmailVerification
        demands one all the same, the first log-in tells: see `verify`.
        """
        return {
            "username": self.username,
            "name": self.name,
            "email": self.email,
            "password": password,
            "roles": list(self.roles),
            "customFields": self.fields,
            "joinDefaultChannels": False,
            "requirePasswordChange": False,
            "sendWelcomeEmail": False,
            "verified": False,
        }


class Provisioner:
    """One workspace. account: may make users, None = nobody may. timeout_s: for each call."""

    def __init__(
        self,
        base_url: str,
        relay: Credentials,
        account: Credentials | None,
        *,
        timeout_s: float = 10.0,
        client: Client | None = None,
    ) -> None:
        self._calls = Calls(base_url, relay, timeout_s, client)
        self._account = account
        self._version: Version | None = None

    @property
    def may_create(self) -> bool:
        return self._account is not None

    async def aclose(self) -> None:
        await self._calls.aclose()

    async def version(self) -> Version:
        """Asked once."""
        if self._version is None:
            self._version = read_version(checked(await self._calls.exchange("GET", "/api/info")))
            if self._version is None:
                raise DeliveryRetryable("the server does not tell its version", code="no-version")
        return self._version

    # -- users ------------------------------------------------------------------------------------------

    async def find(self, *, username: str = "", user_id: str = "", import_id: str = "") -> Profile | None:
        """By one of the three; None when there is none. A hub that ignores the question is not believed."""
        wanted = (("username", username), ("userId", user_id), ("importId", import_id))
        query = {name: value for name, value in wanted if value}
        try:
            body = await self._calls.get("users.info", query, self._account)
        except DeliveryRejected as exc:
            if exc.code in NOT_FOUND:
                return None
            raise
        found = read_profile(body.get("user"))
        if found is None or (username and found.username != username) or (user_id and found.user_id != user_id):
            raise unreadable()
        return None if import_id and import_id not in found.import_ids else found

    async def find_by_field(self, field: str, value: str) -> list[Profile]:
        """Exact match of a custom field; [] on versions that cannot be asked (3.4)."""
        if await self.version() >= QUERIES_USERS:
            return []
        query = {
            "query": json.dumps({f"customFields.{field}": value}),
            "fields": json.dumps({"customFields": 1, "importIds": 1, "roles": 1, "username": 1, "active": 1}),
        }
        body = await self._calls.get("users.list", query, self._account)
        found = [read_profile(each) for each in list_of(body.get("users"))]
        return [each for each in found if each and each.fields.get(field) == value]

    async def users(self, offset: int) -> tuple[list[Profile], bool]:
        """A page of all users, with their claims where the version lets one ask, and whether it was the last."""
        query = {"offset": str(offset), "count": str(PAGE), "sort": '{"username":1}'}
        if await self.version() < QUERIES_USERS:
            wanted = ("username", "name", "roles", "active", "customFields", "importIds")
            query |= {"fields": json.dumps(dict.fromkeys(wanted, 1)), "query": "{}"}
        body = await self._calls.get("users.list", query, self._account)
        page, total = body.get("users"), body.get("total")
        if not isinstance(page, list) or not isinstance(total, int):
            raise unreadable()
        found = [each for each in map(read_profile, page) if each]
        return found, not page or offset + len(page) >= total

    async def create(self, user: NewUser, password: str) -> str:
        """Returns the user id. DeliveryRejected `error-field-unavailable`: name or e-mail is taken."""
        body = await self._calls.post("users.create", user.body(password), self._account)
        found = read_profile(body.get("user"))
        if found is None:
            raise unreadable()
        return found.user_id

    async def update(self, user_id: str, data: dict[str, Any]) -> None:
        """Asks for a second factor, unless the account's token has bypassTwoFactor (1.5).

        Before 7.0 it may make a user where there is none (3.2), so one looks first.
        """
        if await self.version() < QUERIES_USERS and await self.find(user_id=user_id) is None:
            raise DeliveryRejected("the user is gone", code="error-invalid-user")
        await self._calls.post("users.update", {"userId": user_id, "data": data}, self._account)

    async def verify(self, user_id: str) -> None:
        """Say that his address is his. Raises DeliveryError."""
        await self.update(user_id, {"verified": True})

    async def set_avatar(self, user_id: str, image: bytes, media_type: str) -> None:
        """By multipart: an address would be fetched by the server, which refuses private ones (3.2)."""
        edge = secrets.token_hex(16)
        suffix = media_type.partition("/")[2]
        parts = (
            f'--{edge}\r\nContent-Disposition: form-data; name="userId"\r\n\r\n{user_id}\r\n'
            f'--{edge}\r\nContent-Disposition: form-data; name="image"; filename="avatar.{suffix}"\r\n'
            f"Content-Type: {media_type}\r\n\r\n"
        )
        content = parts.encode() + image + f"\r\n--{edge}--\r\n".encode()
        checked(
            await self._calls.exchange(
                "POST",
                "/api/v1/users.setAvatar",
                content=content,
                content_type=f"multipart/form-data; boundary={edge}",
                as_user=self._account,
            )
        )

    async def set_active(self, user_id: str, active: bool) -> None:
        wish = {"userId": user_id, "activeStatus": active, "confirmRelinquish": True}
        await self._calls.post("users.setActiveStatus", wish, self._account)

    async def log_in(self, username: str, password: str) -> Credentials:
        """DeliveryRejected `not-logged-in`: the user is not the one that we made, or his password was changed.

        `totp-required`, `error-invalid-email`: the password is right, and the hub wants a mailed code, or a verified
        address. Other codes of the hub (switched off) are passed on.
        """
        content = encode({"user": username, "password": password})
        answer = await self._calls.exchange("POST", "/api/v1/login", content=content)
        data = table_of(answer.body.get("data"))
        user_id, token = text_of(data.get("userId")), text_of(data.get("authToken"))
        if answer.status == 200 and user_id and token:
            return Credentials(user_id, token)
        if answer.status != 401:
            raise from_answer(answer.status, answer.body, answer.headers)
        code = code_of(answer.body)
        if code.startswith("error-login-blocked"):  # after too many wrong passwords, for a while
            raise DeliveryRetryable("Rocket.Chat takes no log-ins for a while", code="rate-limited")
        if code not in LOGIN_PROBLEMS and not code.startswith("error-"):
            code = "not-logged-in"
        raise DeliveryRejected(LOGIN_PROBLEMS.get(code, f"the log-in was refused ({code})"), code=code)

    # -- agents -----------------------------------------------------------------------------------------

    async def grant_agent(self, username: str) -> None:
        """Role livechat-agent, and available. Again is no error."""
        await self._calls.post("livechat/users/agent", {"username": username})

    async def revoke_agent(self, user_id: str) -> None:
        """Takes the role away, and with it the departments. DeliveryRejected when he is no agent."""
        checked(await self._calls.exchange("DELETE", f"/api/v1/livechat/users/agent/{user_id}"))

    async def set_available(self, user_id: str, available: bool) -> None:
        status = "available" if available else "not-available"
        await self._calls.post("livechat/agent.status", {"status": status, "agentId": user_id})

    async def agents(self) -> list[Profile]:
        """Everybody with role livechat-agent; whether he is available."""
        found: list[Profile] = []
        while True:
            query = {"offset": str(len(found)), "count": str(PAGE)}
            body = await self._calls.get("livechat/users/agent", query)
            page, total = body.get("users"), body.get("total")
            if not isinstance(page, list):
                raise unreadable()
            found += [each for each in map(read_profile, page) if each]
            if not page or not isinstance(total, int) or len(found) >= total:
                return found

    async def departments(self) -> dict[str, str]:
        """Id of every enabled department, by its id and by its name."""
        found: dict[str, str] = {}
        offset = 0
        while True:
            query = {"enabled": "true", "offset": str(offset), "count": str(PAGE)}
            body = await self._calls.get("livechat/department", query)
            page, total = body.get("departments"), body.get("total")
            if not isinstance(page, list):
                raise unreadable()
            for each in map(table_of, page):
                identity, name = text_of(each.get("_id")), text_of(each.get("name"))
                found.setdefault(name, identity)
                found[identity] = identity
            offset += len(page)
            if not page or not isinstance(total, int) or offset >= total:
                return found

    async def join_department(self, department: str, user_id: str, username: str) -> None:
        """Again is no error: the hub writes one row for each agent."""
        who = {"agentId": user_id, "username": username, "count": 0, "order": 0}
        await self._calls.post(f"livechat/department/{department}/agents", {"upsert": [who], "remove": []})

    async def n_open_rooms(self, user_id: str) -> int:
        """How many open rooms somebody serves now; `open` leaves out those on hold, so they are asked for as well."""
        for which in ("open", "onhold"):
            body = await self._calls.get("livechat/rooms", {"agents[]": user_id, which: "true", "count": "1"})
            rooms, total = body.get("rooms"), body.get("total")
            if not isinstance(rooms, list) or not isinstance(total, int):
                raise unreadable()
            n_open = max(total, len(rooms)) if which == "open" else sum(_is_open(each) for each in rooms)
            if n_open:
                return n_open
        return 0

    async def setting(self, name: str) -> object:
        """Its value; None when the account may not read it."""
        try:
            return (await self._calls.get(f"settings/{name}", {}, self._account)).get("value")
        except DeliveryRejected:
            return None


def _is_open(raw: Any) -> bool:
    return table_of(raw).get("open") is True


def read_profile(raw: Any) -> Profile | None:
    """None without an id."""
    found = table_of(raw)
    identity = text_of(found.get("_id"))
    if not identity:
        return None
    return Profile(
        identity,
        text_of(found.get("username")),
        text_of(found.get("name")),
        tuple(each for each in list_of(found.get("roles")) if isinstance(each, str)),
        found.get("active") is not False,
        table_of(found.get("customFields")),
        tuple(each for each in list_of(found.get("importIds")) if isinstance(each, str)),
        found.get("statusLivechat") == "available",
    )
