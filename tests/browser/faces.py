"""Agents with names and pictures, made by the workspace's admin over REST, for plays to look at."""

from __future__ import annotations

import hashlib
import struct
import urllib.request
import zlib
from typing import Any

from widget import Hub

RED, GREEN, BLUE = (200, 30, 30), (20, 150, 60), (20, 60, 200)
Colour = tuple[int, int, int]
_EDGE = "omnibridge-test-edge"


class Staff:
    """Does as an admin what `omnibridge` will do with its own account."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        password = hub.told["admin"]["password"]
        self._proof = {"X-2FA-Method": "password", "X-2FA-Code": hashlib.sha256(password.encode()).hexdigest()}

    def hire(self, username: str, name: str, face: Colour) -> str:
        """An agent who is available; returns the user id."""
        profile = {
            "username": username,
            "name": name,
            "email": f"{username}@example.test",
            "password": "Correct-horse-7-battery",
            "roles": ["user"],
            "verified": True,
        }
        user = self._post("users.create", profile)["user"]
        self._post("livechat/users/agent", {"username": username})
        self.paint(user["_id"], face)
        return str(user["_id"])

    def rename(self, user_id: str, name: str) -> None:
        self._post("users.update", {"userId": user_id, "data": {"name": name}})

    def paint(self, user_id: str, face: Colour) -> None:
        """`users.setAvatar`, as a form with a file."""
        head = f'--{_EDGE}\r\nContent-Disposition: form-data; name="userId"\r\n\r\n{user_id}\r\n--{_EDGE}\r\n'
        head += 'Content-Disposition: form-data; name="image"; filename="face.png"\r\nContent-Type: image/png\r\n\r\n'
        body = head.encode() + png(face) + f"\r\n--{_EDGE}--\r\n".encode()
        headers = {**self._hub.headers("admin"), "Content-Type": f"multipart/form-data; boundary={_EDGE}"}
        request = urllib.request.Request(f"{self._hub.url}/api/v1/users.setAvatar", body, headers)  # noqa: S310
        urllib.request.urlopen(request, timeout=20).close()  # noqa: S310 - of this machine

    def keep_pictures_for(self, seconds: int) -> None:
        self._post("settings/Accounts_AvatarCacheTime", {"value": seconds})

    def forward(self, rid: str, user_id: str) -> None:
        self._hub.call("POST", "/api/v1/livechat/room.forward", {"roomId": rid, "userId": user_id}, "service_account")

    def close(self, rid: str) -> None:
        body = {"rid": rid, "comment": "Done."}
        self._hub.call("POST", "/api/v1/livechat/room.closeByUser", body, "service_account")

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._hub.call("POST", f"/api/v1/{path}", body, "admin", self._proof)


def png(colour: Colour, points: int = 8) -> bytes:
    """A square of one colour, of so many points each way."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = (b"\0" + bytes(colour) * points) * points
    header = struct.pack(">IIBBBBB", points, points, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
