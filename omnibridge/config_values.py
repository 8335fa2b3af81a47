"""Kinds of values that settings are made of: secrets, addresses, names; and the table that forbids unknown keys."""

from __future__ import annotations

import base64
import binascii
import difflib
import json
import re
from collections.abc import Iterator
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr


class Secret(SecretStr):
    """A value that is never shown: `***` in str, repr and JSON."""

    def reveal(self) -> str:
        """The value itself; for the one place that sends it."""
        return self.get_secret_value()

    def _display(self) -> str:
        return "***"


def suggest(word: str, known: Iterator[str] | list[str]) -> str:
    """`; did you mean "port"?` when one of the known is near, else nothing."""
    found = difflib.get_close_matches(word, list(known), 1)
    return f'; did you mean "{found[0]}"?' if found else ""


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018  # reading it checks it
    except ValueError:
        raise ValueError("is not an address") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must begin with http:// or https:// and name a host")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("must hold no user name, password, query or fragment")
    return value.rstrip("/")


def _signing_secret(value: Secret) -> Secret:
    for each in value.reveal().split() or [""]:
        try:
            size = len(base64.b64decode(each.removeprefix("whsec_"), validate=True))
        except (binascii.Error, ValueError):
            size = 0
        if not each.startswith("whsec_") or not 24 <= size <= 64:
            raise ValueError('must be whsec_ and the base64 of 24 to 64 bytes: "whsec_$(openssl rand -base64 32)"')
    return value


FACTS = (
    "workspace",
    "room",
    "department",
    "department_name",
    "source",
    "visitor_id",
    "visitor_name",
    "visitor_username",
    "visitor_email",
    "text",
)
"""Names that `facts` may hold besides `room.<field>` and `visitor.<field>`; those that rules may read."""


def _fact(value: str) -> str:
    if value not in FACTS and not re.fullmatch(r"(room|visitor|bot|crm)\.(\*|\S+)", value):
        raise ValueError(f'there is no fact "{value}"{suggest(value, list(FACTS))}; room.FIELD and visitor.FIELD work')
    return value


def _ways(value: Any) -> Any:
    for code, way in value.items() if isinstance(value, dict) else [("", value)]:
        if way not in WAYS:
            written = f"{code} = {json.dumps(way)}" if code else json.dumps(way)
            raise ValueError(f"{written} is none of {', '.join(WAYS)}{suggest(str(way), list(WAYS))}")
    if isinstance(value, dict) and "default" not in value:
        raise ValueError('default is missing: what follows for any other reason, as in { default = "ladder" }')
    return value


WAYS = ("ladder", "queue", "bot", "close")
"""What may follow when a desk does not take a conversation, or has ended it."""

FactName = Annotated[str, AfterValidator(_fact)]
Ways = Annotated[str | dict[str, str], BeforeValidator(_ways)]
"""What follows, or by why it follows: `{ default = "bot", closed = "close" }`."""
Url = Annotated[str, AfterValidator(_url)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
RequiredSecret = Annotated[Secret, Field(min_length=1)]
SigningSecret = Annotated[Secret, AfterValidator(_signing_secret)]
OptionalUrl = Annotated[str, AfterValidator(lambda text: _url(text) if text else text)]
OptionalSigningSecret = Annotated[Secret, AfterValidator(lambda one: _signing_secret(one) if one.reveal() else one)]


class Section(BaseModel):
    """One table of the file: frozen, and only with keys that it knows."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)


class OpenSection(BaseModel):
    """One table of the file that has further keys, which belong to its connector."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Connectors' own keys may be secrets that only they know of: none is shown."""
        return ((name, value) for name, value in super().__repr_args__() if name in type(self).model_fields)

    @property
    def options(self) -> dict[str, Any]:
        """The connector's own settings, as written; KEY_file is already KEY."""
        return dict(self.model_extra or {})
