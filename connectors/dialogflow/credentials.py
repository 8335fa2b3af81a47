"""A service account's key, as people paste it -> credentials. Imports Google's libraries inside of functions.

Tokens are JWTs that are signed here: no token endpoint is called, each lives an hour and is renewed by itself.
"""

from __future__ import annotations

import json
from typing import Any

SCOPES = ("https://www.googleapis.com/auth/cloud-platform", "https://www.googleapis.com/auth/dialogflow")
TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address, and it is not called
_BEGIN = "-----BEGIN"


def read_key(text: str, client_email: str) -> dict[str, Any] | None:
    """The key as Google's libraries take it; None when there is none. Raises ValueError without the key in it.

    text: the JSON of a key, or the PEM alone. Line breaks may be a backslash and an n: that is how keys look where
    they were copied out of JSON.
    """
    plain = text.strip()
    if not plain:
        return None
    if plain.strip("\"'").startswith(_BEGIN):
        if not client_email:
            raise ValueError("credentials is a PEM alone: set client_email too, or credentials to the key's whole JSON")
        info: Any = {"type": "service_account", "client_email": client_email, "private_key": plain.strip("\"'")}
    else:
        info = _json(plain)
    if not isinstance(info, dict):
        raise ValueError("credentials is no key: paste the JSON of a service account's key, or name its file")
    if info.get("type", "service_account") != "service_account":
        raise ValueError("credentials is not a service account's key: the console makes one, of type JSON")
    pem = str(info.get("private_key", "")).replace("\\r", "").replace("\\n", "\n").replace("\r", "")
    if _BEGIN not in pem:
        raise ValueError("credentials has no private_key with its BEGIN and END lines: paste all of it")
    missing = [key for key in ("client_email",) if not info.get(key)]
    if missing:
        raise ValueError(f"credentials has no {missing[0]}: paste all of the key's JSON")
    return {"token_uri": TOKEN_URI, **info, "private_key": pem}


def project_of(key: dict[str, Any] | None) -> str:
    """The project that a key belongs to; empty = not told."""
    return str((key or {}).get("project_id") or "")


def _json(text: str) -> Any:
    """Also where a TOML string or a shell made line breaks of the key's `\\n`."""
    try:
        return json.loads(text, strict=False)
    except ValueError:
        raise ValueError(
            "credentials is neither JSON nor a PEM: paste the whole key, or name its file as credentials_file"
        ) from None


def service_account(info: dict[str, Any]) -> Any:
    """Credentials that sign for themselves. Raises ValueError without the key in it."""
    from google.auth.exceptions import GoogleAuthError
    from google.oauth2.service_account import Credentials

    make: Any = Credentials
    try:
        made = make.from_service_account_info(info, scopes=list(SCOPES))
    except (ValueError, GoogleAuthError):
        raise ValueError("credentials has a private_key that cannot be read: paste the key's JSON as it is") from None
    return made.with_always_use_jwt_access(True)


def found_by_google() -> Any:
    """What Google's libraries find here. Blocks, and may ask a metadata server. Raises GoogleAuthError."""
    import google.auth

    found, _ = google.auth.default(scopes=list(SCOPES))
    return found
