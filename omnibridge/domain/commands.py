"""What to do, imperative. Each command becomes one delivery of a stream; nothing else leaves the service."""

from __future__ import annotations

from typing import Literal

import msgspec

from omnibridge.domain.agents import ExternalAgent
from omnibridge.domain.content import Content
from omnibridge.domain.files import FileRef
from omnibridge.domain.interactions import Interaction, MessageUpdate

Voice = Literal["bot", "system"]
"""Whose words: the bot's (refused when it has lost control) or ours (always said)."""


class _Command(msgspec.Struct, frozen=True, tag_field="command", omit_defaults=True):
    pass


class Speaker(msgspec.Struct, frozen=True, omit_defaults=True):
    """Under whose name words are shown. user_id: his own user; '' = the relay account posts, with his name as alias
    and the prefix in front, because visitors do not see an alias. avatar_url: shown beside the alias, if its host may
    be."""

    system: str
    id: str
    name: str = ""
    user_id: str = ""
    username: str = ""
    prefix: str = ""
    avatar_url: str = ""


class SendToVisitor(_Command, frozen=True, tag="SendToVisitor"):
    """Post in the room. `connection` names whose bot user posts; empty = the relay account."""

    content: Content
    connection: str = ""
    voice: Voice = "bot"
    speaker: Speaker | None = None
    """Somebody of an external system for whom the connection speaks."""
    thread_id: str = ""
    """Of the message that begins the thread; empty = in the room itself."""


class SendToParty(_Command, frozen=True, tag="SendToParty"):
    """One turn for a backend: a visitor's words, or the welcome of a fresh conversation."""

    connection: str
    message_id: str = ""
    text: str = ""
    choice_value: str = ""
    """Payload of the offered option that the visitor meant by number or label; empty = free text."""
    welcome: bool = False
    late: bool = False
    interaction: Interaction | None = None
    """What the visitor, or staff, did with something the party had shown: no message was written."""
    within_ms: int = 0
    """Given up after this long; 0 = a bot's time for a turn."""
    files: tuple[FileRef, ...] = ()
    """What came with the words, as far as the party takes it."""


class EditTurn(_Command, frozen=True, tag="EditTurn"):
    """The visitor changed a message that the party has, or will have by then: it goes behind the turn itself."""

    connection: str
    message_id: str
    text: str
    edited_at: int = 0


class RetractTurn(_Command, frozen=True, tag="RetractTurn"):
    """The visitor deleted one."""

    connection: str
    message_id: str


class UpdateMessage(_Command, frozen=True, tag="UpdateMessage"):
    """Show another content in a message that a connection's bot user had posted."""

    update: MessageUpdate
    connection: str


class RemoveChoices(_Command, frozen=True, tag="RemoveChoices"):
    """What can be pressed in a message goes; its words stay. Where nothing can be changed, nothing happens."""

    message_id: str
    connection: str


class OpenSession(_Command, frozen=True, tag="OpenSession"):
    """Offer the conversation to a desk, with what was said before. department: where the party before wanted it to go.

    within_ms: the desk's system must have taken it by then.
    """

    connection: str
    reason: str = ""
    department: str = ""
    within_ms: int = 0


class ResumeTurns(_Command, frozen=True, tag="ResumeTurns"):
    """The last turns of a party, which were refused when it gave way, are its again: those under way, or not sent.

    Not new ones: what is known of their attempts says whether they may have arrived. within_ms: as of SendToParty.
    """

    connection: str
    count: int
    within_ms: int = 0


class HurryTurns(_Command, frozen=True, tag="HurryTurns"):
    """What waits for a party that could not be reached is tried now: it can be reached again."""

    connection: str


class ObserveMessage(_Command, frozen=True, tag="ObserveMessage"):
    """Let an analyser look at a message. It says nothing in the room, so it may look whoever is in control."""

    connection: str
    message_id: str
    author: Literal["visitor", "agent", "bot"]
    text: str = ""
    ts: int = 0
    change: Literal["posted", "edited", "deleted"] = "posted"


class HandTranscript(_Command, frozen=True, tag="HandTranscript"):
    """Give an analyser a conversation that is over."""

    connection: str


class CloseSession(_Command, frozen=True, tag="CloseSession"):
    """Tell a backend that the conversation is over for it. within_ms: how long that is worth trying, 0 = as usual."""

    connection: str
    reason: str = ""
    within_ms: int = 0


class ListAgents(_Command, frozen=True, tag="ListAgents"):
    """Read who could serve now; answered by the event AgentsListed."""


