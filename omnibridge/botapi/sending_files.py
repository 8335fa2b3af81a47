"""sendDocument and sendPhoto: an address, or the bytes themselves, which are kept and uploaded into the room."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omnibridge.botapi.connector import BotApiConnector
from omnibridge.botapi.content import plain_text, to_content
from omnibridge.botapi.errors import MethodError, bad
from omnibridge.botapi.files import FilePort
from omnibridge.botapi.multipart import FilePart
from omnibridge.botapi.parameters import Parameters
from omnibridge.botapi.queue import UpdateQueue
from omnibridge.botapi.speaking import Speaking
from omnibridge.connector import Content, DeliveryError, DeliveryRejected, File, Image, Reply
from omnibridge.storage.bots import Bot

SIGNS = ((b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpeg"), (b"GIF8", "gif"))
LARGEST = 10 << 20
"""Bytes of a call with files: it is in memory as a whole. Larger ones by address."""


class SendingFiles:
    """connectors: by connection, those of kind bot_api."""

    def __init__(
        self, port: FilePort, queue: UpdateQueue, speaking: Speaking, connectors: Mapping[str, BotApiConnector]
    ) -> None:
        self._port, self._queue, self._speaking, self._connectors = port, queue, speaking, connectors

    async def send_document(self, bot: Bot, parameters: Parameters) -> Any:
        return await self._send(bot, parameters, "document")

    async def send_photo(self, bot: Bot, parameters: Parameters) -> Any:
        return await self._send(bot, parameters, "photo")

    async def _send(self, bot: Bot, parameters: Parameters, field: str) -> Any:
        if not bot.may("files"):
            raise bad("files can't be sent: the operator switched this bot's capability 'files' off")
        chat = self._speaking.chat(bot, parameters.integer("chat_id"))
        self._speaking.room(bot, chat)  # before anything is kept
        caption = (
            plain_text(parameters.text("caption"), parameters.text("parse_mode")) if "caption" in parameters else ""
        )
        part, shown = await self._file(bot, parameters, field)
        parts: list[Content] = [part]
        markup = parameters.value("reply_markup")
        if caption.strip():
            parts.append(to_content(caption, markup, self._connectors[bot.connection].context.count))
        user = self._queue.user_of(bot)
        said = await self._speaking.say(bot, user, chat, Reply(tuple(parts)), caption, markup)
        bare = {name: value for name, value in said.items() if name != "text"}
        return {**bare, field: shown, **({"caption": caption} if caption else {})}

    async def _file(self, bot: Bot, parameters: Parameters, field: str) -> tuple[Content, Any]:
        """What is shown, and how Telegram's answer shows it."""
        given = parameters.file(field)
        if isinstance(given, str):
            if not given.startswith(("http://", "https://")):
                raise bad("wrong file identifier/HTTP URL specified: files are sent as bytes or by address here")
            if field == "photo":
                return Image(given), [_shown(given[-64:], "", width=0, height=0)]
            return File(given), _shown(given[-64:], "", file_name=given.rpartition("/")[2][:120])
        if not self._port.uploads_of(bot.connection):
            raise bad("files are not uploaded: the operator may set upload_files = true; send an address")
        name, kind = (given.name, given.media_type) if field == "document" else _as_picture(given)
        context = self._connectors[bot.connection].context
        try:
            url = await context.keep_file(given.content, name, kind)
        except DeliveryRejected as exc:
            raise MethodError(413, f"Request Entity Too Large: {exc}") from None
        except DeliveryError:
            raise MethodError(500, "Internal Server Error: not kept; try again") from None
        size = len(given.content)
        if field == "photo":
            return File(url, name, kind), [_shown(url, "", width=0, height=0, file_size=size)]
        return File(url, name, kind), _shown(url, "", file_name=name, file_size=size)


def _as_picture(given: FilePart) -> tuple[str, str]:
    """Name and media type. Clients send pictures without either, because Telegram looks into them."""
    found = next((kind for sign, kind in SIGNS if given.content.startswith(sign)), "")
    if not found or given.media_type == f"image/{found}":
        return given.name, given.media_type
    return f"photo.{found}", f"image/{found}"


def _shown(identity: str, unique: str, **more: Any) -> dict[str, Any]:
    return {"file_id": identity, "file_unique_id": unique or identity, **more}
