"""Second factors: time codes, mailed codes, or the password again. Source: rocketchat-api 1.5.

Order and texts as in the server's `2fa/server/code`; a code is asked of the caller, never of the user he changes.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
import struct
from typing import TYPE_CHECKING

from starlette.requests import Request

from omnibridge.sandbox.accounts import digest_of
from omnibridge.sandbox.state import HubError, User, now_ms

if TYPE_CHECKING:
    from omnibridge.sandbox.hub import SimulatedHub

_STEP_MS = 30_000
_MAX_ATTEMPTS = 5
_PREFIX = "Accounts_TwoFactorAuthentication"


class TwoFactor:
    """Remembers who has proved himself lately, and the codes that were mailed (they are in the ledger)."""

    def __init__(self, hub: SimulatedHub) -> None:
        self._hub = hub
        self._proved: dict[tuple[str, str, str], int] = {}
        self._mailed: dict[str, tuple[str, int]] = {}  # user id -> code, wrong attempts

    def check(self, request: Request, user: User, typed_password: str = "") -> None:
        """typed_password: its digest, which some bodies carry instead of the headers.

        Raises HubError `totp-required`, `totp-invalid`, `totp-max-attempts`.
        """
        token = request.headers.get("x-auth-token", "")
        personal = self._hub.accounts.access_tokens.get(token)
        if not self._hub.settings[f"{_PREFIX}_Enabled"] or (personal and personal.bypasses_two_factor):
            return
        remember_ms = int(self._hub.settings[f"{_PREFIX}_RememberFor"]) * 1000
        place = (token, request.headers.get("user-agent", ""), request.client.host if request.client else "")
        if self._proved.get(place, 0) > now_ms() or user.created_at + remember_ms > now_ms():
            return
        method = self._method(user, "password" if typed_password else request.headers.get("x-2fa-method", ""))
        if not method:
            return
        self._verify(user, method, typed_password or request.headers.get("x-2fa-code", ""))
        self._proved[place] = now_ms() + remember_ms

    def login_problem(self, user: User, code: str) -> HubError | None:
        """At log-in there is no falling back to the password, which was just given."""
        method = self._method(user, "", is_login=True)
        if not method or not self._hub.settings[f"{_PREFIX}_Enabled"]:
            return None
        try:
            self._verify(user, method, code)
        except HubError as exc:
            return exc
        return None

    def reset(self) -> None:
        self._proved.clear()
        self._mailed.clear()

    def _available(self, user: User) -> list[str]:
        has = {"totp": bool(user.totp_secret), "email": user.has_email_codes and user.is_verified}
        switches = {"totp": f"{_PREFIX}_By_TOTP_Enabled", "email": f"{_PREFIX}_By_Email_Enabled"}
        return [each for each, is_set in has.items() if is_set and self._hub.settings[switches[each]]]

    def _method(self, user: User, wanted: str, *, is_login: bool = False) -> str:
        """The one asked for, else the first that he has, else the password; empty = nothing is asked."""
        available = self._available(user)
        if available:
            return wanted if wanted in available else available[0]
        is_fallback = self._hub.settings[f"{_PREFIX}_Enforce_Password_Fallback"] and not is_login
        return "password" if is_fallback else ""

    def _verify(self, user: User, method: str, code: str) -> None:
        if not code:
            details = {
                "method": method,
                "codeGenerated": method == "email" and self._mail(user),
                "availableMethods": self._available(user),
            }
            raise HubError("totp-required", "TOTP Required", details=details)
        if method == "email" and self._mailed.get(user.id, ("", 0))[1] >= _MAX_ATTEMPTS:
            raise HubError("totp-max-attempts", "TOTP Maximum Failed Attempts Reached", details={"method": method})
        if not self._is_right(user, method, code):
            raise HubError("totp-invalid", "TOTP Invalid", details={"method": method})

    def _is_right(self, user: User, method: str, code: str) -> bool:
        if method == "password":
            return code == digest_of(user.password)
        if method == "totp":
            steps = range(-1, 2)  # one to each side: `MaxDelta`
            return code in {totp_code(user.totp_secret, now_ms() + each * _STEP_MS) for each in steps}
        expected, wrong = self._mailed.get(user.id, ("", 0))
        if expected and hmac.compare_digest(code, expected):
            del self._mailed[user.id]
            return True
        self._mailed[user.id] = (expected, wrong + 1)
        return False

    def _mail(self, user: User) -> bool:
        """False while a code that was mailed is still good."""
        if user.id in self._mailed:
            return False
        code = f"{secrets.randbelow(1_000_000):06}"
        self._mailed[user.id] = (code, 0)
        self._hub.mails.append({"to": user.email, "code": code, "at": now_ms()})
        return True


def totp_code(secret: str, at_ms: int) -> str:
    """Six digits of RFC 6238 with SHA-1. secret: base32. Raises HubError when it is none."""
    try:
        key = base64.b32decode(secret.upper() + "=" * (-len(secret) % 8))
    except binascii.Error as exc:
        raise HubError("unknown", "a TOTP secret must be base32") from exc
    digest = hmac.digest(key, struct.pack(">Q", at_ms // _STEP_MS), "sha1")
    offset = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[offset : offset + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"
