"""What the functions of the router share: their arguments, and the two ways control changes hands."""

from __future__ import annotations

from typing import Literal

import msgspec

from omnibridge.domain.commands import CloseSession, Command, SendToParty, SendToVisitor
from omnibridge.domain.content import Text
from omnibridge.domain.conversation import Control, Conversation, Handover, Speech, VisitorTurn
from omnibridge.domain.directory import Directory
from omnibridge.domain.events import Event
from omnibridge.routing.decision import Considered, Decision
from omnibridge.routing.facts import Facts
from omnibridge.routing.rules import RuleSet
from omnibridge.routing.texts import Texts

_replace = msgspec.structs.replace

TextName = Literal["bot_down", "nobody_online", "handover", "undeliverable"]
"""Those of `Texts` that are said once until the visitor writes again."""


class Context(msgspec.Struct, frozen=True):
    """The arguments of `route()`, with the facts that can be read from them."""

    conversation: Conversation
    event: Event
    rules: RuleSet
    directory: Directory
    now_ms: int
    facts: Facts

    @property
    def texts(self) -> Texts:
        """In the visitor's language."""
        return self.rules.texts.for_facts(self.facts.plain)

    def decide(
        self,
        reason: str,
        after: Conversation,
        *commands: Command,
        rule: str = "",
        considered: tuple[Considered, ...] = (),
        refuse_spoken: bool = False,
    ) -> Decision:
        """A Decision with this context's facts."""
        return Decision(reason, after, commands, self.facts.read, considered, rule, refuse_spoken)

    def nothing(self, reason: str) -> Decision:
        """Nothing changes and nothing is done."""
        return self.decide(reason, self.conversation)


def pass_control(conversation: Conversation, party: str) -> Conversation:
    """The party in control changes: the epoch rises, and what only concerned the old party is dropped."""
    if conversation.control.party == party:
        return conversation
    control = Control(party, conversation.control.epoch + 1)
    return _replace(
        conversation,
        control=control,
        waiting=(),
        options=(),
        fallbacks=0,
        told_delay=False,
        relay_posts=False,
        speech=Speech(),
        persona=None,
        coming=conversation.coming if control.connection else "",
    )


def kept_back(conversation: Conversation) -> tuple[VisitorTurn, ...]:
    """What a party that gives way had to answer: it has it, and answers it if it stays."""
    return tuple(_replace(turn, given=True) for turn in conversation.waiting if not turn.welcome)


def handover_over(state: Handover) -> Handover:
    """Somebody else has the conversation: nothing of the bot is said any more."""
    return _replace(state, stage="idle", rungs=(), said=())


def end_session(conversation: Conversation, reason: str) -> tuple[Conversation, tuple[Command, ...]]:
    """Tell the backend once that the conversation is over for it."""
    if not conversation.session:
        return conversation, ()
    return _replace(conversation, session=""), (CloseSession(conversation.session, reason),)


def poster(conversation: Conversation, connection: str) -> str:
    """Whose bot user posts; empty = the relay account: when the bot user could not be made to serve, and while the
    connection speaks for somebody, whose user has the room, gets it, or gives it to the next one."""
    return "" if conversation.relay_posts or conversation.persona is not None else connection


def tell(conversation: Conversation, text: str, connection: str) -> tuple[Command, ...]:
    """A sentence of ours to the visitor; none when the operator left it empty."""
    return (SendToVisitor(Text(text), poster(conversation, connection), "system"),) if text else ()


def tell_once(
    texts: Texts, conversation: Conversation, name: TextName, connection: str
) -> tuple[Conversation, tuple[Command, ...]]:
    """A sentence of ours, once until the visitor writes again: ten parts of an answer may fail for one cause."""
    said = () if name in conversation.told else tell(conversation, getattr(texts, name), connection)
    return (_replace(conversation, told=(*conversation.told, name)) if said else conversation), said


def send_turn(connection: str, turn: VisitorTurn, within_ms: int = 0) -> SendToParty:
    """The command that carries a turn."""
    return SendToParty(
        connection,
        turn.message_id,
        turn.text,
        turn.choice_value,
        turn.welcome,
        turn.late,
        turn.interaction,
        within_ms,
        turn.files,
    )
