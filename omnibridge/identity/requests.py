"""What `omnibridge agents` asks of the running server, or carries out itself: one struct each, and the answer."""

from __future__ import annotations

import msgspec

from omnibridge.storage.directory import AgentRow


class _Request(msgspec.Struct, tag=True, tag_field="do"):
    """by: name of the OS user."""

    by: str


class Import(_Request):
    """Write rows that were checked."""

    rows: list[AgentRow]


class Link(_Request):
    """This id is that user. is_claim: only if the user says so himself: a confirmation."""

    workspace: str
    system: str
    external_id: str
    username: str
    is_claim: bool = False


class Unlink(_Request):
    """This id is nobody any more. A user that we made is deactivated, and his seat is free."""

    workspace: str
    system: str
    external_id: str


class Sync(_Request):
    """Read every user, and who each says he is."""

    workspace: str


class Decide(_Request):
    """Approve or refuse the making of users. ids: (system, external id); empty = all that wait."""

    workspace: str
    ids: list[tuple[str, str]] = []
    refuse: bool = False


Request = Import | Link | Unlink | Sync | Decide


class Reply(msgspec.Struct):
    """problem: why it was not done. told: what was done, in words. figures: the same for programs."""

    problem: str = ""
    told: list[str] = []
    figures: dict[str, int] = {}
