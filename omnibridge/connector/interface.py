"""What a connector implements. A small required set; every further ability is its own protocol.

A connector shows what it can do by implementing a protocol; nothing is stubbed out.
"""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, runtime_checkable

import msgspec

from omnibridge.connector.context import ConnectorContext
from omnibridge.connector.files import TurnFile
from omnibridge.domain.agents import ExternalAgent
from omnibridge.domain.content import Content
from omnibridge.domain.interactions import Interaction, MessageUpdate


class Handover(msgspec.Struct, frozen=True, omit_defaults=True):
    """The backend asks for a person. `department` is a name or id, empty = the configured ladder."""

    department: str = ""
    reason: str = ""


class Turn(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing the visitor said, or the start of a conversation.

    delivery_id: the same for every attempt of this turn, never reused: the key to recognise it by.
    session_id: letters, digits, `-`, `_`, `.` only, at most 36 characters, one per conversation.
    choice_value: payload of the option meant, when the visitor answered by number or label.
    facts: allow-listed facts of the conversation, plain JSON values.
    """

    delivery_id: str
    session_id: str
    workspace: str
    room: str
    text: str = ""
    choice_value: str = ""
    message_id: str = ""
    late: bool = False
    facts: dict[str, Any] = {}
    interaction: Interaction | None = None
    """He pressed or picked something instead of writing; text is its label and choice_value its value."""
    response_object: dict[str, Any] | None = None
    """Of what was pressed, or of an offered answer that was typed. Plain JSON; schema: omnibridge/interaction."""
    files: tuple[TurnFile, ...] = ()
    """Only for who implements `TakesFiles`; text may be empty then."""


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the backend answered to one turn; empty = it said nothing.

    handover wins over close. fallback: the backend says that it did not understand.
    fields: custom fields of the conversation to write, names as declared in the workspace.
    accepted: the backend took the turn, and what it says comes as callbacks (`ReceivesCallbacks`).
    agent: who says it, for a desk that speaks for people of its own: the visitor is shown that person's name and face.
    system is the connector's word for the desk, id the desk's own; one person for all parts.
    updates: other contents for messages that it showed before, carried out before the parts are said.
    facts: what it found out about the visitor's words, such as `intent` or `sentiment_score`: rules read them as
    `bot.intent` at the next message, and forget them with the next answer. At most 20, texts up to 256 characters;
    not in callbacks. Those of a desk stand beside what is known, until a bot answers.
    intent: the backend's own word for what it answers, where facts do not tell it. losses: kinds of what it sent and
    parts cannot hold, few words. Both are for metrics and the time line alone.
    declined: the turn is over, but was not given to the backend, and why: for the trace.
    """

    parts: tuple[Content, ...] = ()
    handover: Handover | None = None
    close: bool = False
    fallback: bool = False
    accepted: bool = False
    fields: dict[str, str] = {}
    agent: ExternalAgent | None = None
    updates: tuple[MessageUpdate, ...] = ()
    facts: dict[str, str | int | float | bool] = {}
    intent: str = ""
    losses: tuple[str, ...] = ()
    declined: str = ""


class Callback(msgspec.Struct, frozen=True):
    """What a backend says by itself, and in which session."""

    session_id: str
    reply: Reply


class Connector(Protocol):
    """Required of every connector. One instance per configured connection."""

    settings_type: ClassVar[type[msgspec.Struct]]
    """Settings of `[[connection]]` beyond the common ones; unknown keys are errors, defaults are real."""

    async def initialize(self, context: ConnectorContext) -> None:
        """Take settings and ports. Called again after a change of settings, never concurrently.

        Must not touch the network: the backend may be down when the service starts.
        Raises ConfigError for settings that cannot work.
        """

    async def on_message(self, turn: Turn) -> Reply:
        """Give one turn to the backend and return its answer.

        Never called twice at a time for one session. Is cancelled only at the turn's deadline.
        Raises DeliveryRetryable (certainly not processed), DeliveryUncertain (may have been) or
        DeliveryRejected (will never work). Nothing else may escape.
        """

    async def on_close(self, session_id: str, reason: str) -> None:
        """The conversation is over for this backend. Raises as on_message; may be repeated."""

    async def aclose(self) -> None:
        """Release sockets. Raises nothing."""


@runtime_checkable
class WelcomesVisitors(Protocol):
    """Says something first, when a conversation is given to it."""

    async def on_start(self, turn: Turn) -> Reply:
        """`turn.text` is empty. Raises as on_message."""
        ...


@runtime_checkable
class ResolvesTurns(Protocol):
    """Can tell afterwards what became of a turn whose answer was cut off."""

    async def resolve(self, turn: Turn) -> Reply | None:
        """The answer of a turn that was processed; None = certainly not processed, send it again.

        Raises DeliveryRetryable when it cannot tell yet (asked again later), DeliveryRejected when it
        can never tell: the connection's `on_uncertain` decides then.
        """
        ...


@runtime_checkable
class ChecksHealth(Protocol):
    """Can be asked whether the backend answers, for `connections test`."""

    async def check(self) -> str:
        """One line for people about the backend. Raises DeliveryError with what to do."""
        ...


@runtime_checkable
class HearsTyping(Protocol):
    """Wants to know while the visitor types. Only of workspaces with `realtime = true`, and nothing is made up for."""

    async def on_typing(self, session_id: str, is_typing: bool) -> None:
        """He types, said again every 5 s, or has stopped. For the party in control; also while a turn is under way.

        Never journalled, never repeated: what raises, or takes longer than 5 s, is counted and forgotten.
        """
        ...


@runtime_checkable
class ReadsAnswers(Protocol):
    """Its bot's answers have a form of their own, also where they are posted to a response_url."""

    def read_answer(self, body: bytes) -> Reply:
        """Pure. body: a JSON object. Raises DeliveryRejected, or ValueError, that names the wrong place."""
        ...


@runtime_checkable
class ReceivesCallbacks(Protocol):
    """Is called by its backend: `POST /connections/NAME/callback`, one JSON object each.

    What it says reaches the visitor while this connection is in control, in the order of arrival, once for
    each request: a backend that repeats a request says it twice.
    """

    def callback_token(self) -> str:
        """The secret that the backend sends along; empty = this connection is not called. After initialize."""
        ...

    def read_callback(self, body: bytes) -> Callback:
        """Pure. Raises ValueError for what it cannot read: kept, counted and read again after an upgrade."""
        ...
