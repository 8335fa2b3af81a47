"""What a connector to a desk implements: people of another system, one session of theirs for each conversation.

The engine opens the session, keeps what the connector wants kept of it, follows it again after a restart, and is the
only one to do so: two that ask a desk for news of one session would each get half of it.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol, runtime_checkable

import msgspec

from omnibridge.connector.analysis import Said
from omnibridge.connector.interface import Reply
from omnibridge.domain.agents import ExternalAgent


class Codes(msgspec.Struct, frozen=True):
    """All codes that a desk may tell, so that an operator's mistake in one is found when the configuration is read. A
    `*` at the end stands for anything: `http-*`. Cases are alike.

    endings: of `Declined`, and reasons of `Left`; the engine takes one for the other where somebody had, or had not,
    accepted. notices: of `Notice`.
    """

    endings: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


class Opening(msgspec.Struct, frozen=True, omit_defaults=True):
    """A conversation that is offered to a desk.

    delivery_id: the same for every attempt, never reused: derive the desk's own ids from it, so that a repeat is
    recognised. maybe_opened: an attempt before may have arrived. said: oldest first.
    """

    delivery_id: str
    session_id: str
    workspace: str
    room: str
    reason: str = ""
    department: str = ""
    facts: dict[str, Any] = {}
    said: tuple[Said, ...] = ()
    maybe_opened: bool = False


class Accepted(msgspec.Struct, frozen=True, tag=True):
    """Somebody of the desk is there; also whoever joins later, in his place or beside him."""

    agent: ExternalAgent | None = None


class Declined(msgspec.Struct, frozen=True, tag=True):
    """Nobody will take it. code: `no-agents`, `closed`, or a word of the connector's; text: for staff. says: what the
    visitor reads if `[texts.desk]` has nothing for the code; empty = nothing but what follows."""

    code: str
    text: str = ""
    says: str = ""


class Left(msgspec.Struct, frozen=True, tag=True):
    """The desk ended the session."""

    reason: str = ""


class Queued(msgspec.Struct, frozen=True, tag=True):
    """position: 1 = next, 0 = not told. wait_s: -1 = not told. again: somebody had accepted, and gave it back."""

    position: int
    wait_s: int = -1
    again: bool = False


class Spoke(msgspec.Struct, frozen=True, tag=True):
    """Words of the desk; `reply.agent` says whose."""

    reply: Reply


class Notice(msgspec.Struct, frozen=True, tag=True):
    """What the visitor shall read and nobody said, such as that another agent comes in a moment. code: a word of the
    connector's, for which operators have their own words and languages; text: what is read without. values: of the
    `{names}` in either. line: the desk cannot be reached for now, or can again: told once, and not beside the engine's
    own sentence about words that wait; when it is back, what waits is tried at once."""

    code: str
    text: str = ""
    values: dict[str, str] = {}
    line: Literal["", "lost", "back"] = ""


SessionEvent = Accepted | Declined | Left | Queued | Spoke | Notice


class Session(Protocol):
    """A session as the engine hands it to its connector."""

    id: str
    workspace: str
    room: str

    @property
    def state(self) -> bytes:
        """As it was saved last, bytes of the connector's own. Read anew each time: keep what you made of it."""

    async def tell(self, key: str, body: bytes, state: bytes | None = None) -> None:
        """Journal what the desk told, raw, together with the state that follows from it; durable on return, so that the
        desk may be told that we have it. key: names it within this session; what has a key that was told before
        changes nothing but the state. Raises what the database raises: then nothing of it is kept."""

    async def save(self, state: bytes) -> None:
        """Keep a state. Durable on return."""

    async def held(self) -> float:
        """Seconds for which nobody else may ask the desk for news of this session; waits until there are any. Ask
        before each request for news, and let none last longer."""

    def typing(self, is_typing: bool) -> None:
        """Somebody of the desk types. Returns at once; lost where it cannot be shown."""


@runtime_checkable
class HoldsSessions(Protocol):
    """A desk. Turns are given to it by `on_message` as to a bot, and answered `Reply(accepted=True)`; `on_close` ends
    its session, which may have ended already. With `codes: ClassVar[Codes]` beside these, operators' `on_declined`,
    `on_left` and `[texts.desk]` are checked; without, each code is taken."""

    async def open(self, opening: Opening) -> bytes:
        """Open a session; the state to keep of it, at least all that its later requests need. Raises as on_message."""
        ...

    def attach(self, session: Session) -> None:
        """A session that is open, now or since before a restart: turns for it may come from now on."""
        ...

    async def follow(self, session: Session) -> None:
        """Tell everything that the desk tells, in order, until the session is over. Cancelled at any point; called
        again with the last state after a restart, or a pause after it raised."""
        ...

    def detach(self, session_id: str) -> None:
        """The session is over, or another node's: forget it. Raises nothing."""
        ...

    def read_session(self, body: bytes) -> tuple[SessionEvent, ...]:
        """What a told body means, in order. Pure. Raises ValueError for what it cannot read: kept, counted, and read
        again after an upgrade."""
        ...
