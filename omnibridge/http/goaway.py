"""GOAWAY frames out of the bytes of an HTTP/2 connection.

A server that leaves says which of the streams go on (RFC 9113, 6.8), and `h2` takes no frame at all after that: its
state is "closed" then. So these are read here, and h2 never hears of them. Nor of a frame that is longer than we
allowed: h2 refuses it when it has all of it, up to 16 MB.
"""

from __future__ import annotations

HEAD, KIND, WANTED = 9, 7, 8
"""Bytes of a frame's head, the type of GOAWAY, and how much of it is read: the last stream and a code."""
LONGEST = 16_384
"""Bytes of a frame without its head: what a server may send that was told nothing else."""


class GoAways:
    """Whole frames or pieces of them in."""

    __slots__ = ("_away", "_head", "_left")

    def __init__(self) -> None:
        self._head = bytearray()
        self._left = 0
        """Bytes of the frame's payload that are still to come."""
        self._away: bytearray | None = None

    def taken_from(self, data: bytes) -> tuple[bytes, list[tuple[int, int]]]:
        """The other frames, and (last stream, code) of each. Raises ValueError for a frame of a wrong length."""
        others, found, at = bytearray(), list[tuple[int, int]](), 0
        while at < len(data):
            if not self._left:
                piece = data[at : at + HEAD - len(self._head)]
                self._head += piece
                at += len(piece)
                if len(self._head) < HEAD:
                    break
                self._left = int.from_bytes(self._head[:3], "big")
                if self._left > LONGEST:
                    raise ValueError("a frame that is too long")
                if self._head[3] == KIND:
                    if self._left < WANTED:
                        raise ValueError("a GOAWAY that is too short")
                    self._away = bytearray()
                else:
                    others += self._head
                self._head.clear()
                continue
            piece = data[at : at + self._left]
            at += len(piece)
            self._left -= len(piece)
            if self._away is None:
                others += piece
                continue
            self._away += piece[: WANTED - len(self._away)]
            if not self._left:
                last, code = int.from_bytes(self._away[:4], "big"), int.from_bytes(self._away[4:], "big")
                found.append((last & 0x7FFF_FFFF, code))
                self._away = None
        return bytes(others), found
