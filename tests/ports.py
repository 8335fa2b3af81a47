"""Ports for servers that come and go: four workers of one run share this machine's."""

from __future__ import annotations

import socket
from collections import deque

from omnibridge import listening

HERE = "127.0.0.1"
KEPT = 200
"""How many a process holds at most; the oldest goes first. Far more than one test uses, far fewer than files."""

_held: deque[socket.socket] = deque()


def free_port() -> int:
    """Nobody listens there, and nobody else is given it: whoever starts, or tries again to reach a server that is
    gone, would otherwise meet the server of another test there.

    Linux gives a port that a socket is bound to only to who names it, and lets him listen when both allow it.
    """
    holding = socket.socket()
    holding.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holding.bind((HERE, 0))
    _held.append(holding)
    if len(_held) > KEPT:
        _held.popleft().close()
    return int(holding.getsockname()[1])


def listen(host: str, port: int, backlog: int = 2048) -> socket.socket:
    """As omnibridge.listening has it, but at a port that stays ours after the server is gone."""
    return listening.listen(host, port or (free_port() if host == HERE else 0), backlog)
