"""Salesforce's records as a system of records: glue between the client, the mapping and the service."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from connectors.salesforce_crm.client import Client
from connectors.salesforce_crm.erase import erase
from connectors.salesforce_crm.learned import Learned
from connectors.salesforce_crm.mapping import parse_mapping
from connectors.salesforce_crm.run import Run
from connectors.salesforce_crm.settings import SalesforceCrmSettings
from connectors.salesforce_crm.trouble import Trouble
from omnibridge.connector import (
    ConfigError,
    ConnectorContext,
    DeliveryError,
    DeliveryRejected,
    Kept,
    Snapshot,
    SyncResult,
)


class SalesforceCrmConnector:
    """Implements SyncsRecords."""

    settings_type: ClassVar[type[msgspec.Struct]] = SalesforceCrmSettings
    _client: Client | None = None

    async def initialize(self, context: ConnectorContext) -> None:
        await self.aclose()
        try:
            import simple_salesforce  # noqa: F401
        except ImportError as exc:
            raise ConfigError(f"[[crm]] {context.name}: pip install omnibridge[salesforce] ({exc})") from exc
        self._context = context
        self._mapping = parse_mapping(context.settings.mapping)
        self._org = self._client = Client(context.settings)
        self._learned = Learned()

    async def sync(self, snapshot: Snapshot) -> SyncResult:
        run, error = Run(self._org, self._mapping, snapshot, self._learned), DeliveryError()
        calls = self._org.calls
        try:
            return await run.go()
        except Trouble as trouble:
            error = self._failed(trouble)
        finally:
            self._context.count("crm_calls", self._org.calls - calls)
            self._context.count("crm_written", run.written)
        raise error

    async def erase(self, kept: tuple[Kept, ...]) -> None:
        error = DeliveryError()
        try:
            done = await erase(self._org, self._mapping, kept)
            self._context.count("crm_erased", done)
            return
        except Trouble as trouble:
            error = self._failed(trouble)
        raise error

    async def check(self) -> str:
        error = DeliveryError()
        try:
            found = (await self._org.limits()).get("DailyApiRequests", {})
            lacks = [await self._lacks(*each) for each in self._mapping.fields_by_object().items()]
            if missing := "; ".join(each for each in lacks if each):
                raise DeliveryRejected(
                    f"{missing}: make them, or give the integration user the right", code="not-there"
                )
            return f"answers; {found.get('Remaining', '?')} of {found.get('Max', '?')} calls are left today"
        except Trouble as trouble:
            error = self._failed(trouble)
        raise error

    async def _lacks(self, name: str, wanted: set[str]) -> str:
        """What of the mapping is not in the org, or not to be seen or written; empty = nothing. Raises Trouble."""
        try:
            there = await self._org.fields(name)
        except Trouble as trouble:
            if trouble.kind != "missing":
                raise
            return f"there is no object {name}"
        found, key = [], self._mapping.key_field
        if lacking := sorted(wanted - set(there)):
            found.append(f"{name} has no {', '.join(lacking)}")
        written = self._mapping.written_by_object().get(name, set())
        closed = [each for each in sorted(written & set(there)) if not _is_writable(there[each])]
        if closed:
            found.append(f"{name}: {', '.join(closed)} may not be written")
        if key in wanted and not there.get(key, {}).get("externalId", True):
            found.append(f"{name}: {key} is no external id")
        return "; ".join(found)

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    def _failed(self, trouble: Trouble) -> DeliveryError:
        self._context.count("crm_trouble", 1)
        self._context.log("crm_call_failed", code=trouble.code, kind=trouble.kind, object=trouble.name)
        return trouble.as_delivery()


def _is_writable(field: dict[str, Any]) -> bool:
    return bool(field.get("createable", True) or field.get("updateable", True))
