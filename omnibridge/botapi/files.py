"""Files as Telegram has them: `document` and `photo` of updates, `getFile`, and where their bytes are.

A file_id is the signed token of a link: it works for `[files] link_minutes`, unlike Telegram's, and for this file only.
"""

from __future__ import annotations

from typing import Any, Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from omnibridge.botapi.errors import MethodError, bad
from omnibridge.botapi.parameters import Parameters
from omnibridge.connector import Turn
from omnibridge.storage import bots
from omnibridge.storage.bots import Bot
from omnibridge.storage.database import Database

PHOTOS = ("image/jpeg", "image/png", "image/webp")


class Link(Protocol):
    """What a token says."""

    @property
    def file(self) -> str: ...
    @property
    def workspace(self) -> str: ...


class FilePort(Protocol):
    """The service's files, as this package needs them. downloads: serves `path_params["token"]`."""

    downloads: ASGIApp

    def read_link(self, token: str) -> Link | None: ...
    def uploads_of(self, connection: str) -> bool: ...


def with_file(message: dict[str, Any], turn: Turn) -> dict[str, Any]:
    """A visitor's message with the file that came with it: his words are its caption then."""
    if not turn.files:
        return message
    file = turn.files[0]
    found = {name: value for name, value in message.items() if name not in ("text", "entities")}
    if message.get("text"):
        found["caption"] = message["text"]
    shown: dict[str, Any] = {"file_id": file.url.rpartition("/")[2], "file_unique_id": file.id}
    if file.size:
        shown["file_size"] = file.size
    if file.media_type in PHOTOS:
        # Width and height are Telegram's to know: nobody here looks into pictures.
        return {**found, "photo": [{**shown, "width": 0, "height": 0}]}
    document = {**shown, "file_name": file.name}
    if file.media_type:
        document["mime_type"] = file.media_type
    return {**found, "document": document}


class Files:
    """workspaces: connection -> its workspace. known: connections of this node."""

    def __init__(self, database: Database, port: FilePort, workspaces: dict[str, str]) -> None:
        self._database, self.port, self._workspaces = database, port, workspaces

    async def get_file(self, bot: Bot, parameters: Parameters) -> Any:
        file_id = parameters.text("file_id", required=True)
        found = self.port.read_link(file_id)
        if found is None or found.workspace != self._workspaces.get(bot.connection):
            raise bad("wrong file_id or the file is temporarily unavailable")
        return {"file_id": file_id, "file_unique_id": found.file, "file_path": file_id}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`/file/bot<token>/<path>`. Neither token may stand in a log: both are taken out of the scope."""
        token, path = str(scope["path_params"].pop("token", "")), str(scope["path_params"].pop("path", ""))
        scope["path"], scope["raw_path"] = "/file/bot/", b"/file/bot/"
        bot = bots.find(self._database.reader, token)
        found = self.port.read_link(path)
        if bot is None or found is None or found.workspace != self._workspaces.get(bot.connection):
            exc = MethodError(404, "Not Found")
            await send({"type": "http.response.start", "status": exc.code, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        scope["path_params"]["token"] = path
        await self.port.downloads(scope, receive, send)