class AssignAgent(_Command, frozen=True, tag="AssignAgent"):
    """Let a user serve: take a waiting inquiry for him, or forward the room to him."""

    user_id: str
    username: str = ""
    connection: str = ""
    """Set when the user is that connection's bot user; empty when a person."""
    within_ms: int = 0
    """Given up after this long; 0 = as long as an answer is worth posting."""


class TransferToDepartment(_Command, frozen=True, tag="TransferToDepartment"):
    department_id: str
    name: str = ""


class ReturnToQueue(_Command, frozen=True, tag="ReturnToQueue"):
    department: str = ""


class CloseConversation(_Command, frozen=True, tag="CloseConversation"):
    comment: str


class SetRoomFields(_Command, frozen=True, tag="SetRoomFields"):
    """Write custom fields of the conversation's room; repeating it changes nothing. anyway: whoever is in control."""

    fields: dict[str, str]
    anyway: bool = False


class SyncRecords(_Command, frozen=True, tag="SyncRecords"):
    """Let a system of records write down where the conversation stands. It is no party: nothing waits for it.

    after_ms: not before; what comes until then is in it. within_ms: given up after this long.
    """

    connection: str
    trigger: Literal["start", "handover", "live", "close"]
    after_ms: int = 0
    within_ms: int = 0


class EraseRecords(_Command, frozen=True, tag="EraseRecords"):
    """The visitor is to be forgotten: take away what was made for this conversation."""

    connection: str


class AskDecider(_Command, frozen=True, tag="AskDecider"):
    """Ask an external system who shall serve. asked: how often in this handover, this time included.

    department: where the bot wanted the conversation to go. excluded: ids that could not serve.
    """

    decider: str
    asked: int = 1
    department: str = ""
    reason: str = ""
    excluded: tuple[str, ...] = ()
    within_ms: int = 0


class CancelDecision(_Command, frozen=True, tag="CancelDecision"):
    """Tell an external system that its decision is not needed, or not in force, any more."""

    decider: str
    ticket: str = ""
    external_id: str = ""
    reason: str = ""


class EnsureAgent(_Command, frozen=True, tag="EnsureAgent"):
    """Find or make the user of an external agent; answered by AgentEnsured or AgentNotEnsured."""

    agent: ExternalAgent
    cause: str = ""


class ReleaseAgent(_Command, frozen=True, tag="ReleaseAgent"):
    """The user that was ensured does not serve this conversation (any more)."""

    user_id: str


class StartTimer(_Command, frozen=True, tag="StartTimer"):
    """Answered by TimerFired after `after_ms`, unless control has changed by then. ref: what it is for."""

    timer: str
    ref: str
    after_ms: int


class RequeueStray(_Command, frozen=True, tag="RequeueStray"):
    """Back to the queue, if this user still serves: the hub gave the visitor to somebody who only carries out
    decisions."""

    user_id: str
    username: str = ""


Command = (
    SendToVisitor
    | SendToParty
    | UpdateMessage
    | RemoveChoices
    | OpenSession
    | ResumeTurns
    | HurryTurns
    | ObserveMessage
    | HandTranscript
    | EditTurn
    | RetractTurn
    | CloseSession
    | ListAgents
    | AssignAgent
    | TransferToDepartment
    | ReturnToQueue
    | CloseConversation
    | SetRoomFields
    | AskDecider
    | CancelDecision
    | EnsureAgent
    | ReleaseAgent
    | StartTimer
    | RequeueStray
    | SyncRecords
    | EraseRecords
)

HUB_STREAM = "hub"
"""Stream of everything that goes to Rocket.Chat, one per conversation: a text said before a transfer
arrives before the transfer."""


AGENTS_STREAM = "agents"
"""Stream of what is asked of the agent directory: making a user must not hold up what is said."""


def stream_of(command: Command) -> str:
    """Destination of a command: the hub, one connection, one decider, the agent directory, a timer."""
    match command:
        case SendToParty() | OpenSession() | ResumeTurns() | EditTurn() | RetractTurn() | CloseSession() | HurryTurns():
            return f"connection:{command.connection}"
        case ObserveMessage() | HandTranscript():
            return f"analysis:{command.connection}"
        case AskDecider() | CancelDecision():
            return f"decider:{command.decider}"
        case EnsureAgent() | ReleaseAgent():
            return AGENTS_STREAM
        case SyncRecords() | EraseRecords():
            return f"crm:{command.connection}"
        case StartTimer():
            return f"timer:{command.timer}"
    return HUB_STREAM


def kind_of(command: Command) -> str:
    """Name of the command's class, as stored."""
    return type(command).__name__
