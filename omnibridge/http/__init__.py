"""HTTP out: `create_client` for everybody, `Wire` for who needs to judge addresses."""

from omnibridge.http.client import Client, create_client
from omnibridge.http.connection import Answer, AnswerTooLarge
from omnibridge.http.lines import LineStream
from omnibridge.http.request import Origin, origin_of
from omnibridge.http.wire import Wire, trusting

__all__ = [
    "Answer",
    "AnswerTooLarge",
    "Client",
    "LineStream",
    "Origin",
    "Wire",
    "create_client",
    "origin_of",
    "trusting",
]
