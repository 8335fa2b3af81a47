"""Uploads of both generations, and the files themselves. Source: rocketchat-api 4.1, 5.6, 14."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from omnibridge.sandbox.files import FIRST_MEDIA, StoredFile
from omnibridge.sandbox.forms import Upload, upload_of
from omnibridge.sandbox.http import Api, body_of, reply, text_of
from omnibridge.sandbox.permissions import may_see
from omnibridge.sandbox.shapes import message_json
from omnibridge.sandbox.state import HubError, Room, User

_CONFIRM = ("msg", "description", "tmid", "alias", "avatar", "emoji", "groupable", "customFields", "t")
PIECE = 64 * 1024


class FilesApi:
    """`livechat/upload`, `rooms.media`, `rooms.mediaConfirm`, `rooms.upload`, `/file-upload/ID/NAME`."""

    def __init__(self, api: Api) -> None:
        self._api, self._hub, self._files = api, api.hub, api.hub.files
        api.switches["files"] = self._files.set_faults

    def routes(self) -> list[Route]:
        route = self._api.route
        return [
            route("POST", "livechat/upload/{rid}", self._by_visitor, is_public=True),
            route("POST", "rooms.media/{rid}", self._media),
            route("POST", "rooms.mediaConfirm/{rid}/{file}", self._confirm),
            route("POST", "rooms.upload/{rid}", self._one_step),
            Route("/file-upload/{id}/{name:path}", self._download),
        ]

    async def _by_visitor(self, request: Request) -> Response:
        """The saved message itself is the answer; a wrong token or a closed room is 403."""
        visitor = self._hub.visitors.get(request.headers.get("x-visitor-token", ""))
        room = visitor.room if visitor else None
        if visitor is None or room is None or room.id != request.path_params["rid"]:
            raise HubError("unauthorized", status=403, coded=False)
        if not self._hub.settings["Livechat_fileupload_enabled"]:
            return reply({"success": False, "reason": "error-file-upload-disabled"}, 400)
        found = await _file_of(request)
        try:
            file = self._files.store(room, visitor, found.name, found.media_type, found.content)
        except HubError as exc:
            if exc.code == "error-invalid-file-type":
                return reply({"success": False, "reason": "error-type-not-allowed"}, 400)
            raise
        extras = self._files.extras(file, found.fields.get("description", ""))
        saved = await self._hub.say_as_visitor(room, found.fields.get("msg", ""), "", "livechat/upload", **extras)
        file.message = saved.id
        return reply({**message_json(saved), "success": True})

    async def _media(self, request: Request) -> dict[str, Any]:
        if self._hub.version < FIRST_MEDIA:
            raise HubError("Resource not found", status=404, coded=False)
        user, room = self._place(request)
        found = await _file_of(request)
        file = self._files.store(room, user, found.name, found.media_type, found.content)
        return {"file": {"_id": file.id, "url": file.path}}

    async def _confirm(self, request: Request) -> dict[str, Any]:
        """A repeat posts the file again. Before 8.x anybody may confirm anybody's file."""
        user, room = self._place(request)
        wish = await body_of(request)
        known = (*_CONFIRM, "fileName") if self._hub.version >= (8, 0) else _CONFIRM
        if set(wish) - set(known):
            raise HubError("invalid-params", "must NOT have additional properties")
        file = self._files.by_id.get(request.path_params["file"])
        if file is None:
            raise HubError("invalid-file", coded=False)
        if self._hub.version >= (8, 0) and (file.owner is not user or file.rid != room.id):
            raise HubError("invalid-file", coded=False)
        if name := text_of(wish, "fileName"):
            file.name = name
        saved = await self._post(room, user, file, text_of(wish, "msg"), text_of(wish, "description"))
        return {"message": saved}

    async def _one_step(self, request: Request) -> dict[str, Any]:
        if self._hub.version >= (8, 0):
            raise HubError("Resource not found", status=404, coded=False)
        user, room = self._place(request)
        found = await _file_of(request)
        file = self._files.store(room, user, found.name, found.media_type, found.content)
        fields = found.fields
        return {"message": await self._post(room, user, file, fields.get("msg", ""), fields.get("description", ""))}

    async def _post(self, room: Room, user: User, file: StoredFile, text: str, description: str) -> dict[str, Any]:
        extras = self._files.extras(file, description)
        saved = await self._hub.say_as_user(room, user, text, "", **extras)
        file.message = saved.id
        return message_json(saved)

    def _place(self, request: Request) -> tuple[User, Room]:
        user = self._api.user(request)
        room = self._hub.rooms.get(request.path_params["rid"])
        if room is None or not may_see(user, room):
            raise HubError("unauthorized", status=403, coded=False)
        return user, room

    async def _download(self, request: Request) -> Response:
        file = self._files.by_id.get(request.path_params["id"])
        if file is None:
            return Response(status_code=404)
        if self._hub.settings["FileUpload_ProtectFiles"] and not self._may_read(request, file):
            return Response(status_code=403)
        if self._files.logs_in:
            return Response("<!doctype html><title>Log in</title>", media_type="text/html")
        self._files.downloads.append(file.id)
        headers = {
            "content-length": str(len(file.content)),
            "content-disposition": f"attachment; filename*=UTF-8''{quote(file.name, safe='')}",
            "content-security-policy": "default-src 'none'",
        }
        return StreamingResponse(self._pieces(file), 200, headers, media_type=file.media_type)

    async def _pieces(self, file: StoredFile) -> AsyncIterator[bytes]:
        """Cut: the server hangs up on an answer that is shorter than promised."""
        end = self._files.cut_after or len(file.content)
        for start in range(0, end, PIECE):
            if self._files.delay_ms:
                await asyncio.sleep(self._files.delay_ms / 1000)
            yield file.content[start : min(start + PIECE, end)]

    def _may_read(self, request: Request, file: StoredFile) -> bool:
        """By headers, by query, or by cookies; a visitor only what is in his room (5.6)."""
        cookies = SimpleCookie(request.headers.get("cookie", ""))
        given = {name: morsel.value for name, morsel in cookies.items()} | dict(request.query_params)
        room = self._hub.rooms[file.rid]
        if given.get("rc_room_type") == "l":
            return given.get("rc_rid") == room.id and given.get("rc_token") == room.visitor.token
        token = request.headers.get("x-auth-token") or given.get("rc_token", "")
        user = self._hub.by_token.get(token)
        if user is None or user.id != (request.headers.get("x-user-id") or given.get("rc_uid")):
            return False
        settings = self._hub.settings
        if settings["FileUpload_Restrict_to_room_members"]:
            return room.served_by is user
        return may_see(user, room) or not settings["FileUpload_Restrict_to_users_who_can_access_room"]


async def _file_of(request: Request) -> Upload:
    found = await upload_of(request, "file")
    if found is None or not found.name:
        raise HubError("error-no-file-uploaded")
    return found
