"""simple-salesforce in a few threads of its own: one client each, our own log-in, errors by class, a budget.

The library blocks, so nothing of it runs on the event loop. Each thread keeps its session and builds a client for the
token in force (`session_id` and `instance_url`: then the library never logs in by itself).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from connectors.salesforce_crm.budget import Budget
from connectors.salesforce_crm.login import Access, Login
from connectors.salesforce_crm.settings import LOOPBACK, OrgSettings
from connectors.salesforce_crm.trouble import Trouble, from_exception, is_id

if TYPE_CHECKING:
    from simple_salesforce.api import Salesforce

    from connectors.salesforce_crm.session import Adapter

T = TypeVar("T")
Fields = dict[str, Any]

LOOK_S = 0.5
"""So often whoever waits for a thread looks whether it takes too long."""

UPLOADS = 2
"""Files in memory at a time: each is there three times, as bytes, as base64 and as JSON."""

OURS = {"Sforce-Call-Options": "client=omnibridge"}
KEEP_OWNER = {"Sforce-Auto-Assign": "FALSE"}
"""Without it the org's active assignment rules give a case, lead or account to somebody else, at each change as well
(reference 3.5; the API's default is TRUE)."""


class _Mine(threading.local):
    session: Any = None
    adapter: Adapter | None = None
    client: Any = None
    token: str = ""


class Client:
    """Every method is one call, but for a log-in in front of it. Raises Trouble."""

    def __init__(self, settings: OrgSettings, budget: Budget | None = None) -> None:
        self._settings = settings
        self._login = Login(settings)
        self.budget = budget or Budget(settings.requests_per_day, settings.reserve_percent)
        self._pool = ThreadPoolExecutor(settings.workers, thread_name_prefix="crm")
        self._mine = _Mine()
        self._adapters: list[Adapter] = []
        self.calls = 0
        self.uploads = asyncio.Semaphore(UPLOADS)

    @property
    def address(self) -> str:
        """Of the org, for links."""
        return self._settings.url.rstrip("/")

    async def query(self, soql: str, name: str, pages: int = 1) -> tuple[list[Fields], int]:
        """(rows of the first pages, of 2,000 each, how many there are in all). Build soql with `quoted` alone."""

        def work(org: Salesforce) -> tuple[list[Fields], int]:
            found: Any = org.query(soql)
            rows, left = list(found["records"]), pages - 1
            while left and not found["done"]:
                found, left = org.query_more(found["nextRecordsUrl"], identifier_is_url=True), left - 1
                rows += found["records"]
            return [dict(each) for each in rows], int(found["totalSize"])

        return await self.run(name, work)

    async def upsert(self, name: str, field: str, key: str, data: Fields, **options: str) -> tuple[str, bool]:
        """(id, whether it was made now) of the record whose external id this is."""
        from simple_salesforce.format import format_external_id, format_soql

        def work(org: Salesforce) -> tuple[str, bool]:
            one: Any = getattr(org, name)
            headers = OURS | options
            answer = one.upsert(format_external_id(field, key), data, raw_response=True, headers=headers)
            if answer.status_code != 204:
                found = answer.json()
                return str(found["id"]), bool(found.get("created", answer.status_code == 201))
            asked = f"SELECT Id FROM {name} WHERE {field} = {{}}"  # noqa: S608 - names are checked
            rows: Any = org.query(format_soql(asked, key))
            return str(rows["records"][0]["Id"]), False

        return await self.run(name, work)

    async def create(self, name: str, data: Fields, **options: str) -> str:
        """Its id."""

        def work(org: Salesforce) -> str:
            one: Any = getattr(org, name)
            return str(one.create(data, headers=OURS | options)["id"])

        return await self.run(name, work)

    async def update(self, name: str, record_id: str, data: Fields, **options: str) -> None:
        """Of a record that is there. Whoever owns it goes on doing so."""
        headers = OURS | KEEP_OWNER | options
        await self.run(name, lambda org: getattr(org, name).update(_id(record_id), data, headers=headers))

    async def delete(self, name: str, record_id: str) -> None:
        """It is gone afterwards; Trouble `missing` when it was."""
        await self.run(name, lambda org: getattr(org, name).delete(_id(record_id)))

    async def fields(self, name: str) -> dict[str, Fields]:
        """The fields of an object that the integration user sees, by API name, as describe has them."""

        def work(org: Salesforce) -> dict[str, Fields]:
            found: Any = getattr(org, name).describe()
            return {str(each["name"]): dict(each) for each in found["fields"]}

        return await self.run(name, work)

    async def limits(self) -> Fields:
        """`{"DailyApiRequests": {"Max", "Remaining"}, …}`."""
        return await self.run("limits", lambda org: dict(org.limits() or {}))

    async def access(self) -> Access:
        """The token in force, for another API of the org; logs in where there is none."""
        return await self._in_thread(self._access)

    async def refused(self, access: Access) -> None:
        """That API does not take it any more. In a thread: a log-in that is under way holds the lock."""
        await asyncio.get_running_loop().run_in_executor(
            self._pool, partial(self._login.refused, access.token, by_other=True)
        )

    async def run(self, name: str, work: Callable[[Salesforce], T]) -> T:
        """In one of the threads. Cancelling leaves the thread to its own time-outs."""
        return await self._in_thread(self._work, name, work)

    async def _in_thread(self, work: Callable[..., T], *given: Any) -> T:
        """And see to it that no thread is held for ever."""
        future = asyncio.get_running_loop().run_in_executor(self._pool, work, *given)
        try:
            while not (await asyncio.wait({future}, timeout=LOOK_S))[0]:
                for each in list(self._adapters):
                    each.cut_if_overdue()
        finally:
            future.cancel()
        return future.result()

    async def aclose(self) -> None:
        """What is under way ends by its time-outs."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    # -- in a thread ------------------------------------------------------------------------------------

    def _access(self) -> Access:
        try:
            return self._org()[1]
        finally:
            self._ended()

    def _ended(self) -> None:
        if self._mine.adapter is not None:
            self._mine.adapter.ended()

    def _work(self, name: str, work: Callable[[Salesforce], T]) -> T:
        try:
            return self._attempts(name, work)
        finally:
            self._ended()

    def _attempts(self, name: str, work: Callable[[Salesforce], T]) -> T:
        for attempt in (1, 2):
            org, access = self._org()
            self.budget.spend()
            self.calls += 1
            trouble: Trouble | None = None
            try:
                result = work(org)
            except Exception as exc:
                trouble = from_exception(exc, name)  # raised below, so that the library's words are not its context
            self.budget.ended(trouble.kind if trouble else "")
            if trouble is None:
                self._login.worked()
                return result
            if trouble.kind == "session":
                self._login.refused(access.token)
            if trouble.kind != "session" or attempt == 2:
                raise trouble
        raise AssertionError("unreachable")

    def _org(self) -> tuple[Salesforce, Access]:
        from simple_salesforce.api import Salesforce

        from connectors.salesforce_crm.session import make_session

        mine, settings = self._mine, self._settings
        parts = urlsplit(settings.url)
        if mine.session is None:
            mine.session, mine.adapter = make_session(
                (settings.connect_timeout_s, settings.read_timeout_s),
                plain=parts.scheme == "http" and parts.hostname in LOOPBACK,
                proxy=settings.proxy,
                answered=lambda answer: self.budget.told(answer.headers.get("Sforce-Limit-Info", "")),
            )
            self._adapters.append(mine.adapter)
        access = self._login.token(mine.session)
        if mine.token != access.token:
            mine.client = Salesforce(
                session_id=access.token,
                instance_url=access.instance,
                version=settings.api_version,
                session=mine.session,
                object_pairs_hook=dict,
            )
            mine.token = access.token
        return mine.client, access


def quoted(template: str, *values: Any) -> str:
    """SOQL with values in place of `{}`, escaped by the library. template: names must have been checked."""
    from simple_salesforce.format import format_soql

    return str(format_soql(template, *values))


def _id(record_id: str) -> str:
    if not is_id(record_id):
        raise Trouble("missing", "NOT_AN_ID")
    return record_id
