"""The administrator's calls: his log-in, second factors, and errors that name the permission.

His token or password lives in this process only. Source: rocketchat-api 1.3 to 1.5.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from omnibridge.errors import DeliveryError, OmnibridgeError
from omnibridge.rocketchat.calls import Answer, Calls, Credentials, encode
from omnibridge.rocketchat.errors import code_of, from_answer
from omnibridge.rocketchat.leaves import list_of, table_of, text_of

TIMEOUT_S = 15.0
ATTEMPTS = 3
"""Codes that we ask for; the hub itself stops at five wrong ones."""

ASKS = ("totp-required", "totp-invalid")
FORBIDDEN = ("unauthorized", "forbidden", "error-unauthorized", "error-not-authorized", "error-action-not-allowed")


class SetupFailed(OmnibridgeError):
    """A step of the setup could not be done. do: what the admin has to do. code: of the hub, or our own."""

    def __init__(self, message: str, do: str = "run setup again: it goes on where it stopped", code: str = "") -> None:
        super().__init__(message)
        self.do, self.code = do, code


class SecondFactor:
    """Answers when the hub asks for one.

    code: given on the command line, for the first question. ask: reads a line from the admin; None = nobody is there.
    """

    def __init__(self, code: str = "", password: str = "", ask: Callable[[str], str] | None = None) -> None:
        self._code, self._password, self._ask = code, password, ask

    def answer(self, details: Mapping[str, Any], is_again: bool) -> tuple[str, str]:
        """(method, code) as the headers carry them. Raises SetupFailed when there is nothing to answer with."""
        method = text_of(details.get("method")) or "totp"
        if method == "password":
            password = self._password or self._asked("Password of the admin (Rocket.Chat wants it once more)", method)
            self._password = ""
            return method, digest_of(password)
        code, self._code = self._code, ""
        if not code:
            words = "Code from the admin's authenticator app" if method == "totp" else "Code mailed to the admin"
            code = self._asked(f"{'That was wrong. ' if is_again else ''}{words}", method)
        return method, code.strip()

    def _asked(self, words: str, method: str) -> str:
        if self._ask is None:
            do = {
                "password": "log in with --admin-user and --admin-password-file",
                "email": "take the code from the mail that was just sent, and run again with --2fa-code",
            }.get(method, "run again with --2fa-code")
            best = "or use a personal access token made with `Ignore Two Factor Authentication`"
            raise SetupFailed(f"Rocket.Chat asks the admin for a second factor ({method})", f"{do}; {best}", ASKS[0])
        return self._ask(words)


class Admin:
    """Calls that change something. `aclose` drops a log-in that we made."""

    def __init__(self, url: str, credentials: Credentials, factor: SecondFactor, *, is_login: bool = False) -> None:
        self.credentials, self._factor, self._is_login = credentials, factor, is_login
        self._calls = Calls(url, credentials, TIMEOUT_S, None)

    @classmethod
    async def log_in(cls, url: str, username: str, password: str, factor: SecondFactor) -> Admin:
        """By password. Raises SetupFailed."""
        calls = Calls(url, Credentials("", ""), TIMEOUT_S, None)
        try:
            credentials = await _log_in(calls, username, password, factor)
        finally:
            await calls.aclose()
        return cls(url, credentials, factor, is_login=True)

    async def aclose(self) -> None:
        try:
            if self._is_login:
                await self._calls.exchange("POST", "/api/v1/logout", content=b"{}")
        except DeliveryError:
            pass  # the log-in then ends by itself; what was done is done
        finally:
            await self._calls.aclose()

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        return await self.call("GET", path, query=query or {})

    async def post(self, path: str, body: object, *needs: str) -> dict[str, Any]:
        """needs: the permissions, for the message when it is refused."""
        return await self.call("POST", path, *needs, content=encode(body))

    async def delete(self, path: str, *needs: str) -> dict[str, Any]:
        return await self.call("DELETE", path, *needs)

    async def call(self, method: str, path: str, *needs: str, **wish: Any) -> dict[str, Any]:
        """The body of a success. Raises SetupFailed."""
        answer = await self._exchange(method, f"/api/v1/{path}", **wish)
        for attempt in range(ATTEMPTS):
            if code_of(answer.body) not in ASKS:
                break
            factor = self._factor.answer(table_of(answer.body.get("details")), attempt > 0)
            answer = await self._exchange(method, f"/api/v1/{path}", second_factor=factor, **wish)
        if answer.is_success:
            return answer.body
        raise _failure(f"{method} {path}", answer, needs)

    async def make_token(self, username: str, password: str, name: str) -> Credentials:
        """Log in as a user whose password we set, and make his personal access token, in place of one of that name.

        His role `user` must allow it (1.4). A new account is not asked for a second factor; an older one for the
        password, as it has no other.
        """
        who = await _log_in(self._calls, username, password, SecondFactor(password=password))
        try:
            found = await self._token_call("generate", who, password, {"tokenName": name, "bypassTwoFactor": True})
            if code_of(found.body) == "error-token-already-exists":
                found = await self._token_call("regenerate", who, password, {"tokenName": name})
            token = text_of(found.body.get("token"))
            if not found.is_success or not token:
                raise _failure(f"the personal access token of {username}", found, ("create-personal-access-tokens",))
        finally:
            await self._exchange("POST", "/api/v1/logout", content=b"{}", as_user=who)
        return Credentials(who.user_id, token)

    async def _token_call(self, verb: str, who: Credentials, password: str, wish: dict[str, Any]) -> Answer:
        path, content = f"/api/v1/users.{verb}PersonalAccessToken", encode(wish)
        answer = await self._exchange("POST", path, content=content, as_user=who)
        if code_of(answer.body) in ASKS:
            factor = ("password", digest_of(password))
            answer = await self._exchange("POST", path, content=content, as_user=who, second_factor=factor)
        return answer

    async def _exchange(self, method: str, path: str, **wish: Any) -> Answer:
        try:
            return await self._calls.exchange(method, path, **wish)
        except DeliveryError as exc:
            raise SetupFailed(f"{method} {path}: {exc}", code=exc.code) from exc


async def _log_in(calls: Calls, username: str, password: str, factor: SecondFactor) -> Credentials:
    wish: dict[str, Any] = {"user": username, "password": {"digest": digest_of(password), "algorithm": "sha-256"}}
    for attempt in range(ATTEMPTS + 1):
        try:
            answer = await calls.exchange("POST", "/api/v1/login", content=encode(wish))
        except DeliveryError as exc:
            raise SetupFailed(f"the log-in of {username}: {exc}", code=exc.code) from exc
        data = table_of(answer.body.get("data"))
        user_id, token = text_of(data.get("userId")), text_of(data.get("authToken"))
        if answer.status == 200 and user_id and token:
            return Credentials(user_id, token)
        if code_of(answer.body) not in ASKS or attempt == ATTEMPTS:
            break
        wish["code"] = factor.answer(table_of(answer.body.get("details")), attempt > 0)[1]
    code = code_of(answer.body) or f"http-{answer.status}"
    if code == "too-many-requests":  # of the limiter behind the log-in, which has no status of its own
        raise SetupFailed(f"the log-in of {username} was refused ({code})", "wait a minute, then run setup again", code)
    do = "correct user name and password; after several wrong ones Rocket.Chat may block them for a while"
    raise SetupFailed(f"the log-in of {username} was refused ({code})", do, code)


def _failure(what: str, answer: Answer, needs: tuple[str, ...]) -> SetupFailed:
    code = code_of(answer.body) or f"http-{answer.status}"
    if needs and (answer.status == 403 or code in FORBIDDEN):
        return SetupFailed(
            f"{what} was refused ({code}): it needs {' and '.join(needs)}",
            f"Workspace > Permissions: tick {', '.join(needs)} for the role admin, and run setup again",
            code,
        )
    reasons = [
        text_of(table_of(each).get("error")) for each in list_of(table_of(answer.body.get("details")).get("reasons"))
    ]
    why = f"; {', '.join(reasons)}" if reasons else ""
    return SetupFailed(f"{what}: {from_answer(*answer)}{why}", code=code)


def digest_of(password: str) -> str:
    """SHA-256, lower-case hex: what Rocket.Chat takes in place of a password."""
    return hashlib.sha256(password.encode()).hexdigest()
