"""Tokens: what an access token says about itself, and the JWT that says who a visitor is (reference 2.3). Pure."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

import msgspec
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from connectors.salesforce.ids import short_id
from connectors.salesforce_messaging.errors import NotVerified
from omnibridge.connector import ConfigError, DeliveryUncertain

_VERIFIED = re.compile(r"v\d+/iamessage/AUTH/[^/]+/uid:(.+)", re.DOTALL)


class Access(msgspec.Struct, frozen=True):
    """A token and what came with it. expires_s: of its own claims, seconds of the epoch by our clock.

    org_id: 15 characters.
    needs_prechat: pre-chat is per session, so that a new session wants routing attributes.
    """

    token: str
    subject: str
    last_event_id: str
    expires_s: int
    org_id: str
    device_id: str = ""
    needs_prechat: bool = False

    def __repr__(self) -> str:
        return f"Access(subject={self.subject!r}, expires_s={self.expires_s})"

    @property
    def is_verified(self) -> bool:
        return _VERIFIED.fullmatch(self.subject) is not None


def read_access(body: bytes, org_id: str, now_s: float) -> Access:
    """The answer of a token endpoint, which came now. Raises DeliveryUncertain for what is none."""
    try:
        granted = msgspec.json.decode(body, type=_Granted)
        claims = claims_of(granted.access_token)
        expires_s, org = _end_of(claims, now_s), short_id(str(claims.get("orgId") or org_id))
    except (KeyError, OverflowError, TypeError, ValueError) as exc:  # msgspec's errors are ValueErrors
        raise DeliveryUncertain("Salesforce gave no token that can be read", code="bad-answer") from exc
    config = granted.context.configuration.config
    return Access(
        granted.access_token,
        granted.context.end_user.subject,
        str(granted.last_event_id),
        expires_s,
        org,
        granted.context.device_id,
        any(each.display_context == "Session" for each in config.forms),
    )


def checked(access: Access, subject: str) -> Access:
    """The same, when it is the token of this verified user. Raises NotVerified: it is a guest's, or somebody else's."""
    found = _VERIFIED.fullmatch(access.subject)
    if found is None or found[1] != subject:
        raise NotVerified(
            "Salesforce did not verify the visitor and gave the token of a guest: compare the key id, the issuer and "
            "the public key with those in Setup > Embedded Service > User Verification, and this machine's clock",
            code="not-verified",
        )
    return access


def _end_of(claims: dict[str, Any], now_s: float) -> int:
    """By our clock, which may be another than that of Salesforce: it lives from now for as long as it was given."""
    ends, issued = int(claims["exp"]), claims.get("iat")
    if not isinstance(issued, int) or not 0 < issued < ends:
        return ends
    lives_until = int(now_s) + ends - issued
    return min(ends, lives_until) if ends > now_s else lives_until


def claims_of(token: str) -> dict[str, Any]:
    """Not verified: for our own tokens' end only. Raises ValueError."""
    parts = token.split(".")
    if len(parts) != 3:
        raise ValueError("not a JWT")
    try:
        found = msgspec.json.decode(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, msgspec.DecodeError) as exc:
        raise ValueError("not a JWT") from exc
    if not isinstance(found, dict):
        raise ValueError("not a JWT")
    return found


class Identity:
    """Signs who a visitor is, RS256. key_id, issuer: as uploaded in Setup. Raises ConfigError for a key that is none.

    audience: the org's My Domain URL; empty = the claim is left out.
    """

    def __init__(self, private_pem: str, key_id: str, issuer: str, audience: str = "") -> None:
        try:
            key = serialization.load_pem_private_key(private_pem.encode(), None)
        except (TypeError, ValueError):
            key = None
        if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < 2048:
            raise ConfigError("the key of user verification is not an RSA private key of 2048 bits or more, in PEM")
        self._key, self._key_id, self._issuer, self._audience = key, key_id, issuer, audience

    def token(self, subject: str, now_s: int, ttl_s: int = 300) -> str:
        claims: dict[str, object] = {"iss": self._issuer, "sub": subject, "iat": now_s, "exp": now_s + ttl_s}
        if self._audience:
            claims["aud"] = self._audience
        head = {"alg": "RS256", "typ": "JWT", "kid": self._key_id}
        signed = f"{_coded(msgspec.json.encode(head))}.{_coded(msgspec.json.encode(claims))}"
        return f"{signed}.{_coded(self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def _coded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class _Form(msgspec.Struct, rename="camel"):
    display_context: str | None = None


class _Config(msgspec.Struct, rename="camel"):
    forms: list[_Form] = []


class _Configuration(msgspec.Struct):
    config: _Config = msgspec.field(name="embeddedServiceConfig", default_factory=_Config)


class _EndUser(msgspec.Struct):
    subject: str


class _Context(msgspec.Struct, rename="camel"):
    end_user: _EndUser
    device_id: str = ""
    configuration: _Configuration = msgspec.field(default_factory=_Configuration)


class _Granted(msgspec.Struct, rename="camel"):
    access_token: str
    context: _Context
    last_event_id: str | int = "0"
