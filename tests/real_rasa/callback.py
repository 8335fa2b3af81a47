"""What is played on the callback channel: Rasa sends each message to the bridge as it is said."""

from __future__ import annotations

import asyncio

from tests.real_rasa.chat import Chat
from tests.real_rasa.plays import HELLO
from tests.real_rasa.processes import Site


async def dialogue(site: Site) -> None:
    chat = Chat(site, "Walter")
    await chat.begin(HELLO)
    await chat.say("menu", "Pick one of these:")
    await chat.say("1", "Here is the picture.", "")
    await chat.say("tell me a long story", "First", "Second", "Third")
    await chat.say("qwe zxc asd", "I did not understand")
    await chat.say("jkl uio bnm", "I did not understand", "I am connecting you")
    await chat.hand_over()
    await chat.end()
    chat = Chat(site, "Wendy")
    await chat.begin(HELLO)
    await chat.say("I want sales", "You want sales.", "One moment, a colleague takes over.")
    await chat.hand_over()
    await chat.end()


async def reminder(site: Site) -> None:
    """Reaches the visitor by itself; not when a person serves by then."""
    reminded, handed_over = Chat(site, "Wilma"), Chat(site, "Wanda")
    await reminded.begin(HELLO)
    await reminded.say("remind me", "Reminder set.", "Are you still there?")
    # Not before Wilma's was due: Rasa has one reminder of a name for all conversations, the last one set.
    await handed_over.begin(HELLO)
    await handed_over.say("remind me", "Reminder set.")
    await site.relay.post("livechat/room.forward", {"roomId": handed_over.visitor.rid, "userId": site.alice.user_id})
    await handed_over.visitor.wait_event("assigned", "alice")
    await reminded.say("where is my order A10023", "Order A10023 is on its way.")
    await asyncio.sleep(3.0)  # the reminder is due after two seconds
    await reminded.end()
    await handed_over.end()
