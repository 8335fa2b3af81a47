"""Omni-Channel as a `[[router]]`: glue between the client, both directions and the service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar

import msgspec

from connectors.salesforce_crm.client import Client
from connectors.salesforce_crm.omni.deciding import Deciding
from connectors.salesforce_crm.omni.events.address import read_address
from connectors.salesforce_crm.omni.events.changes import Change
from connectors.salesforce_crm.omni.events.line import Line
from connectors.salesforce_crm.omni.events.listener import Listener, look
from connectors.salesforce_crm.omni.ids import long_id
from connectors.salesforce_crm.omni.settings import SalesforceOmniSettings
from connectors.salesforce_crm.omni.working import Working
from connectors.salesforce_crm.trouble import Trouble
from omnibridge.connector import ConfigError, ConnectorContext, DeliveryError, DeliveryRejected
from omnibridge.connector.bell import Bell
from omnibridge.connector.routing import Asked, Candidate, Keep, Named, Question, Standing, Work


class SalesforceOmniConnector:
    """Implements DecidesElsewhere, RoutesWork and HearsOfChanges."""

    settings_type: ClassVar[type[msgspec.Struct]] = SalesforceOmniSettings
    _client: Client | None = None

    async def initialize(self, context: ConnectorContext) -> None:
        await self.aclose()
        try:
            import simple_salesforce  # noqa: F401
        except ImportError as exc:
            raise ConfigError(f"[[router]] {context.name}: pip install omnibridge[salesforce] ({exc})") from exc
        self._context, settings = context, context.settings
        if settings.events == "pubsub":
            _needs_events(context.name)
        self._org = self._client = Client(settings)
        self._settings, self._deciding, self._working = settings, Deciding(self._org, settings), Working(
            self._org, settings
        )  # fmt: skip

    @property
    def routes_work(self) -> bool:
        return bool(self._settings.routes)

    async def check(self) -> str:
        async with self._errors():
            found = (await self._org.limits()).get("DailyApiRequests", {})
            names = ["PendingServiceRouting", "AgentWork", "UserServicePresence"]
            for each in [*names, self._settings.object] if self._settings.decides else names:
                await self._org.fields(each)
            events = await self._look_at_events() if self.hears else ""
            return f"answers; {found.get('Remaining', '?')} of {found.get('Max', '?')} calls are left today{events}"
        raise AssertionError("unreachable")

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    # -- who serves a conversation ----------------------------------------------------------------------

    async def ask(self, question: Question, state: bytes, keep: Keep) -> None:
        if not self._settings.decides:
            raise DeliveryRejected(
                f"[[router]] {self._context.name} has neither queue nor channel: nobody can be asked", code="no-queue"
            )
        async with self._errors():
            await self._deciding.ask(question, state, keep)

    async def answers(self, asked: Sequence[Asked]) -> Mapping[str, Named]:
        async with self._errors():
            return await self._deciding.answers(asked)
        raise AssertionError("unreachable")

    async def excluded(self, asked: Asked, agent: str) -> bytes:
        async with self._errors():
            return await self._deciding.excluded(asked)
        raise AssertionError("unreachable")

    async def withdraw(self, asked: Asked) -> None:
        async with self._errors():
            await self._deciding.withdraw(asked)

    # -- who takes work that waits there ----------------------------------------------------------------

    def agent_id(self, external_id: str) -> str:
        return long_id(external_id)

    async def waiting(self, most: int) -> list[Work]:
        async with self._errors():
            return await self._working.waiting(most)
        raise AssertionError("unreachable")

    async def staff(self) -> list[Candidate]:
        async with self._errors():
            return await self._working.staff()
        raise AssertionError("unreachable")

    async def standing(self, ids: Sequence[str]) -> Mapping[str, Standing]:
        async with self._errors():
            return await self._working.standing(ids)
        raise AssertionError("unreachable")

    async def push(self, work: Work, agent: str) -> str:
        async with self._errors():
            return await self._working.push(work, agent)
        raise AssertionError("unreachable")

    # -- what is told of changes ------------------------------------------------------------------------

    @property
    def hears(self) -> bool:
        return bool(self._settings.events == "pubsub")

    async def listen(self, bell: Bell) -> None:
        topics, context = self._settings.pubsub_topics, self._context
        await Listener(self._line, self._org, topics, self._rings_for, context.log, context.count).run(bell)

    def _line(self) -> Line:
        return Line(read_address(self._settings.pubsub_address), self._settings.proxy)

    def _rings_for(self, change: Change, bell: Bell) -> None:
        """What is not known rings for both, as does what may have been left out (GAP_OVERFLOW)."""
        answers, work = self._settings.decides, self.routes_work
        if change.kind == "GAP_OVERFLOW" or change.entity not in ("AgentWork", "PendingServiceRouting"):
            return bell.ring(answers=answers, work=work)
        if change.entity == "PendingServiceRouting":
            queues = {long_id(each) for each in self._settings.routes}
            is_others = bool(change.queue) and long_id(change.queue) not in queues
            waits = not (change.is_removal or change.is_pushed or is_others)
            return bell.ring(answers=answers and change.is_removal, work=work and waits)
        bell.ring(answers=answers, work=False)  # somebody took it, or declined
        if work and self._working.n_waiting:
            bell.work.ring(is_heard=False)  # or has capacity again; that new work is told of, it does not show

    async def _look_at_events(self) -> str:
        """For check. Raises Trouble, DeliveryRejected."""
        line, topics = self._line(), self._settings.pubsub_topics
        try:
            problems = await look(line, self._org, topics)
        finally:
            await line.aclose()
        if problems:
            what = "; ".join(problems)
            raise DeliveryRejected(f"answers, but events do not come, so it is polled: {what}", code="no-events")
        return f"; events of {len(topics)} topic{'s' * (len(topics) != 1)} can be subscribed"

    @asynccontextmanager
    async def _errors(self) -> AsyncIterator[None]:
        """Troubles become what the service knows, without their words as context."""
        calls, error = self._org.calls, DeliveryError()
        try:
            yield
            return
        except Trouble as trouble:
            self._context.count("crm_trouble", 1)
            self._context.log("omni_call_failed", code=trouble.code, kind=trouble.kind, object=trouble.name)
            error = trouble.as_delivery()
        finally:
            self._context.count("crm_calls", self._org.calls - calls)
        raise error


def _needs_events(name: str) -> None:
    """Raises ConfigError without the extra."""
    try:
        import fastavro  # noqa: F401
        import google.protobuf  # noqa: F401
        import grpc  # noqa: F401
    except ImportError as exc:
        raise ConfigError(
            f'[[router]] {name}: events = "pubsub" needs pip install omnibridge[salesforce-events] ({exc})'
        ) from exc
