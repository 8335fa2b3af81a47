"""A requests session as simple-salesforce gets it: with time-outs, without redirects and what the environment says.

The library gives no time-out, forces https on every address, and passes no further arguments on (reference 3.2). So an
adapter fills in the time-outs, and takes addresses of this machine back to http: the simulator's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter


class Adapter(HTTPAdapter):
    """timeout: (connect, read) in seconds. plain: https addresses are answered by http."""

    def __init__(self, timeout: tuple[float, float], *, plain: bool) -> None:
        self._timeout, self._plain = timeout, plain
        super().__init__(pool_connections=2, pool_maxsize=2, max_retries=0)

    def send(self, request: PreparedRequest, *args: Any, **options: Any) -> Response:
        options["timeout"] = self._timeout
        if self._plain and request.url:
            request.url = "http://" + request.url.removeprefix("https://").removeprefix("http://")
        return super().send(request, *args, **options)


def make_session(
    host: str, timeout: tuple[float, float], *, plain: bool, proxy: str, answered: Callable[[Response], None]
) -> Session:
    """answered: sees each answer, in the thread that asked."""
    for name in ("urllib3", "simple_salesforce"):
        logging.getLogger(name).setLevel(logging.WARNING)  # at DEBUG it logs addresses, and SOQL is part of them
    session = Session()
    session.trust_env = False  # else .netrc could replace our token
    session.max_redirects = 0
    session.proxies = {"https": proxy} if proxy else {}
    adapter = Adapter(timeout, plain=False)
    session.mount("https://", adapter)
    if plain:
        session.mount(f"https://{host}", Adapter(timeout, plain=True))
        session.mount(f"http://{host}", Adapter(timeout, plain=True))

    def look(response: Response, *_: Any, **__: Any) -> Response:
        answered(response)
        return response

    session.hooks["response"].append(look)
    return session
