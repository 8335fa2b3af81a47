"""Hub and bot as a life sees them: calls that take time, fail in each way, and arrive although the caller died."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import msgspec

from omnibridge.connector import Handover, Reply, Text, Turn
from omnibridge.domain.events import CandidateAgent, CandidateDepartment, UserRef
from omnibridge.errors import DeliveryError, DeliveryRejected, DeliveryRetryable, DeliveryUncertain
from omnibridge.rocketchat.client import PAGE, Credentials
from omnibridge.rocketchat.errors import from_answer
from omnibridge.rocketchat.rooms import HubMessage, Inquiry, RoomInfo, read_message, read_room
from omnibridge.sandbox.shapes import message_json, room_json
from omnibridge.sandbox.state import HubError, Room

if TYPE_CHECKING:
    from tests.simulation.life import Life
    from tests.simulation.world import Post, Side, World

T = TypeVar("T")
SETTLED_S = 0.6
"""What is settled lazily is durable by then: 50 ms and two commits."""

MODES = ("refused", "429", "500", "lost", "hang")
"""refused, 429: certainly without effect. 500: uncertain, without. lost: uncertain, with. hang: lost, and 10 s.

never: with effect, and no answer at all: for a bot, whose caller gives up by itself.
"""


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    raise RuntimeError("it waits")


class _Caller:
    """side: what both lives and their ends leave behind; see `Side`.

    `_begun`: when a sending began. It begins with its read-back: between that and the send the engine does not
    look again who is in control.
    """

    def __init__(self, world: World, life: Life, side: Side) -> None:
        self._world, self._life, self._side = world, life, side
        self._begun: dict[str, tuple[int, int]] = {}

    async def _call(self, effect: Callable[[], T]) -> T:
        world, life, side = self._world, self._life, self._side
        mode = side.failing.pop(0) if side.failing else ""
        if mode:
            side.failed_ms = world.clockwork.now
        future: asyncio.Future[T] = life.loop.create_future()

        def arrive() -> None:
            outcome: Any = None
            error: DeliveryError | None = _ERRORS[mode]() if mode in _ERRORS else None
            if mode in ("", "lost", "hang", "never"):
                try:
                    outcome = effect()
                except HubError as exc:
                    error = error or refusal(exc)
                except DeliveryError as exc:
                    error = error or exc
            if mode != "never":
                waits_ms = 10_000 if mode == "hang" else world.rng.randint(0, 8)
                world.clockwork.after(waits_ms, lambda: tell(outcome, error))
            if not error and life.dead and hasattr(outcome, "known"):
                outcome.known = True  # nobody hears of it; the next process asks

        def tell(outcome: Any, error: DeliveryError | None) -> None:
            if life.dead or future.done():
                return
            if error:
                future.set_exception(error)
            else:
                future.set_result(outcome)

        if not life.dead:
            world.clockwork.after(side.travel_ms(world, life.number), arrive)
        return await future

    def _begin(self, name: str) -> None:
        self._begun[name] = self._world.moment()

    def _began(self, name: str) -> tuple[int, int]:
        return self._begun.pop(name, None) or self._world.moment()


def refusal(exc: HubError) -> DeliveryError:
    coded = {"errorType": exc.code, "error": f"{exc.reason} [{exc.code}]"} if exc.coded else {"error": exc.code}
    return from_answer(exc.status, coded, {})


_ERRORS: dict[str, Callable[[], DeliveryError]] = {
    "refused": lambda: DeliveryRetryable("refused", code="not-sent"),
    "429": lambda: DeliveryRetryable("slow down", code="rate-limited", retry_after_s=1.0),
    "500": lambda: DeliveryUncertain("failed", code="http-500"),
    "lost": lambda: DeliveryUncertain("no answer", code="no-answer"),
    "hang": lambda: DeliveryUncertain("no answer", code="no-answer"),
}


class HubClient(_Caller):
    """The methods of RocketChatClient that the engine uses, on the simulated hub."""

    def __init__(self, world: World, life: Any) -> None:
        super().__init__(world, life, world.hub_side)

    async def send_message(
        self,
        room: str,
        message_id: str,
        text: str,
        *,
        attachments: Any = None,
        as_user: Credentials | None = None,
        blocks: Any = None,
        thread: str = "",
    ) -> None:
        world = self._world
        user = world.hub.users[as_user.user_id] if as_user else world.hub.by_name["omnibridge"]
        begun = self._began(message_id)

        def effect() -> Post:
            if message_id in world.hub.messages:
                raise DeliveryUncertain("there already", code="maybe-duplicate")
            at_once(world.hub.say_as_user(world.hub.room(room), user, text, message_id))
            return world.posted(room, message_id, text, begun, self._life.number)

        post = await self._call(effect)
        post.known = True
        self._life.loop.call_later(SETTLED_S, lambda: setattr(post, "lasting", not self._life.dead))

    async def confirm_message(self, room: str, message_id: str, author: str | None, text: str) -> bool:
        self._begin(message_id)
        found = await self._call(lambda: self._world.hub.messages.get(message_id))
        if found and (found.rid, found.text) != (room, text):
            raise DeliveryRejected("taken", code="id-taken")
        return found is not None

    async def take(self, inquiry_id: str, user_id: str) -> None:
        hub, routing = self._world.hub, self._world.routing

        def effect() -> None:
            if inquiry_id not in hub.inquiries:
                raise HubError("error-not-found")
            at_once(routing.take(hub.inquiries[inquiry_id], hub.users[user_id]))

        await self._call(effect)

    async def forward_to_agent(self, room: str, user_id: str, comment: str = "") -> None:
        hub, routing = self._world.hub, self._world.routing
        relay = hub.by_name["omnibridge"]
        await self._call(
            lambda: at_once(routing.forward_to_agent(hub.room(room), hub.users[user_id], relay, "", comment))
        )

    async def return_to_queue(self, room: str, department: str = "") -> None:
        hub, routing = self._world.hub, self._world.routing
        relay = hub.by_name["omnibridge"]
        if not await self._call(lambda: at_once(routing.return_to_queue(hub.room(room), relay))):
            raise DeliveryRejected("nobody served the room", code="not-served")

    async def close(self, room: str, comment: str) -> None:
        hub, routing = self._world.hub, self._world.routing
        await self._call(lambda: at_once(routing.close(hub.room(room), hub.by_name["omnibridge"], comment)))

    # -- reading ----------------------------------------------------------------------------------------

    async def user(self, username: str) -> UserRef:
        return await self._call(lambda: UserRef(self._world.hub.by_name[username].id, username))

    async def room(self, room: str) -> RoomInfo:
        return await self._call(lambda: read_room(room_json(self._world.hub.room(room))))

    async def inquiry(self, room: str) -> Inquiry | None:
        def effect() -> Inquiry | None:
            found = self._world.hub.room(room)
            return Inquiry(found.inquiry_id, room, found.inquiry_status) if found.is_waiting else None

        return await self._call(effect)

    async def available_agents(self) -> list[CandidateAgent]:
        users = self._world.hub.users.values()
        return await self._call(
            lambda: [CandidateAgent(each.id, each.username, each.name) for each in users if each.is_available]
        )

    async def departments(self) -> list[CandidateDepartment]:
        return await self._call(list)

    async def hub_time_ms(self) -> int | None:
        return await self._call(lambda: self._world.clockwork.now // 1000 * 1000)

    async def rooms(
        self, open: bool = True, offset: int = 0, count: int = PAGE, *, queued: bool = False, since_ms: int = 0
    ) -> list[RoomInfo]:
        def is_listed(room: Room) -> bool:
            if queued:
                return room.open and room.served_by is None
            return room.open and room.served_by is not None if open else not room.open

        def effect() -> list[RoomInfo]:
            rooms = [each for each in self._world.hub.rooms.values() if is_listed(each)]
            by_time = sorted(((each.ts if open else each.closed_at or 0), each.id, each) for each in rooms)
            found = [each for at, _, each in by_time if at >= since_ms]
            return [read_room(room_json(each)) for each in found[offset : offset + count]]

        return await self._call(effect)

    async def changes_since(self, room: str, since_ms: int) -> tuple[list[HubMessage], list[str]]:
        def effect() -> tuple[list[HubMessage], list[str]]:
            found = (each for each in self._world.hub.room(room).messages if each.ts > since_ms)
            return [read_message(message_json(each)) for each in found], []

        return await self._call(effect)

    def when_back(self, tell: Callable[[], None]) -> None:
        """Not told: the reconciler comes round by itself."""

    async def aclose(self) -> None:
        """Holds nothing open."""


class BotClient(_Caller):
    """A connector whose backend is the world's ledger of turns. Can resolve."""

    settings_type: ClassVar[type[msgspec.Struct]] = msgspec.Struct

    def __init__(self, world: World, life: Any) -> None:
        super().__init__(world, life, world.bot_side)

    async def initialize(self, context: Any) -> None:
        """Needs nothing."""

    async def on_message(self, turn: Turn) -> Reply:
        begun = self._began(turn.delivery_id)
        return await self._call(lambda: self._world.turn(turn, begun))

    async def resolve(self, turn: Turn) -> Reply | None:
        self._begin(turn.delivery_id)
        return await self._call(lambda: self._world.answers.get(turn.delivery_id))

    async def on_close(self, session_id: str, reason: str) -> None:
        await self._call(lambda: None)

    async def aclose(self) -> None:
        """Holds nothing open."""


def answer(text: str) -> Reply:
    """What the bot answers: each line for itself; `human` asks for people, `bye` closes."""
    words = [line.partition(" ")[0] for line in text.split("\n")]
    parts = tuple(Text(each) for line in text.split("\n") for each in answers_to(line))
    return Reply(
        parts,
        Handover() if "human" in words else None,
        close="bye" in words,
        fallback=words[-1] not in ("echo", "twice", "human", "bye"),
    )


def answers_to(line: str) -> tuple[str, ...]:
    """What is posted for one line of a visitor."""
    kind, _, tag = line.partition(" ")
    if kind == "twice":
        return f"{tag}a", f"{tag}b"
    return (tag,) if kind in ("echo", "human", "bye") else (f"? {line}",)
