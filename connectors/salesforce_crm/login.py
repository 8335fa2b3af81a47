"""OAuth tokens, for all threads together: fetched when one is needed, thrown away when the org refuses it.

No SOAP, no passwords, and not the library's own refresh: it has no lock and no end (reference 3.2). A refusal is
remembered for a minute, because an org counts log-ins and locks users out.
"""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from connectors.salesforce_crm.settings import LOOPBACK, OrgSettings
from connectors.salesforce_crm.trouble import Trouble, from_exception, is_id

if TYPE_CHECKING:
    from requests import Session

REFUSED_PAUSE_S = 60.0
MOST_IN_VAIN = 4
"""Tokens in a row that the org gave and did not take: then it is as a log-in that is refused. An org allows 3,600 an
hour (reference 3.2)."""
JWT_LIVES_S = 180
_JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class Access(NamedTuple):
    """instance: address of it. org: its id, "" where the answer names none; the Pub/Sub API wants it."""

    token: str
    instance: str
    org: str = ""


class Login:
    """now: seconds, monotonic."""

    def __init__(self, settings: OrgSettings, now: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._now = settings, now
        self._lock = threading.Lock()
        self._token: Access | None = None
        self._refused: tuple[float, str] | None = None
        self._in_vain = 0

    def token(self, session: Session) -> Access:
        """The one in force. Raises Trouble."""
        with self._lock:
            if self._token is None:
                self._token = self._fetch(session)
            return self._token

    def refused(self, token: str, *, by_other: bool = False) -> None:
        """The org does not take it any more. Another thread may have a new one already. by_other: another API than that
        of records, which may be closed to us for good."""
        with self._lock:
            if self._token is None or self._token.token != token:
                return
            self._token = None
            self._in_vain += not by_other
            if self._in_vain >= MOST_IN_VAIN:
                self._refused, self._in_vain = (self._now() + REFUSED_PAUSE_S, "login-in-vain"), 0

    def worked(self) -> None:
        """A token was taken."""
        self._in_vain = 0

    def _fetch(self, session: Session) -> Access:
        if self._refused is not None and self._now() < self._refused[0]:
            raise Trouble("login", self._refused[1], "login", pause_s=self._refused[0] - self._now())
        trouble: Trouble | None = None
        try:
            return self._ask(session)
        except Trouble as exc:
            trouble = exc
        except Exception as exc:
            trouble = from_exception(exc, "login")
            trouble = Trouble("not-sent", trouble.code, "login")  # a log-in may always be repeated
        if trouble.kind == "login":
            self._refused = (self._now() + REFUSED_PAUSE_S, trouble.code)
        raise trouble

    def _ask(self, session: Session) -> Access:
        settings = self._settings
        headers: dict[str, str] = {}
        if settings.flow == "jwt":
            form = {"grant_type": _JWT, "assertion": self._assertion()}
        else:
            form = {"grant_type": "client_credentials"}
            both = f"{settings.client_id}:{settings.client_secret}".encode()
            headers["Authorization"] = "Basic " + base64.b64encode(both).decode()
        answer = session.post(f"{settings.url.rstrip('/')}/services/oauth2/token", data=form, headers=headers)
        if answer.status_code in (429, 503) or answer.status_code >= 500:
            raise Trouble("busy", f"HTTP_{answer.status_code}", "login", answer.status_code)
        try:
            found = answer.json()
        except ValueError:
            found = {}
        if answer.status_code != 200 or not isinstance(found, dict) or not found.get("access_token"):
            code = str(found.get("error", "")) if isinstance(found, dict) else ""
            code = code if code.replace("_", "").isalpha() and len(code) < 40 else f"HTTP_{answer.status_code}"
            raise Trouble("login", f"login-{code}", "login", answer.status_code)
        token, instance = str(found["access_token"]), self._instance(str(found.get("instance_url") or settings.url))
        return Access(token, instance, _org(str(found.get("id", "")), token))

    def _instance(self, url: str) -> str:
        """The token goes to the address that is configured, or to one of Salesforce's own; nowhere else."""
        host = urlsplit(url).hostname or ""
        own = urlsplit(self._settings.url).hostname or ""
        if own in LOOPBACK or host == own or not host.endswith((".salesforce.com", ".salesforce.mil")):
            return self._settings.url
        return url

    def _assertion(self) -> str:
        import jwt

        settings = self._settings
        claims: dict[str, Any] = {
            "iss": settings.client_id,
            "sub": settings.username,
            "aud": settings.audience,
            "exp": int(time.time()) + JWT_LIVES_S,
        }
        problem = ""
        try:
            return jwt.encode(claims, settings.private_key, "RS256")
        except Exception as exc:
            problem = type(exc).__name__
        raise Trouble("login", f"private-key-{problem}", "login")


def _org(identity: str, token: str) -> str:
    """`https://HOST/id/ORG/USER`; else what a token that is no JWT begins with: `ORG!…`."""
    for each in (*identity.split("/")[-2:-1], token.partition("!")[0]):
        if is_id(each) and each.startswith("00D"):
            return each
    return ""
