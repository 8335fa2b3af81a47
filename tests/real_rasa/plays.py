"""What is played on the REST channel: dialogue, handover, close, and crashes of each of the processes."""

from __future__ import annotations

import asyncio

from connectors.rasa.connector import RasaConnector
from connectors.rasa.settings import RasaSettings
from omnibridge.clock import SystemClock
from omnibridge.connector import ConnectorContext, Turn
from omnibridge.http import create_client
from tests.real_rasa.chat import Chat
from tests.real_rasa.processes import TOKEN, Rasa, Site

HELLO = "Hello, this is the test bot."
UNREACHABLE = "The assistant cannot be reached right now."
SILENT = "Something went wrong. Please try again."


async def dialogue(site: Site) -> None:
    chat = Chat(site, "Vera")
    await chat.begin(HELLO)
    await chat.say("menu", "Pick one of these:")
    await chat.say("1", "Here is the picture.", "")
    await chat.say("where is my order A10023", "Order A10023 is on its way.")
    await chat.say("tell me a long story", "First", "Second", "Third")
    await chat.say("/restart", "I did not understand")
    await chat.say("hello", HELLO)
    await chat.say("qwe zxc asd", "I did not understand")
    await chat.say("jkl uio bnm", "I did not understand", "I am connecting you")
    await chat.hand_over()
    await chat.end()


async def handover_and_close(site: Site) -> None:
    chat = Chat(site, "Viktor")
    await chat.begin(HELLO)
    await chat.say("menu", "Pick one of these:")
    await chat.say("Talk to a person", "One moment, a colleague takes over.")
    await chat.hand_over()
    await chat.end()
    chat = Chat(site, "Vanessa")
    await chat.begin(HELLO)
    await chat.say("close the chat", "Closing the chat. Goodbye.")
    await chat.visitor.wait_event("closed")
    await chat.end()


async def our_actions(site: Site) -> None:
    """Actions that come with the connector: a custom field of the room, and a handover."""
    await site.client.control(custom_fields={"ticket": "room"})
    chat = Chat(site, "Victoria")
    await chat.begin(HELLO)
    await chat.say("write down the ticket A10023", "Noted.")
    await chat.say("get your colleague", "A colleague will help you.")
    await chat.visitor.wait_event("assigned", "alice")
    fields = (await site.relay.get("rooms.info", roomId=chat.visitor.rid))["room"].get("livechatData")
    if fields != {"ticket": "A10023"}:
        raise AssertionError(f"the room has the fields {fields}")
    await chat.hand_over()
    await chat.end()
    print(f"{'':>9}  (room fields {fields})", flush=True)


async def bridge_killed(site: Site, visitor: str) -> None:
    """`kill -9` of the bridge while Rasa works on a turn: the answer comes once all the same.

    On the callback channel it is found by the turn's mark in the tracker."""
    chat = Chat(site, visitor)
    await chat.begin(HELLO)
    await chat.visitor.say("take your time")
    await asyncio.sleep(1.0)  # the action runs for three seconds
    await site.bridge.kill()
    await site.again()
    await chat.expect("That took 3 seconds.")
    await chat.say("where is my order A10023", "Order A10023 is on its way.")
    await chat.end()


async def rasa_killed(patient: Site, hasty: Site, rasa: Rasa) -> None:
    """Rasa dies in the middle of a turn and comes back: in time for one, too late for the other."""
    waits, gives_up = Chat(patient, "Vincent"), Chat(hasty, "Valerie")
    await waits.begin(HELLO)
    await gives_up.begin(HELLO)
    await waits.visitor.say("take your time")
    await asyncio.sleep(1.0)  # the action runs for three seconds
    await rasa.server.kill()
    await gives_up.say("where is my order A10023", UNREACHABLE)
    await rasa.server.start()
    await waits.expect("That took 3 seconds.", timeout_s=30.0)
    await gives_up.say("where is my order B77001", "Order B77001 is on its way.")
    await waits.say("where is my order A10023", "Order A10023 is on its way.")
    await waits.end()
    await gives_up.end()


async def actions_killed(site: Site, rasa: Rasa) -> None:
    """Without its action server Rasa answers `200 []`: the connection's `silent_text` stands in for it."""
    chat = Chat(site, "Vivian")
    await chat.begin(HELLO)
    await rasa.actions.kill()
    await chat.say("talk to a human", SILENT)
    await chat.say("where is my order A10023", "Order A10023 is on its way.")
    await rasa.actions.start()
    await chat.say("break something", SILENT)
    await chat.say("talk to a human", "One moment, a colleague takes over.")
    await chat.hand_over()
    await chat.end()


async def tracker_agrees(url: str) -> None:
    """What the tracker tells of a turn is what the channel had answered."""
    connector = RasaConnector()
    settings = RasaSettings(url=url, token=TOKEN, fallback_detection=("tracker",))
    await connector.initialize(
        ConnectorContext("real", settings, SystemClock(), create_client, lambda *_: None, lambda *_, **__: None)
    )
    lines = ("menu", "show me a picture", "tell me a long story", "show a card", "talk to a human", "qwe zxc asd")
    for n, text in enumerate(lines):
        turn = Turn(f"d{n}", "resolve-test", "w", "r", text)
        if await connector.resolve(turn) is not None:
            raise AssertionError(f"{text!r} is known before it was said")
        reply = await connector.on_message(turn)
        resolved = await connector.resolve(turn)
        if reply != resolved:
            raise AssertionError(f"{text!r}: answered {reply}, the tracker says {resolved}")
    await connector.aclose()
    print(f"\nthe tracker repeats {len(lines)} answers as they were given", flush=True)
