"""Access tokens of the simulated org: guests and verified users, expiry, renewal, revocation.

As the real one: a customer's JWT that is wrong in any way still gets 200, with the token of a guest (reference 2.3).
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import secrets
import uuid
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from omnibridge.connector.simulating import MovedClock

HASHES = {"RS256": hashes.SHA256, "RS512": hashes.SHA512}


@dataclass(frozen=True)
class Token:
    """n: its number in the ledger. client: differs for each token, subject only for each user."""

    n: int
    subject: str
    client: str
    expires_s: int
    is_verified: bool


@dataclass(frozen=True)
class Keyset:
    """A public key that was uploaded for user verification."""

    issuer: str
    kid: str
    public_pem: str
    name: str = "Website"


class Tokens:
    """guest_ttl_s, verified_ttl_s: as of the channel. all_are_guests: the verification is set up wrongly."""

    def __init__(self, clock: MovedClock, org_id: str) -> None:
        self._clock, self._org_id = clock, org_id
        self._secret = secrets.token_bytes(32)
        self._issued: dict[str, Token] = {}
        self._revoked: set[int] = set()
        self.keysets: list[Keyset] = []
        self.guest_ttl_s, self.verified_ttl_s = 3600, 6 * 3600
        self.all_are_guests = False

    def guest(self) -> tuple[str, Token]:
        return self._issue(f"v2/iamessage/ANON/{self._org_id}/uid:{uuid.uuid4()}", self.guest_ttl_s, False)

    def verified(self, identity: str) -> tuple[str, Token]:
        """identity: the customer's JWT. Anything wrong with it: a guest."""
        keyset = None if self.all_are_guests else self._keyset_of(identity)
        if keyset is None:
            return self.guest()
        subject = _part(identity, 1)["sub"]
        return self._issue(f"v2/iamessage/AUTH/{keyset.name}/uid:{subject}", self.verified_ttl_s, True)

    def renewed(self, token: Token) -> tuple[str, Token]:
        """The same subject and end, another client."""
        return self._issue(token.subject, token.expires_s - int(self._clock.now_s()), token.is_verified)

    def find(self, bearer: str) -> Token | None:
        token = self._issued.get(bearer)
        return token if token and self.is_alive(token) else None

    def is_alive(self, token: Token) -> bool:
        return token.expires_s > self._clock.now_s() and token.n not in self._revoked

    def revoke(self, token: Token) -> None:
        self._revoked.add(token.n)

    def revoke_all(self) -> None:
        self._revoked |= {each.n for each in self._issued.values()}

    def _issue(self, subject: str, ttl_s: int, is_verified: bool) -> tuple[str, Token]:
        now = int(self._clock.now_s())
        token = Token(len(self._issued), subject, str(uuid.uuid4()), now + ttl_s, is_verified)
        head = {"alg": "HS256", "typ": "JWT", "kid": "simulated"}
        claims = {
            "iss": "iamessage",
            "sub": subject,
            "orgId": self._org_id,
            "clientId": token.client,
            "iat": now,
            "exp": token.expires_s,
            "jti": str(uuid.uuid4()),
        }
        signed = f"{_coded(json.dumps(head).encode())}.{_coded(json.dumps(claims).encode())}"
        text = f"{signed}.{_coded(hmac.digest(self._secret, signed.encode(), 'sha256'))}"
        self._issued[text] = token
        return text, token

    def _keyset_of(self, identity: str) -> Keyset | None:
        try:
            head, claims = _part(identity, 0), _part(identity, 1)
            signed, _, signature = identity.rpartition(".")
            found = next(each for each in self.keysets if each.kid == head["kid"] and each.issuer == claims["iss"])
            key = serialization.load_pem_public_key(found.public_pem.encode())
            assert isinstance(key, rsa.RSAPublicKey)
            key.verify(_plain(signature), signed.encode(), padding.PKCS1v15(), HASHES[head["alg"]]())
            is_right = claims["exp"] > self._clock.now_s() and bool(claims["sub"])
        except (AssertionError, InvalidSignature, KeyError, StopIteration, TypeError, ValueError):
            return None
        return found if is_right else None


def _coded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _plain(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as exc:
        raise ValueError("not base64") from exc


def _part(token: str, n: int) -> dict[str, Any]:
    found = json.loads(_plain(token.split(".")[n])) if token.count(".") == 2 else None
    if not isinstance(found, dict):
        raise ValueError("not a JWT")
    return found
