"""What a connector to another system's routing implements: work is handed out there, and both sides have people.

`DecidesElsewhere`: the other system says who of its people serves a conversation of ours. `RoutesWork`: we say who
takes work that waits there. A connector that `[[router]]` names has one of them, or both. `HearsOfChanges`: it need not
be looked at all the time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

import msgspec

from omnibridge.connector.bell import Bell
from omnibridge.connector.context import ConnectorContext

Keep = Callable[[bytes], Awaitable[None]]
"""Remembers a question's state durably; call it before each step that must not be taken twice."""


class Question(msgspec.Struct, frozen=True):
    """Who shall serve this conversation. id: of the question, the same at every repeat.

    key: names the conversation in external ids, the same as `[[crm]]` uses; 32 letters and digits, not to be guessed.
    department: where the bot wanted it to go. excluded: ids of agents who could not serve.
    """

    id: str
    key: str
    workspace: str
    room: str
    facts: dict[str, Any]
    department: str = ""
    reason: str = ""
    excluded: tuple[str, ...] = ()


class Asked(msgspec.Struct, frozen=True):
    """A question with what was kept of it."""

    question: Question
    state: bytes


class Named(msgspec.Struct, frozen=True):
    """Who was named there. external_id: '' = nobody will be. cause: for people."""

    external_id: str = ""
    name: str = ""
    cause: str = ""


class RoutingConnector(Protocol):
    """Required of every one. One instance per entry."""

    settings_type: ClassVar[type[msgspec.Struct]]

    async def initialize(self, context: ConnectorContext) -> None:
        """Take settings and ports. Must not touch the network. Raises ConfigError."""

    async def check(self) -> str:
        """One line for people about the system. Raises DeliveryError with what to do."""
        ...

    async def aclose(self) -> None:
        """Release threads and sockets. Raises nothing."""


@runtime_checkable
class DecidesElsewhere(Protocol):
    """Each method may be repeated after a crash, and raises DeliveryError, nothing else."""

    async def ask(self, question: Question, state: bytes, keep: Keep) -> None:
        """Have it wait there for somebody, once however often this is called. state: what was kept, b"" at first."""

    async def answers(self, asked: Sequence[Asked]) -> Mapping[str, Named]:
        """Of those that are decided: id of the question -> who. One look for all of them."""
        ...

    async def excluded(self, asked: Asked, agent: str) -> bytes:
        """This agent was named and cannot serve. Returns the state that `ask` is called with for another one."""
        ...

    async def withdraw(self, asked: Asked) -> None:
        """Nobody waits for it any more, or the conversation is over. What is gone already is no error."""


class Push(msgspec.Struct, frozen=True):
    """What a decision became there. id: theirs. is_declined: he said no, or did not answer in time."""

    id: str
    agent: str
    is_declined: bool = False


class Work(msgspec.Struct, frozen=True):
    """Something that waits there for somebody. id and serial name one decision: a serial comes with each change.

    priority: the smallest first. since: when it was asked for; compared as text. weight: what it takes of a capacity.
    channel: its sort, '' = any. preferred: who goes first; is_his: nobody else may have it. pushes: that there were,
    the oldest first. facts: for deciders.
    """

    id: str
    serial: int
    priority: float = 0.0
    since: str = ""
    weight: float = 1.0
    channel: str = ""
    preferred: str = ""
    is_his: bool = False
    pushes: tuple[Push, ...] = ()
    facts: dict[str, Any] = {}


class Candidate(msgspec.Struct, frozen=True):
    """One of their people as they are now. free: capacity that is left. idle_since: ms; 0 = not known.
    why_not: why he cannot take any work; empty = he can. channels: that he takes work of; None = of any."""

    id: str
    name: str = ""
    free: float = 0.0
    load: float = 0.0
    idle_since: int = 0
    why_not: str = ""
    channels: tuple[str, ...] | None = None


class Standing(msgspec.Struct, frozen=True):
    """Of one piece of work, now. serial: None = it is gone. waits: for a decision."""

    serial: int | None
    waits: bool
    pushes: tuple[Push, ...]


@runtime_checkable
class RoutesWork(Protocol):
    """Each method raises DeliveryError, nothing else."""

    @property
    def routes_work(self) -> bool:
        """Whether the settings name queues to route for."""
        ...

    def agent_id(self, external_id: str) -> str:
        """The one spelling that its other methods use, of an id that somebody else wrote."""
        ...

    async def waiting(self, most: int) -> list[Work]:
        """What waits for a decision of ours, the first to be served first."""
        ...

    async def staff(self) -> list[Candidate]:
        """Everybody who is there."""
        ...

    async def standing(self, ids: Sequence[str]) -> Mapping[str, Standing]:
        """What became of work: asked before a push is repeated that may have arrived."""
        ...

    async def push(self, work: Work, agent: str) -> str:
        """Give it to him; returns the push's id. DeliveryRejected: he, or the work, is not taken. Anything else may
        have arrived: it is repeated after `standing` says that it has not."""
        ...


@runtime_checkable
class HearsOfChanges(Protocol):
    """The other system tells by itself that something has changed."""

    @property
    def hears(self) -> bool:
        """Whether the settings ask for it."""
        ...

    async def listen(self, bell: Bell) -> None:
        """Until cancelled. Rings for each change, and says when it hears of all of them. Raises nothing: it goes on
        trying, and looks go by the clock meanwhile."""
