"""PyPI `rocketchat-API` against the sandbox: log-in, users, settings, livechat and chat, as that client calls them.

    python -m tests.clients.python_api URL [ADMIN:PASSWORD]

The workspace is put back as it was. Ends with 0 when all is as expected, 1 on a difference, 2 when the client is not
installed or the sandbox is not there.
"""

from __future__ import annotations

import importlib
import json
import secrets
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from omnibridge.sandbox.accounts import digest_of

FACE = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
DECLARATION = {
    "externalAgentId": {
        "type": "text",
        "sendToIntegrations": True,
        "modifyRecordField": {"array": True, "field": "importIds"},
    }
}


class Play:
    """client: the class RocketChat. errors: the module with what it raises."""

    def __init__(self, url: str, client: Any, errors: Any, account: tuple[str, str]) -> None:
        self.url, self.client, self.account = url, client, account
        self.failures: tuple[type[Exception], ...] = (errors.RocketApiException, errors.RocketAuthenticationException)
        self.differences: list[str] = []
        self.compared = 0
        self.admin = self.person(*account)

    def person(self, name: str, password: str) -> Any:
        return self.client(name, password, server_url=self.url)

    def same(self, what: str, found: object, expected: object) -> None:
        self.compared += 1
        if found != expected:
            self.differences.append(f"{what}: {found!r}, expected {expected!r}")

    def refused(self, what: str, code: str, call: Callable[[], object]) -> None:
        """The call must fail with that code, or with that kind of exception."""
        try:
            found: object = call()
        except self.failures as exc:
            found = f"{type(exc).__name__} {exc}"
        self.same(what, code in str(found), True)

    def play(self) -> None:
        me = self.admin.me()
        self.same("me", (me["username"], "admin" in me["roles"]), (self.account[0], True))
        self.refused("wrong password", "RocketAuthenticationException", lambda: self.person(self.account[0], "wrong"))
        self.settings()
        before = self.admin.settings_get("Accounts_CustomFields")["value"]
        self.admin.settings_update("Accounts_CustomFields", json.dumps(DECLARATION))
        name = f"agent.{secrets.token_hex(4)}"
        user_id = self.user(name)
        try:
            self.livechat(name, user_id)
        finally:
            self.admin.users_delete(user_id)
            self.admin.settings_update("Accounts_CustomFields", before)
        self.refused("who was deleted", "User not found", lambda: self.admin.users_info(user_id=user_id))

    def settings(self) -> None:
        """The second factor is asked for once, then remembered for this client."""
        name = "Accounts_AvatarCacheTime"
        before = self.admin.settings_get(name)["value"]
        self.refused("no second factor", "totp-required", lambda: self.admin.settings_update(name, before))
        self.admin.headers |= {"X-2FA-Method": "password", "X-2FA-Code": digest_of(self.account[1])}
        self.same("settings_update", self.admin.settings_update(name, before + 1)["success"], True)
        self.same("settings_get", self.admin.settings_get(name)["value"], before + 1)
        self.admin.settings_update(name, before)
        public = {each["_id"] for each in self.admin.settings_public()}
        everything = {each["_id"] for each in self.admin.settings()}
        self.same("public settings", "Livechat_secret_token" in public or "Livechat_enabled" not in public, False)
        self.same("all settings", {"Livechat_secret_token", "Livechat_enabled"} <= everything, True)

    def user(self, name: str) -> str:
        """Makes one, with what goes with it; returns the id."""
        mail, password = f"{name}@agents.test", "Correct-Horse-42"
        wish = {"roles": ["bot"], "verified": False, "customFields": {"externalAgentId": name, "undeclared": "x"}}
        made = self.admin.users_create(mail, "Anna Example", password, name, **wish)["user"]
        user_id = str(made["_id"])
        self.same("users_create", (made["customFields"], made["roles"]), ({"externalAgentId": name}, ["bot"]))
        found = self.admin.users_info(import_id=name)["user"]
        self.same("users_info by import id", (found["_id"], found["importIds"]), (user_id, [name]))
        self.refused(
            "second of a name",
            "error-field-unavailable",
            lambda: self.admin.users_create(mail, "B", password, name),
        )
        self.same("users_update", self.admin.users_update(user_id, name="Anna B.")["user"]["name"], "Anna B.")
        self.same("users_list", name in {each["username"] for each in self.admin.users_list()}, True)
        with tempfile.TemporaryDirectory() as folder:
            face = Path(folder) / "face.png"
            face.write_bytes(FACE)
            self.same("users_set_avatar", self.admin.users_set_avatar(str(face), username=name)["success"], True)
        with urlopen(f"{self.url}/avatar/{name}") as answer:  # noqa: S310
            self.same("avatar", answer.read(), FACE)
        self.admin.roles_add_user_to_role("guest", name)
        self.same("roles", name in {each["username"] for each in self.admin.roles_get_users_in_role("guest")}, True)
        self.admin.roles_remove_user_from_role("guest", name)
        permissions = {each["_id"]: each["roles"] for each in self.admin.permissions_list_all()["update"]}
        self.same("permissions", permissions["create-user"], ["admin"])
        return user_id

    def livechat(self, name: str, user_id: str) -> None:
        """The new user as an agent who takes a visitor and talks."""
        self.same("agent", self.admin.livechat_create_user("agent", username=name)["user"]["_id"], user_id)
        agent = self.person(name, "Correct-Horse-42")
        token = secrets.token_hex(8)
        self.admin.livechat_register_visitor(token, visitor={"name": "Vera"})
        room = self.admin.livechat_room(token, agentId=user_id)["room"]
        self.same("serving", room["servedBy"]["username"], name)
        sent = agent.chat_send_message({"rid": room["_id"], "msg": "hello", "_id": f"m{token}"})["message"]
        posted = agent.chat_post_message("again", room_id=room["_id"], alias="Anna")["message"]
        self.refused(
            "repeated id",
            "starred",
            lambda: agent.chat_send_message({"rid": room["_id"], "msg": "x", "_id": sent["_id"]}),
        )
        self.same("chat_get_message", agent.chat_get_message(sent["_id"])["message"]["msg"], "hello")
        self.same("alias", (posted["alias"], posted["u"]["username"]), ("Anna", name))
        self.admin.livechat_message(token, room["_id"], "thanks")
        history = [each["msg"] for each in self.admin.livechat_messages_history(room["_id"], token) if "t" not in each]
        self.same("history", history, ["thanks", "again", "hello"])
        self.same("rooms", [each["_id"] for each in agent.livechat_rooms(agents=[user_id])], [room["_id"]])
        self.same("agents", name in {each["username"] for each in self.admin.livechat_get_users("agent")}, True)
        self.admin.livechat_delete_user("agent", user_id)
        self.same("unmade", self.admin.livechat_get_user("agent", user_id)["user"], None)


def main(arguments: list[str] | None = None) -> int:
    given = sys.argv[1:] if arguments is None else arguments
    if not 1 <= len(given) <= 2:
        print("usage: python -m tests.clients.python_api URL [ADMIN:PASSWORD]", file=sys.stderr)
        return 2
    try:
        client = importlib.import_module("rocketchat_API.rocketchat").RocketChat
        errors = importlib.import_module("rocketchat_API.APIExceptions.RocketExceptions")
    except ImportError:
        print("rocketchat-API is not installed: pip install rocketchat-API==3.7.1", file=sys.stderr)
        return 2
    name, _, password = (given[1] if len(given) == 2 else "admin:secret").partition(":")
    try:
        play = Play(given[0].rstrip("/"), client, errors, (name, password))
    except OSError as exc:
        print(f"no sandbox answers at {given[0]}: {exc}", file=sys.stderr)
        return 2
    play.play()
    for each in play.differences:
        print(f"differs: {each}", file=sys.stderr)
    print(f"rocketchat-API: {play.compared} comparisons, {len(play.differences)} differences")
    return 1 if play.differences else 0


if __name__ == "__main__":
    sys.exit(main())
