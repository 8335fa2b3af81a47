"""Files of a message -> FileRef, from every source alike. Source: rocketchat-api 2.3 (webhook), 9.1 and 5.6.

A webhook names the first file only (`file`, `fileUpload`); REST, DDP and the app name all (`files`), thumbnails among
them. The hub's own address of a file may hold a key (`?token=`), so it is not kept: `path_of` makes it from the id.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from omnibridge.domain.files import FileRef, plain_name
from omnibridge.rocketchat.leaves import list_of, table_of, text_of

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PATH = re.compile(r"/file-upload/([^/?#]+)(?:/([^/?#]*))?")
_SIZES = ("image_size", "audio_size", "video_size", "size")
LONGEST = 255
"""Characters of a name that are kept as it was given."""


def files_of(message: dict[str, Any]) -> tuple[FileRef, ...]:
    """In their order; those without an id of the hub's form are left out."""
    if not (message.get("files") or message.get("file") or message.get("fileUpload")):
        return ()  # nearly all messages: of each of them this is asked
    given = [table_of(each) for each in list_of(message.get("files"))]
    whole = [each for each in given if text_of(each.get("typeGroup")) != "thumb"]
    first = table_of(message.get("file"))
    upload = table_of(message.get("fileUpload"))
    shown = [table_of(each) for each in list_of(message.get("attachments"))]
    found: dict[str, FileRef] = {}
    for number, each in enumerate(whole or [first] if (whole or first or upload) else []):
        beside = shown[number] if number < len(shown) else {}
        ref = _file(each, upload if number == 0 else {}, beside)
        if ref is not None:
            found.setdefault(ref.id, ref)
    return tuple(found.values())


def has_file(message: dict[str, Any]) -> bool:
    """Also of files that cannot be fetched."""
    return bool(table_of(message.get("file")) or list_of(message.get("files")) or table_of(message.get("fileUpload")))


def caption_of(message: dict[str, Any]) -> str:
    """What was written beside a file: the hub keeps it in the attachment (5.4)."""
    shown = list_of(message.get("attachments"))
    return text_of(table_of(shown[0]).get("description")) if shown and has_file(message) else ""


def path_of(file: FileRef) -> str:
    """Below the workspace's address. The hub looks at the id; the name is for people."""
    return f"/file-upload/{file.id}/{quote(plain_name(file.name), safe='')}"


def _file(raw: dict[str, Any], upload: dict[str, Any], shown: dict[str, Any]) -> FileRef | None:
    found = _PATH.search(urlsplit(text_of(upload.get("publicFilePath")) or text_of(shown.get("title_link"))).path)
    identity = text_of(raw.get("_id"))
    name = text_of(raw.get("name"))
    if not _ID.fullmatch(identity):
        identity = found[1] if found else ""
    if not name and found:
        name = unquote(found[2] or "")
    if not _ID.fullmatch(identity):
        return None
    kind = text_of(raw.get("type")) or text_of(upload.get("type"))
    sizes = (raw.get("size"), upload.get("size"), *(shown.get(each) for each in _SIZES))
    size = next((each for each in sizes if isinstance(each, int) and not isinstance(each, bool) and each > 0), 0)
    return FileRef(identity, name[:LONGEST], kind[:100], min(size, 1 << 50))
