"""Files of the simulated hub: stored, judged by size and type, shown as messages (rocketchat-api 4.1, 5.6, 9.1)."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from omnibridge.sandbox.state import HubError, Room, User, Visitor, new_id, now_ms

FIRST_MEDIA = (6, 10)
"""`rooms.media` and `rooms.mediaConfirm` are there from this version on; `rooms.upload` is gone in 8.0."""


@dataclass
class StoredFile:
    """message: id of the message that shows it; empty = temporary, as `rooms.media` leaves it."""

    id: str
    rid: str
    name: str
    media_type: str
    content: bytes
    owner: User | Visitor
    at: int
    message: str = ""

    @property
    def path(self) -> str:
        return f"/file-upload/{self.id}/{quote(self.name, safe='')}"

    def entry(self) -> dict[str, Any]:
        """As the ledger shows it."""
        return {
            "id": self.id,
            "rid": self.rid,
            "name": self.name,
            "type": self.media_type,
            "size": len(self.content),
            "sha256": sha256(self.content).hexdigest(),
            "owner": self.owner.username,
            "message": self.message,
        }


class Files:
    """settings: the workspace's, looked at for each upload. downloads: ids in the order in which they were fetched."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self.by_id: dict[str, StoredFile] = {}
        self.downloads: list[str] = []
        self.cut_after = self.delay_ms = 0
        self.logs_in = False

    def reset(self) -> None:
        self.by_id.clear()
        self.downloads.clear()
        self.cut_after = self.delay_ms = 0
        self.logs_in = False

    def set_faults(self, wish: Any) -> None:
        """cut_after: bytes after which a download breaks off, 0 = never. delay_ms: before each piece of one.
        logs_in: a proxy answers 200 with its log-in page instead."""
        unknown = set(wish) - {"cut_after", "delay_ms", "logs_in"}
        if unknown:
            raise HubError("unknown", f"unknown: {', '.join(sorted(unknown))}")
        self.cut_after, self.delay_ms = int(wish.get("cut_after", 0)), int(wish.get("delay_ms", 0))
        self.logs_in = bool(wish.get("logs_in", False))

    def store(self, room: Room, owner: User | Visitor, name: str, media_type: str, content: bytes) -> StoredFile:
        """Raises HubError as FileUpload.validateFileUpload does."""
        settings = self._settings
        if not settings["FileUpload_Enabled"]:
            raise HubError("error-file-upload-disabled", "File upload is disabled")
        most = settings["FileUpload_MaxFileSize"]
        if -1 < most < len(content):
            raise HubError("error-file-too-large", "File exceeds allowed size")
        allowed, blocked = (
            [each.strip() for each in settings[f"FileUpload_MediaType{kind}List"].split(",") if each.strip()]
            for kind in ("White", "Black")
        )
        if (allowed and not _is_in(media_type, allowed)) or _is_in(media_type, blocked):
            raise HubError("error-invalid-file-type", "File type is not accepted")
        found = StoredFile(new_id(), room.id, name, media_type, content, owner, now_ms())
        self.by_id[found.id] = found
        return found

    def extras(self, file: StoredFile, description: str = "") -> dict[str, Any]:
        """What the message that shows it carries."""
        shown = {"_id": file.id, "name": file.name, "type": file.media_type}
        attachment: dict[str, Any] = {
            "ts": "1970-01-01T00:00:00.000Z",
            "title": file.name,
            "title_link": file.path,
            "title_link_download": True,
            "type": "file",
        }
        if description:
            attachment["description"] = description
        kind = file.media_type.partition("/")[0]
        if kind in ("image", "audio", "video"):
            attachment |= {
                f"{kind}_url": file.path,
                f"{kind}_type": file.media_type,
                f"{kind}_size": len(file.content),
            }
        return {
            "file": shown,
            "files": [{**shown, "size": len(file.content), "format": file.name.rpartition(".")[2]}],
            "attachments": [attachment],
        }


def _is_in(media_type: str, patterns: list[str]) -> bool:
    return any(
        media_type == each or (each.endswith("/*") and media_type.startswith(each[:-1])) or each == "*"
        for each in patterns
    )
