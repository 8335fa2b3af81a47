"""What a check found, in words that an admin can follow."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace
from typing import Any, Literal

Status = Literal["ok", "look", "warning", "problem"]

HUB = "Rocket.Chat's settings"
ACCOUNT = "account"
OURS = "our configuration"
NETWORK = "network"
BACKEND = "backend"
MACHINE = "this machine"
SIDES = (HUB, ACCOUNT, OURS, NETWORK, BACKEND, MACHINE)

LONGEST = 600
"""Characters of a sentence; parts of it come from other systems."""


@dataclass(frozen=True)
class Finding:
    """side: who has to change something, empty when nothing is wrong. do: the next step, with the menu path.

    workspace, connection: what it is about; both empty = this installation.
    """

    check: str
    status: Status
    found: str
    do: str = ""
    side: str = ""
    workspace: str = ""
    connection: str = ""

    def about(self, workspace: str, connection: str = "") -> Finding:
        return replace(self, workspace=workspace, connection=connection)

    def as_json(self) -> dict[str, Any]:
        return {
            "check": self.check,
            "workspace": self.workspace,
            "connection": self.connection,
            "status": self.status,
            "side": self.side,
            "found": self.found,
            "do": self.do,
        }


def ok(check: str, found: str) -> Finding:
    return Finding(check, "ok", clean(found))


def look(check: str, side: str, found: str, do: str) -> Finding:
    """Cannot be known from here, by design: nothing is known to be wrong, somebody should look once."""
    return Finding(check, "look", clean(found), clean(do), side)


def warning(check: str, side: str, found: str, do: str) -> Finding:
    """Works, or may work, but somebody should look at it."""
    return Finding(check, "warning", clean(found), clean(do), side)


def problem(check: str, side: str, found: str, do: str) -> Finding:
    """Will not work before somebody does this."""
    return Finding(check, "problem", clean(found), clean(do), side)


def clean(text: str) -> str:
    """Without control, format and unassigned characters: names come from other systems and go to a terminal."""
    shown = "".join(" " if each in "\n\r\t" else each for each in text if each in "\n\r\t" or _is_shown(each))
    return shown if len(shown) <= LONGEST else shown[: LONGEST - 1] + "…"


def _is_shown(character: str) -> bool:
    return not unicodedata.category(character).startswith("C")
