"""Who plays, and what is said: the words by which the ledgers are compared afterwards."""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple


class Agent(NamedTuple):
    """id: his Salesforce user id, as the API tells it. face: RRGGBB."""

    id: str
    name: str
    face: str


class Customer(NamedTuple):
    """chat_key: by which the shop's page knows him, and the CRM has him. department: of the chat."""

    name: str
    email: str
    chat_key: str
    department: str = ""


class Shared(NamedTuple):
    name: str
    media_type: str
    content: bytes


ALEX = Agent("005SM0000001Alx", "Alex Agent", "1e64c8")
BEA = Agent("005SM0000002BeaYAE", "Bea Boss", "149640")
AGENTS = (ALEX, BEA)

VERA = Customer("Vera", "vera@example.com", "k7f3-9d2c-vera", "Sales")
WALTER = Customer("Walter", "walter@example.com", "p1x8-44ab-walter")

CHOSEN = "Show a picture"
"""At the bot, by its number."""
GIVES_WAY = "talk to a human"
WAITS = "Is anybody there?"
HELLO = "Hello, this is Alex. What can I do for you?"
PROBLEM = "My parcel A10023 is broken."
WHICH, ANSWERS, ANSWER = "What shall we do?", (("Money back", "refund"), ("A new one", "replace")), 1
HOW, WAYS, WAY = "How shall it come?", (("By post", "post"), ("To the shop", "shop")), 0
SEND_PICTURE = "Please send me a picture of it."
LOOK_HERE = "Here is the form to sign."
HANDS_ON = "My colleague Bea does the rest."
BEA_HERE = "Bea here. The new one leaves today."
THANKS = "Thank you both!"
BACK_AT_BOT, ORDER = "where is my order B20034", "Order B20034 is on its way."


def picture(colour: str) -> bytes:
    """A PNG of 64 x 64 points. colour: RRGGBB."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = (b"\0" + bytes.fromhex(colour) * 64) * 64
    header = struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


BROKEN = Shared("broken.png", "image/png", picture("b43c3c"))
FORM = Shared("return-form.txt", "text/plain", b"Return form for order A10023\nSign here: ______\n")
FORM_URL = "https://files.example.test/return-form.pdf"
"""Where agents of Live Agent have it: that protocol carries no files of agents."""
