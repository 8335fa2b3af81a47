"""Custom fields that a bot wants written: what of it is sent to the hub.

A bot is told things by visitors, so its word is worth no more than theirs: names and values are limited, and
what it writes becomes no fact that rules believe.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from omnibridge.domain.commands import SetRoomFields

MOST_FIELDS = 20
LONGEST_VALUE = 1_000
_NAME = re.compile(r"[0-9A-Za-z_-]{1,64}")
"""What the hub takes as the name of a custom field."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def set_fields(fields: Mapping[str, str]) -> tuple[SetRoomFields, ...]:
    """The command, or nothing when no field is fit to be written."""
    fit = {name: _CONTROL.sub(" ", value)[:LONGEST_VALUE] for name, value in fields.items() if _NAME.fullmatch(name)}
    kept = dict(list(fit.items())[:MOST_FIELDS])
    return (SetRoomFields(kept),) if kept else ()
